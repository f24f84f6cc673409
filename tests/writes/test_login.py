"""Signing in, seen from inside: what a code is good for, and how long it all takes."""

import base64
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import update

from app.core.caller import PUBLIC
from app.core.errors import InvalidCredentials
from app.core.otp import matching_totp_step
from app.db.models import User
from app.flows.login import Credentials, LoginService
from app.repositories.directory import Directory
from tests.world import cheap_hash, uid

PASSWORD = "correct, but only here"


def test_a_code_is_good_for_its_half_minute_and_its_secret():
    """Codes of the test vectors of RFC 6238, whose secret is 160 bits long."""
    secret = base64.b32encode(b"12345678901234567890").decode()

    assert matching_totp_step("287082", secret, datetime.fromtimestamp(59, UTC)) == 1
    assert matching_totp_step("081804", secret, datetime.fromtimestamp(1111111109, UTC)) == 1111111109 // 30
    assert not matching_totp_step("287082", secret, datetime.fromtimestamp(60, UTC))
    assert not matching_totp_step("287082", "not base32!", datetime.fromtimestamp(59, UTC))


async def test_every_answer_takes_as_long(editors, monkeypatch):
    waited = []

    async def sleep(seconds):
        waited.append(seconds)

    async with editors.database.transaction() as connection:
        for name in ("vi", "sue"):
            given = {"password": cheap_hash(PASSWORD), "tfa_secret": None}
            await connection.execute(update(User).where(User.id == uid(name)).values(**given))
    monkeypatch.setattr("app.flows.timing.asyncio.sleep", sleep)
    settings = editors.settings.model_copy(update={"login_stall_time": timedelta(seconds=60)})
    flow = LoginService(Directory(PUBLIC, replace(editors.services, settings=settings)))
    for email in ("vi@example.com", "nobody@example.com", "sue@example.com"):
        with suppress(InvalidCredentials):
            await flow.login(Credentials(email, PASSWORD if email[0] == "v" else "x"))

    waited = [seconds for seconds in waited if seconds]
    assert len(waited) == 3
    assert all(50 < seconds <= 60 for seconds in waited)
