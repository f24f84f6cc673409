"""Signing in: who is let in, what is told to whoever isn't, and what is remembered of it."""

import base64
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
import pytest_asyncio
from jose import jwt
from sqlalchemy import func, select, update

from app.core.caller import PUBLIC
from app.core.clock import utc_now
from app.core.codes import step_of
from app.core.errors import InvalidCredentials
from app.core.security import hash_password
from app.db.models import Activity, Session, User
from app.flows.login import Credentials, SignIn
from app.repositories.directory import Directory
from tests.http.test_graphql import bearer, served
from tests.world import static_token, uid

PASSWORD = "correct, but only here"
HASHED = hash_password(PASSWORD)
SECOND = "JBSWY3DPEHPK3PXP"  # as long as Directus makes them


class Short(pyotp.TOTP):
    def byte_secret(self):
        return base64.b32decode(self.secret)


WRONG = [{"message": "Invalid user credentials.", "extensions": {"code": "INVALID_CREDENTIALS"}}]


@pytest_asyncio.fixture(scope="session")
async def client(kept_desk):
    async with served(kept_desk.settings.model_copy(update={"login_stall_time": timedelta(0)})) as client:
        yield client


@pytest_asyncio.fixture
async def people(desk):
    """Vi, who has a password, and Ed, Sue and Ida, each with something that keeps them out."""
    changes: dict[str, dict[str, str | None]] = {
        "vi": {"password": HASHED, "tfa_secret": None},
        "ed": {"password": HASHED, "tfa_secret": SECOND},
        "sue": {"password": HASHED},
        "ida": {"password": HASHED},
        "sam": {"password": HASHED, "provider": "github"},
    }
    async with desk.database.transaction() as connection:
        for name, values in changes.items():
            await connection.execute(update(User).where(User.id == uid(name)).values(**values))
    return desk


def login(client, email="vi@example.com", password=PASSWORD, headers=None, **more):
    return client.post("/auth/login", json={"email": email, "password": password, **more}, headers=headers)


async def count(system, what):
    async with system.database.transaction() as connection:
        return await connection.scalar(select(func.count()).select_from(what))


async def test_whoever_has_the_password_is_given_tokens(client, people):
    answer = await login(client, "VI@Example.com", headers={"user-agent": "a browser"})

    told = answer.json()["data"]
    assert answer.status_code == 200
    assert set(told) == {"expires", "refresh_token", "access_token"}
    assert told["expires"] == 900_000
    assert len(told["refresh_token"]) == 64
    claims = jwt.get_unverified_claims(told["access_token"])
    assert claims["id"] == uid("vi")
    assert (claims["role"], claims["iss"]) == (uid("role-Viewer"), "directus")
    assert (claims["admin_access"], claims["app_access"]) == (False, False)
    assert "no-store" in answer.headers["cache-control"]

    me = await client.get("/users/me?fields=id", headers=bearer(told["access_token"]))
    assert me.json() == {"data": {"id": uid("vi")}}


async def test_a_sign_in_is_remembered(client, people):
    told = (await login(client, headers={"user-agent": "a browser"})).json()["data"]

    async with people.database.transaction() as connection:
        sessions = (await connection.execute(select(Session.token, Session.user_id, Session.user_agent))).all()
        activity = (await connection.execute(select(Activity.action, Activity.user_id, Activity.item))).all()
        seen = await connection.scalar(select(User.last_access).where(User.id == uid("vi")))
    assert sessions == [(told["refresh_token"], uid("vi"), "a browser")]
    assert activity == [("login", uid("vi"), uid("vi"))]
    assert utc_now() - seen < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("vi@example.com", "wrong"),
        ("vi@example.com", "x" * 2000),
        ("vi@example.com", ""),
        ("vi@example.com\0", PASSWORD),
        ("vi@example.com", f"{PASSWORD}\0"),
        ("nobody@example.com", PASSWORD),
        ("sue@example.com", PASSWORD),  # suspended
        ("ida@example.com", PASSWORD),  # invited
        ("sam@example.com", PASSWORD),  # somebody else judges his
        ("nora@example.com", PASSWORD),  # without a password
        ("ed@example.com", "wrong"),  # with a second factor, that isn't asked for before
    ],
)
async def test_everybody_else_is_told_the_same(client, people, email, password):
    answer = await login(client, email, password)

    assert (answer.status_code, answer.json()["errors"]) == (401, WRONG)
    assert "no-store" in answer.headers["cache-control"]
    assert await count(people, Session) == 0


async def test_a_second_factor_is_asked_for_when_the_password_is_right(client, people):
    assert (await login(client, "ed@example.com")).json()["errors"][0]["message"] == "Invalid user OTP."
    for code in ("", "000000", "x"):
        answer = await login(client, "ed@example.com", otp=code)
        assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (401, "INVALID_OTP")
    assert await count(people, Session) == 0

    assert (await login(client, "ed@example.com", otp=Short(SECOND).now())).status_code == 200


def test_a_code_is_good_for_its_half_minute_and_its_secret():
    """Codes of the test vectors of RFC 6238, whose secret is 160 bits long."""
    secret = base64.b32encode(b"12345678901234567890").decode()

    assert step_of("287082", secret, datetime.fromtimestamp(59, UTC)) == 1
    assert step_of("081804", secret, datetime.fromtimestamp(1111111109, UTC)) == 1111111109 // 30
    assert not step_of("287082", secret, datetime.fromtimestamp(60, UTC))
    assert not step_of("287082", "not base32!", datetime.fromtimestamp(59, UTC))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"email": "vi@example.com"}, '"password" is required'),
        ({}, '"email" is required'),
        ([], '"value" must be of type object'),
        ({"email": "x", "password": "x"}, '"email" must be a valid email'),
        ({"email": 1, "password": "x"}, '"email" must be a string'),
        ({"email": "a@b.c", "password": "x", "mode": "x"}, '"mode" must be one of [cookie, json, session]'),
        ({"email": "a@b.c", "password": "x", "more": "x"}, '"more" is not allowed'),
    ],
)
async def test_what_can_not_be_read_is_told(client, body, reason):
    answer = await client.post("/auth/login", json=body)

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["extensions"] == {"reason": reason, "code": "INVALID_PAYLOAD"}


async def test_nobody_lives_elsewhere(client):
    for method, path in (("GET", "/auth/login"), ("POST", "/auth/login/foo"), ("POST", "/auth")):
        assert (await client.request(method, path, json={})).status_code == 404


async def test_a_token_that_is_shown_besides_has_to_be_good(client, people):
    assert (await login(client, headers=bearer("a.b.c"))).status_code == 401
    assert (await login(client, headers=bearer(static_token("ada")))).status_code == 200


async def test_every_answer_takes_as_long(people, monkeypatch):
    waited = []

    async def sleep(seconds):
        waited.append(seconds)

    monkeypatch.setattr("app.flows.stall.asyncio.sleep", sleep)
    settings = people.settings.model_copy(update={"login_stall_time": timedelta(seconds=60)})
    flow = SignIn(Directory(PUBLIC, replace(people.services, settings=settings)))
    for email in ("vi@example.com", "nobody@example.com", "sue@example.com"):
        with suppress(InvalidCredentials):
            await flow.tokens(Credentials(email, PASSWORD if email[0] == "v" else "x"))

    waited = [seconds for seconds in waited if seconds]
    assert len(waited) == 3
    assert all(50 < seconds <= 60 for seconds in waited)
