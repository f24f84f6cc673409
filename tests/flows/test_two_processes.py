"""What holds across processes: two that serve one PostgreSQL, and count in one Redis."""

import asyncio
import os
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import update

from app.core.caller import SYSTEM
from app.db.models import User
from tests.compat.replay import ROLLCALL, free_port
from tests.conftest import HAS_POSTGRESQL, open_copy
from tests.http.test_graphql import ADA, bearer
from tests.http.test_rate_limits import RedisServer, needs_redis
from tests.mail.server import MailServer
from tests.world import cheap_hash, static_token, uid

PASSWORD = "correct, but only here"
PEOPLE = [f"guest{number}@example.com" for number in range(12)]
GRACE = 2
pytestmark = [needs_redis, pytest.mark.skipif(not HAS_POSTGRESQL, reason="no PostgreSQL answers")]


def settings_of(system, mail, redis):
    """What both processes are told, in the spelling of an environment."""
    return {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": system.settings.database_url,
        "SECRET": system.settings.secret.get_secret_value(),
        "LOG_LEVEL": "error",
        "DB_POOL_SIZE": "4",
        "IP_TRUST_PROXY": "true",
        "LOGIN_STALL_TIME": "0",
        "REGISTER_STALL_TIME": "0",
        "SESSION_REFRESH_GRACE_PERIOD": f"{GRACE}s",
        "EMAIL_TRANSPORT": "smtp",
        "EMAIL_SMTP_HOST": "127.0.0.1",
        "EMAIL_SMTP_PORT": str(mail.port),
        "RATE_LIMITER_ENABLED": "true",
        "RATE_LIMITER_POINTS": "7",
        "RATE_LIMITER_DURATION": "60",
        "RATE_LIMITER_REGISTRATION_POINTS": "3",
        "RATE_LIMITER_STORE": "redis",
        "REDIS": redis.url,
    }


@asynccontextmanager
async def serving(env):
    """A process of its own that serves, as `rollcall serve` does."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(*ROLLCALL, "serve", "--port", str(port), env=env)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            for _ in range(200):
                try:
                    await client.get("/server/ping", headers=at("ping"))
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
                else:
                    break
            yield client
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 20) in (0, -15)


def at(place):
    """The header of whoever comes from some place; from each, only so many requests are answered."""
    number = PLACES.setdefault(place, len(PLACES) + 1)
    return {"x-forwarded-for": f"198.51.100.{number}"}


PLACES: dict[str, int] = {}


@pytest.fixture
async def two(templates, tmp_path):
    """Two processes, somebody with a password, and the mail server of both."""
    redis = RedisServer(tmp_path)
    async with AsyncExitStack() as stack:
        system = await open_copy(stack, "postgresql", templates, tmp_path)
        mail = await stack.enter_async_context(MailServer().up())
        redis.start()
        stack.callback(redis.kill)
        env = settings_of(system, mail, redis)
        told = {"auth_login_attempts": 4, "public_registration": True, "public_registration_verify_email": False}
        await system.directory(SYSTEM)["settings"].upsert_singleton(told)
        async with system.database.transaction() as connection:
            secret = {"password": cheap_hash(PASSWORD), "tfa_secret": None}
            await connection.execute(update(User).where(User.id == uid("vi")).values(**secret))
        clients = await asyncio.gather(*(stack.enter_async_context(serving(env)) for _ in range(2)))
        yield mail, *clients


def signing_in(client, password=PASSWORD, place=None, mode="json"):
    shown = {"email": "vi@example.com", "password": password, "mode": mode}
    return client.post("/auth/login", json=shown, headers=at(place or uuid4().hex))


def cookie_of(answer):
    return {"cookie": answer.headers["set-cookie"].partition(";")[0]}


async def limits_hold(one, other):
    statuses = [(await client.get("/server/ping", headers=at("busy"))).status_code for client in (one, other) * 4]
    assert Counter(statuses) == {200: 7, 429: 1}

    made = [
        await client.post(
            "/users/register", json={"email": f"{uuid4().hex}@example.com", "password": PASSWORD}, headers=at("eager")
        )
        for client in (one, other, one, other)
    ]
    assert [answer.status_code for answer in made] == [204, 204, 204, 429]


async def lock_outs_hold(one, other):
    for client in (one, other, one, other):
        assert (await signing_in(client, "wrong", "stranger")).status_code == 401
    assert (await signing_in(one, place="stranger")).status_code == 401
    assert (await signing_in(other, place="stranger")).status_code == 401
    assert (await signing_in(other, place="home")).status_code == 200


async def refreshes_hold(one, other):
    old = cookie_of(await signing_in(one, mode="session"))

    async def refresh(client):
        answer = await client.post("/auth/refresh", json={"mode": "session"}, headers=old | at(uuid4().hex))
        assert answer.status_code == 200
        return cookie_of(answer)

    async def me(client, cookie):
        answer = await client.get("/users/me?fields=id", headers=cookie | at(uuid4().hex))
        return answer.status_code

    new, *others = await asyncio.gather(refresh(one), refresh(other), refresh(one))
    for client in (one, other):
        assert [await me(client, cookie) for cookie in (old, new, *others)] == [200] * 4
    await asyncio.sleep(GRACE + 0.2)
    for client in (one, other):
        assert [await me(client, cookie) for cookie in (old, new, *others)] == [401, 200, 200, 200]
    ended = await one.post("/auth/logout", json={"mode": "session"}, headers=new | at("leaving"))
    assert ended.status_code == 204
    assert [await me(client, cookie) for client in (one, other) for cookie in (new, *others)] == [401] * 6


async def mails_go_once(mail, one, other):
    invitations = [
        client.post(
            "/users/invite", json={"email": email, "role": uid("role-Staff")}, headers=ADA | at(f"inviter {email}")
        )
        for client, email in zip((one, other) * len(PEOPLE), PEOPLE, strict=False)
    ]
    assert {answer.status_code for answer in await asyncio.gather(*invitations)} == {204}
    async with asyncio.timeout(20):
        while len(mail.mails) < len(PEOPLE):  # noqa: ASYNC110 - the server knows nothing of who waits
            await asyncio.sleep(0.05)
    await asyncio.sleep(1.5)  # in which a second of one would come
    assert Counter(letter.to[0] for letter in mail.mails) == dict.fromkeys(PEOPLE, 1)


async def revocations_hold(one, other):
    sue = bearer(static_token("vi"))
    for client in (one, other):
        assert (await client.get("/users/me?fields=id", headers=sue | at(uuid4().hex))).status_code == 200
    path = f"/users/{uid('vi')}"
    gone = await one.patch(path, json={"status": "suspended"}, headers=ADA | at("suspender"))
    assert gone.status_code == 200
    for client in (other, one):
        assert (await client.get("/users/me?fields=id", headers=sue | at(uuid4().hex))).status_code == 401


async def test_two_processes_share_limits_lockouts_sessions_mails_and_revocations(two):
    mail, one, other = two

    await limits_hold(one, other)
    await lock_outs_hold(one, other)
    await refreshes_hold(one, other)
    await mails_go_once(mail, one, other)
    await revocations_hold(one, other)
