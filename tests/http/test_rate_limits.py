"""Rate limits answer as recorded, count in memory or in Redis, and survive that Redis is unavailable."""

import asyncio
import shutil
import socket
import subprocess
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from signal import SIGCONT, SIGSTOP

import pytest
import pytest_asyncio
from httpx import ASGITransport, AsyncClient
from structlog.testing import capture_logs

from app.core.clock import utc_now
from app.core.config import ConfigurationError
from app.core.errors import RequestsExceeded
from app.http.authentication import Authenticator
from app.http.middleware import request_limiter
from app.main import create_app
from app.metrics.metrics import Metrics
from app.ratelimit import memory_storage
from app.ratelimit.limiter import RateLimiter, is_per_process
from tests.conftest import make_settings
from tests.http.test_graphql import ADA, PATH

CLIENT = {"rate_limiter_enabled": True, "rate_limiter_points": 3, "rate_limiter_duration": 2}
GLOBAL = {"rate_limiter_global_enabled": True, "rate_limiter_global_points": 3, "rate_limiter_global_duration": 2}
IP, OTHER_IP = "192.0.2.1", "192.0.2.2"
SERVER = shutil.which("redis-server") or ""
needs_redis = pytest.mark.skipif(not SERVER, reason="redis-server is not installed")


class ManualClock:
    """A monotonic clock that the test advances."""

    def __init__(self):
        self.seconds = 1_000.0

    def __call__(self):
        return self.seconds


class RedisServer:
    """A Redis server of one test, which can be killed, restarted and suspended."""

    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}"
        self._folder = folder

    def start(self):
        options = ["--port", str(self.port), "--save", "", "--appendonly", "no", "--dir", str(self._folder)]
        self._process = subprocess.Popen([SERVER, *options], stdout=subprocess.DEVNULL)
        for _ in range(200):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.02)
        raise TimeoutError("redis-server did not start")

    def send_signal(self, number):
        self._process.send_signal(number)

    def kill(self):
        self._process.kill()
        self._process.wait()


@pytest.fixture
def redis(tmp_path):
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest_asyncio.fixture
async def create_limiter():
    """Creates rate limiters from settings, and closes them at the end."""
    async with AsyncExitStack() as stack:

        def create(monotonic=time.monotonic, **settings):
            limiter = RateLimiter.from_settings(limiter_settings(**settings), utc_now, monotonic)
            stack.push_async_callback(limiter.dispose)
            return limiter

        yield create


def limiter_settings(**settings):
    return make_settings("sqlite+aiosqlite:///nowhere.db", **settings)


@asynccontextmanager
async def serve(settings, ip=IP):
    app = create_app(settings)
    transport = ASGITransport(app, client=(ip, 1234))
    async with app.router.lifespan_context(app), AsyncClient(transport=transport, base_url="http://rollcall") as client:
        yield client


async def rejection(hit):
    with pytest.raises(RequestsExceeded) as error:
        await hit
    return error.value


async def count_allowed(limiter, *ips):
    """How many requests of these addresses are allowed, one after another."""
    allowed = 0
    for ip in ips:
        with suppress(RequestsExceeded):
            await limiter.check_request(ip)
            allowed += 1
    return allowed


def with_store(settings, store, request):
    """The same settings for one of the two stores."""
    return settings if store == "memory" else settings | in_redis(request.getfixturevalue("redis"))


def in_redis(server):
    return {"rate_limiter_store": "redis", "redis": server.url}


STORES = ["memory", pytest.param("redis", marks=needs_redis)]


