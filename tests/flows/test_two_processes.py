"""Two server processes that share one PostgreSQL and one Redis behave as one directory."""

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
from tests.base_data import cheap_hash, static_token, uid
from tests.compat.replay import ROLLCALL, free_port
from tests.conftest import HAS_POSTGRESQL, open_copy
from tests.http.test_graphql import ADA, bearer
from tests.http.test_rate_limits import RedisServer, needs_redis
from tests.mail.server import MailServer

PASSWORD = "correct, but only here"
GUESTS = [f"guest{number}@example.com" for number in range(12)]
GRACE_SECONDS = 2
pytestmark = [needs_redis, pytest.mark.skipif(not HAS_POSTGRESQL, reason="no PostgreSQL answers")]


def settings_of(system, mail, redis):
    """Return the settings of both processes as environment variables."""
    return {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": system.settings.database_url,
        "SECRET": system.settings.secret.get_secret_value(),
        "LOG_LEVEL": "error",
        "DB_POOL_SIZE": "4",
        "IP_TRUST_PROXY": "true",
        "LOGIN_STALL_TIME": "0",
        "REGISTER_STALL_TIME": "0",
        "SESSION_REFRESH_GRACE_PERIOD": f"{GRACE_SECONDS}s",
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


async def wait_until_ready(client):
    async with asyncio.timeout(60):
        while True:
            try:
                await client.get("/server/ping", headers=from_network("ping"))
            except httpx.TransportError:
                await asyncio.sleep(0.05)
            else:
                return


@asynccontextmanager
async def serving(env):
    """Run `rollcall serve` and yield a client of it."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(*ROLLCALL, "serve", "--port", str(port), env=env)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            await wait_until_ready(client)
            yield client
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 20) in (0, -15)


def from_network(name):
    """Return the header of requests from a named IP; the rate limit applies to each IP."""
    number = IP_NUMBERS.setdefault(name, len(IP_NUMBERS) + 1)
    return {"x-forwarded-for": f"198.51.100.{number}"}


IP_NUMBERS: dict[str, int] = {}


@pytest.fixture
async def processes(templates, tmp_path):
    """Two processes, a user with a password, and the SMTP server of both."""
    redis = RedisServer(tmp_path)
    async with AsyncExitStack() as stack:
        system = await open_copy(stack, "postgresql", templates, tmp_path)
        mail = await stack.enter_async_context(MailServer().up())
        redis.start()
        stack.callback(redis.kill)
        env = settings_of(system, mail, redis)
        settings = {"auth_login_attempts": 4, "public_registration": True, "public_registration_verify_email": False}
        await system.directory(SYSTEM)["settings"].upsert_singleton(settings)
        async with system.database.transaction() as connection:
            credentials = {"password": cheap_hash(PASSWORD), "tfa_secret": None}
            await connection.execute(update(User).where(User.id == uid("vi")).values(**credentials))
        clients = await asyncio.gather(*(stack.enter_async_context(serving(env)) for _ in range(2)))
        yield mail, *clients


def login(client, password=PASSWORD, network=None, mode="json"):
    credentials = {"email": "vi@example.com", "password": password, "mode": mode}
    return client.post("/auth/login", json=credentials, headers=from_network(network or uuid4().hex))


def cookie_of(response):
    return {"cookie": response.headers["set-cookie"].partition(";")[0]}


async def check_rate_limits(first, second):
    statuses = [
        (await client.get("/server/ping", headers=from_network("busy"))).status_code for client in (first, second) * 4
    ]
    assert Counter(statuses) == {200: 7, 429: 1}

    registrations = [
        await client.post(
            "/users/register",
            json={"email": f"{uuid4().hex}@example.com", "password": PASSWORD},
            headers=from_network("eager"),
        )
        for client in (first, second, first, second)
    ]
    assert [response.status_code for response in registrations] == [204, 204, 204, 429]


async def check_lockouts(first, second):
    for client in (first, second, first, second):
        assert (await login(client, "wrong", "stranger")).status_code == 401
    assert (await login(first, network="stranger")).status_code == 401
    assert (await login(second, network="stranger")).status_code == 401
    assert (await login(second, network="home")).status_code == 200


async def check_refreshes(first, second):
    old = cookie_of(await login(first, mode="session"))

    async def refresh(client):
        response = await client.post("/auth/refresh", json={"mode": "session"}, headers=old | from_network(uuid4().hex))
        assert response.status_code == 200
        return cookie_of(response)

    async def me(client, cookie):
        response = await client.get("/users/me?fields=id", headers=cookie | from_network(uuid4().hex))
        return response.status_code

    new, *others = await asyncio.gather(refresh(first), refresh(second), refresh(first))
    for client in (first, second):
        assert [await me(client, cookie) for cookie in (old, new, *others)] == [200] * 4
    await asyncio.sleep(GRACE_SECONDS + 0.2)
    for client in (first, second):
        assert [await me(client, cookie) for cookie in (old, new, *others)] == [401, 200, 200, 200]
    ended = await first.post("/auth/logout", json={"mode": "session"}, headers=new | from_network("leaving"))
    assert ended.status_code == 204
    assert [await me(client, cookie) for client in (first, second) for cookie in (new, *others)] == [401] * 6


async def check_mails_are_sent_once(mail, first, second):
    invitations = [
        client.post(
            "/users/invite",
            json={"email": email, "role": uid("role-Staff")},
            headers=ADA | from_network(f"inviter {email}"),
        )
        for client, email in zip((first, second) * len(GUESTS), GUESTS, strict=False)
    ]
    assert {response.status_code for response in await asyncio.gather(*invitations)} == {204}
    async with asyncio.timeout(20):
        while len(mail.mails) < len(GUESTS):  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.05)
    await asyncio.sleep(1.5)  # a duplicate would arrive in this time
    assert Counter(message.to[0] for message in mail.mails) == dict.fromkeys(GUESTS, 1)


async def check_revocations(first, second):
    vi = bearer(static_token("vi"))
    for client in (first, second):
        assert (await client.get("/users/me?fields=id", headers=vi | from_network(uuid4().hex))).status_code == 200
    path = f"/users/{uid('vi')}"
    suspended = await first.patch(path, json={"status": "suspended"}, headers=ADA | from_network("suspender"))
    assert suspended.status_code == 200
    for client in (second, first):
        assert (await client.get("/users/me?fields=id", headers=vi | from_network(uuid4().hex))).status_code == 401


@pytest.mark.slow
async def test_two_processes_share_limits_lockouts_sessions_mails_and_revocations(processes):
    mail, first, second = processes

    await check_rate_limits(first, second)
    await check_lockouts(first, second)
    await check_refreshes(first, second)
    await check_mails_are_sent_once(mail, first, second)
    await check_revocations(first, second)
