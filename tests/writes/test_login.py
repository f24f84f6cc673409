"""Unit tests of the login: the validity of one-time passwords, and the constant duration."""

import base64
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import update

from app.core.caller import PUBLIC
from app.core.errors import InvalidCredentials
from app.core.otp import matching_totp_step
from app.db.models import User
from app.flows.login import Credentials, LoginService
from app.repositories.directory import Directory
from tests.base_data import cheap_hash, uid

pytestmark = pytest.mark.one_database

PASSWORD = "correct, but only here"


def test_a_totp_code_is_valid_for_its_period_and_secret():
    """The test vectors of RFC 6238, whose secret has 160 bits."""
    secret = base64.b32encode(b"12345678901234567890").decode()

    assert matching_totp_step("287082", secret, datetime.fromtimestamp(59, UTC)) == 1
    assert matching_totp_step("081804", secret, datetime.fromtimestamp(1111111109, UTC)) == 1111111109 // 30
    assert not matching_totp_step("287082", secret, datetime.fromtimestamp(60, UTC))
    assert not matching_totp_step("287082", "not base32!", datetime.fromtimestamp(59, UTC))


async def test_every_login_takes_equally_long(editors, monkeypatch):
    delays = []

    async def sleep(seconds):
        delays.append(seconds)

    async with editors.database.transaction() as connection:
        for name in ("vi", "sue"):
            values = {"password": cheap_hash(PASSWORD), "tfa_secret": None}
            await connection.execute(update(User).where(User.id == uid(name)).values(**values))
    monkeypatch.setattr("app.flows.timing.asyncio", SimpleNamespace(sleep=sleep))
    settings = editors.settings.model_copy(update={"login_stall_time": timedelta(seconds=60)})
    service = LoginService(Directory(PUBLIC, replace(editors.services, settings=settings)))
    for email in ("vi@example.com", "nobody@example.com", "sue@example.com"):
        with suppress(InvalidCredentials):
            await service.login(Credentials(email, PASSWORD if email[0] == "v" else "x"))

    delays = [seconds for seconds in delays if seconds]
    assert len(delays) == 3
    assert all(50 < seconds <= 60 for seconds in delays)