@pytest.mark.parametrize("store", STORES)
async def test_requests_over_the_limit_get_the_recorded_response_whatever_they_ask_for(tmp_path, store, request):
    settings = make_settings(f"sqlite+aiosqlite:///{tmp_path / 'unused.db'}", **with_store(CLIENT, store, request))
    async with serve(settings) as client:
        first = [(await client.get("/server/ping")).text for _ in range(3)]
        started = utc_now()
        rejected = [
            await client.get("/server/ping"),
            await client.post(PATH, json={"query": "{ server_ping }"}, headers=ADA),
            await client.post(PATH, content=b"x" * 2_000_000),
            await client.get("/nowhere"),
        ]

    assert first == ["pong"] * 3
    for response in rejected:
        error = response.json()["errors"][0]
        reset = datetime.strptime(error["extensions"].pop("reset"), "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
        assert (response.status_code, response.headers["retry-after"]) == (429, "2")
        assert response.headers["content-type"] == "application/json; charset=utf-8"
        assert error == {
            "message": "Too many requests, retry after 2s.",
            "extensions": {"limit": 3, "code": "REQUESTS_EXCEEDED"},
        }
        assert timedelta(seconds=1) < reset - started < timedelta(seconds=2.1)


@needs_redis
async def test_rejected_requests_do_not_prolong_a_window_in_redis(create_limiter, redis):
    limiter = create_limiter(**CLIENT | {"rate_limiter_duration": 1}, **in_redis(redis))

    assert await count_allowed(limiter, *[IP] * 5) == 3
    await asyncio.sleep(0.5)
    assert await count_allowed(limiter, *[IP] * 5) == 0
    await asyncio.sleep(0.6)
    assert await count_allowed(limiter, *[IP] * 5) == 3


async def test_rejected_requests_do_not_prolong_a_window_in_memory(create_limiter):
    limiter = create_limiter(clock := ManualClock(), **CLIENT)
    allowed = []
    for later in (0, 1.9, 0.1):
        clock.seconds += later
        allowed.append(await count_allowed(limiter, *[IP] * 5))

    assert allowed == [3, 0, 3]


async def test_the_rest_of_a_window_is_reported_in_whole_seconds_and_is_at_least_one(create_limiter):
    limiter = create_limiter(clock := ManualClock(), rate_limiter_registration_points=1)
    await limiter.check_registration(IP)
    seconds = []
    for later in (3.8, 30, 26, 0.15):
        clock.seconds += later
        seconds.append((await rejection(limiter.check_registration(IP))).seconds)
    clock.seconds += 0.1

    assert seconds == [56, 26, 1, 1]
    await limiter.check_registration(IP)


async def test_each_address_is_counted_separately(create_limiter):
    limiter = create_limiter(**CLIENT)

    assert await count_allowed(limiter, *[IP] * 4, *[OTHER_IP] * 4, None, None, None, None) == 9


async def test_ipv6_addresses_are_counted_by_their_64_bit_network(create_limiter):
    limiter = create_limiter(**CLIENT)
    one, other = [f"2001:db8:0:1::{host}" for host in range(1, 6)], [f"2001:db8:0:2::{host}" for host in range(1, 6)]

    assert await count_allowed(limiter, *one) == 3
    assert await count_allowed(limiter, *other) == 3


@pytest.mark.parametrize(
    ("trust", "allowed"),
    [(False, 3), (True, 5), (1, 5), ("192.0.2.0/24", 5), ("198.51.100.0/24", 3)],
)
async def test_only_a_trusted_proxys_header_names_the_client(tmp_path, trust, allowed):
    settings = make_settings(f"sqlite+aiosqlite:///{tmp_path / 'unused.db'}", ip_trust_proxy=trust, **CLIENT)
    async with serve(settings) as client:
        responses = [await client.get("/server/ping", headers={"X-Forwarded-For": f"203.0.113.{n}"}) for n in range(5)]

    assert [response.status_code for response in responses].count(200) == allowed


async def test_the_global_rate_counts_all_clients_together(create_limiter):
    limiter = create_limiter(**GLOBAL)

    assert await count_allowed(limiter, IP, OTHER_IP, "192.0.2.3", "192.0.2.4") == 3
    assert (await rejection(limiter.check_request("192.0.2.5"))).details["limit"] == 3


async def test_requests_over_a_clients_rate_do_not_count_for_the_global_one(create_limiter):
    limiter = create_limiter(**CLIENT | {"rate_limiter_points": 1}, **GLOBAL)

    assert await count_allowed(limiter, *[IP] * 10, OTHER_IP, "192.0.2.3") == 3


async def test_registrations_are_limited_unless_that_is_disabled(create_limiter):
    limiter, unlimited = create_limiter(), create_limiter(rate_limiter_registration_enabled=False)
    for _ in range(5):
        await limiter.check_registration(IP)
    for _ in range(6):
        await unlimited.check_registration(IP)

    assert (await rejection(limiter.check_registration(IP))).details["limit"] == 5
    assert not limiter.limits_requests


async def test_without_a_rate_for_requests_the_middleware_has_no_limiter(create_limiter):
    authenticator = Authenticator("a secret that only tests know and use", "cookie", trust=False)

    assert request_limiter(create_limiter(), authenticator, Metrics()) is None
    assert request_limiter(create_limiter(**CLIENT), authenticator, Metrics()) is not None
    assert request_limiter(create_limiter(**GLOBAL), authenticator, Metrics()) is not None


async def test_memory_drops_the_windows_that_were_not_counted_in_for_longest(create_limiter, monkeypatch):
    monkeypatch.setattr(memory_storage, "MAX_WINDOWS", 10)
    limiter = create_limiter(**CLIENT | {"rate_limiter_points": 1})
    await limiter.check_request(IP)
    for network in range(100):
        await limiter.check_request(f"2001:db8:0:{network:x}::1")
        await rejection(limiter.check_request(IP))


RATES = "{ server_info { rateLimit rateLimitGlobal } }"


@pytest.mark.parametrize(
    ("settings", "by_rest", "in_graphql"),
    [
        ({}, (False, False), (False, False)),
        (CLIENT, ({"points": 3, "duration": 2}, False), (True, False)),
        (GLOBAL, (False, {"points": 3, "duration": 2}), (False, True)),
    ],
)
async def test_server_info_reports_the_rates(readonly_db, settings, by_rest, in_graphql):
    async with serve(readonly_db.settings.model_copy(update=settings)) as client:
        rest = (await client.get("/server/info", headers=ADA)).json()["data"]
        graphql = (await client.post(PATH, json={"query": RATES}, headers=ADA)).json()["data"]["server_info"]

    assert (rest["rateLimit"], rest["rateLimitGlobal"]) == by_rest
    assert (graphql["rateLimit"], graphql["rateLimitGlobal"]) == in_graphql


@needs_redis
async def test_several_processes_share_their_counts_in_redis(create_limiter, redis):
    one, other = create_limiter(**CLIENT, **in_redis(redis)), create_limiter(**CLIENT, **in_redis(redis))
    allowed = await asyncio.gather(*(count_allowed(limiter, IP) for limiter in (one, other) * 10))

    assert sum(allowed) == 3


@needs_redis
async def test_each_process_counts_in_memory_until_redis_has_recovered(create_limiter, redis):
    limiter, other = create_limiter(**CLIENT, **in_redis(redis)), create_limiter(**CLIENT, **in_redis(redis))
    with capture_logs() as lines:
        assert await count_allowed(limiter, *[IP] * 4) == 3
        redis.kill()
        assert await count_allowed(limiter, *[IP] * 4) == 3
        redis.start()
        await until(lambda: "redis_recovered" in [line["event"] for line in lines])
        assert await count_allowed(other, *[IP] * 2) == 2
        assert await count_allowed(limiter, *[IP] * 2) == 1

    assert [line["event"] for line in lines] == ["redis_unavailable", "redis_recovered"]
    assert redis.url not in str(lines)


@needs_redis
async def test_a_redis_that_hangs_delays_only_the_first_requests(create_limiter, redis):
    # the window is longer than the test
    points = {"rate_limiter_points": 50, "rate_limiter_duration": 60}
    limiter = create_limiter(**CLIENT | points, **in_redis(redis))
    assert await count_allowed(limiter, *[IP] * 50) == 50
    redis.send_signal(SIGSTOP)
    try:
        with capture_logs() as lines:
            started = time.monotonic()
            allowed = await asyncio.gather(*(count_allowed(limiter, IP) for _ in range(60)))
            first_seconds = time.monotonic() - started
            started = time.monotonic()
            await count_allowed(limiter, *[OTHER_IP] * 20)
            later_seconds = time.monotonic() - started
    finally:
        redis.send_signal(SIGCONT)

    assert (sum(allowed), [line["event"] for line in lines]) == (50, ["redis_unavailable"])
    assert first_seconds < 1.5
    assert later_seconds < 0.2
    with capture_logs() as lines:
        await until(lambda: lines)
    assert lines[0]["event"] == "redis_recovered"
    assert await count_allowed(limiter, *[OTHER_IP] * 51) == 50


async def until(predicate):
    for _ in range(250):
        if predicate():
            return
        await asyncio.sleep(0.02)
    raise TimeoutError


async def test_requests_are_answered_and_limited_without_any_redis(tmp_path):
    settings = make_settings(
        f"sqlite+aiosqlite:///{tmp_path / 'unused.db'}",
        rate_limiter_store="redis",
        redis="redis://127.0.0.1:1",
        **CLIENT,
    )
    async with serve(settings) as client:
        statuses = [(await client.get("/server/ping")).status_code for _ in range(4)]

    assert statuses == [200, 200, 200, 429]


@pytest.mark.parametrize("url", ["127.0.0.1:6379", "http://127.0.0.1", "redis://user:only-for-a-test@host:port"])
def test_an_invalid_redis_url_is_rejected_without_being_quoted(url):
    with pytest.raises(ConfigurationError, match="REDIS: should be like") as error:
        RateLimiter.from_settings(limiter_settings(rate_limiter_store="redis", redis=url))

    assert "only-for-a-test" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "per_process"),
    [
        ({}, True),
        ({"rate_limiter_store": "redis"}, False),
        ({"rate_limiter_registration_enabled": False}, False),
        ({"rate_limiter_registration_enabled": False, **GLOBAL}, True),
    ],
)
def test_rates_are_per_process_if_any_is_counted_in_memory(settings, per_process):
    assert is_per_process(limiter_settings(**settings)) is per_process


def test_serve_warns_if_rates_multiply_by_the_number_of_workers(tmp_path):
    env = {"DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path / 'unused.db'}", "PATH": ""}
    command = [sys.executable, "-c", "from app.cli import main; main()", "serve", "--workers", "2", "--port", "0"]
    result = subprocess.run(command, check=False, env=env, capture_output=True, text=True, timeout=20)

    assert "rate limits multiply by 2" in result.stderr
    assert result.returncode == 1  # the database was never bootstrapped


REGISTER = 'mutation { users_register(email: "new@example.com", password: "a secret that only tests know and use") }'


async def test_too_many_registrations_are_rejected_before_any_other_check(restored_db):
    settings = restored_db.settings.model_copy(update={"register_stall_time": timedelta(0), "ip_trust_proxy": True})
    async with serve(settings) as client:
        errors = []
        for ip in (*[IP] * 6, OTHER_IP):
            response = await client.post(PATH, json={"query": REGISTER}, headers={"X-Forwarded-For": ip})
            errors += response.json()["errors"]

    codes = [error["extensions"]["code"] for error in errors]
    assert codes == ["FORBIDDEN"] * 5 + ["REQUESTS_EXCEEDED", "FORBIDDEN"]
    assert errors[5]["message"].startswith("Too many requests, retry after ")
    assert errors[5]["extensions"]["limit"] == 5
