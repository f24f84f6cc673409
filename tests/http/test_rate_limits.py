"""How often somebody may ask: the recorded answers, in memory and in Redis, and what happens when that is away."""

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
from app.ratelimit import memory
from app.ratelimit.limiter import RateLimiter, is_per_process
from tests.conftest import make_settings
from tests.http.test_graphql import ADA, PATH

CLIENT = {"rate_limiter_enabled": True, "rate_limiter_points": 3, "rate_limiter_duration": 2}
EVERYBODY = {"rate_limiter_global_enabled": True, "rate_limiter_global_points": 3, "rate_limiter_global_duration": 2}
HERE, THERE = "192.0.2.1", "192.0.2.2"
SERVER = shutil.which("redis-server") or ""
needs_redis = pytest.mark.skipif(not SERVER, reason="redis-server is not installed")


class Ticking:
    """A clock that is moved by hand."""

    def __init__(self):
        self.seconds = 1_000.0

    def __call__(self):
        return self.seconds


class Redis:
    """A Redis of one's own, to be ended, begun again, and held up."""

    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}"
        self._folder = folder

    def begin(self):
        told = ["--port", str(self.port), "--save", "", "--appendonly", "no", "--dir", str(self._folder)]
        self._process = subprocess.Popen([SERVER, *told], stdout=subprocess.DEVNULL)
        for _ in range(200):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.02)
        raise TimeoutError("redis-server doesn't begin")

    def signal(self, what):
        self._process.send_signal(what)

    def end(self):
        self._process.kill()
        self._process.wait()


@pytest.fixture
def redis(tmp_path):
    server = Redis(tmp_path)
    server.begin()
    yield server
    server.end()


@pytest_asyncio.fixture
async def opened():
    """Makes Rates of some settings, and closes them."""
    async with AsyncExitStack() as stack:

        def make(tick=time.monotonic, **settings):
            rates = RateLimiter.from_settings(made(**settings), utc_now, tick)
            stack.push_async_callback(rates.dispose)
            return rates

        yield make


def made(**settings):
    return make_settings("sqlite+aiosqlite:///nowhere.db", **settings)


@asynccontextmanager
async def served(settings, ip=HERE):
    app = create_app(settings)
    transport = ASGITransport(app, client=(ip, 1234))
    async with app.router.lifespan_context(app), AsyncClient(transport=transport, base_url="http://rollcall") as client:
        yield client


async def refused(asked):
    with pytest.raises(RequestsExceeded) as error:
        await asked
    return error.value


async def counted(rates, *ips):
    """How many of these requests go through, one after another."""
    through = 0
    for ip in ips:
        with suppress(RequestsExceeded):
            await rates.check_request(ip)
            through += 1
    return through


def at(settings, store, request):
    """The same settings for one of the two stores."""
    return settings if store == "memory" else settings | in_redis(request.getfixturevalue("redis"))


def in_redis(server):
    return {"rate_limiter_store": "redis", "redis": server.url}


STORES = ["memory", pytest.param("redis", marks=needs_redis)]


@pytest.mark.parametrize("store", STORES)
async def test_one_too_many_is_answered_as_recorded_whatever_was_asked(tmp_path, store, request):
    settings = make_settings(f"sqlite+aiosqlite:///{tmp_path / 'unused.db'}", **at(CLIENT, store, request))
    async with served(settings) as client:
        first = [(await client.get("/server/ping")).text for _ in range(3)]
        then = utc_now()
        over = [
            await client.get("/server/ping"),
            await client.post(PATH, json={"query": "{ server_ping }"}, headers=ADA),
            await client.post(PATH, content=b"x" * 2_000_000),
            await client.get("/nowhere"),
        ]

    assert first == ["pong"] * 3
    for answer in over:
        error = answer.json()["errors"][0]
        reset = datetime.strptime(error["extensions"].pop("reset"), "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        assert error == {
            "message": "Too many requests, retry after 2s.",
            "extensions": {"limit": 3, "code": "REQUESTS_EXCEEDED"},
        }
        assert timedelta(seconds=1) < reset - then < timedelta(seconds=2.1)


@needs_redis
async def test_a_window_of_redis_ends_when_it_said_however_many_were_refused_in_it(opened, redis):
    rates = opened(**CLIENT | {"rate_limiter_duration": 1}, **in_redis(redis))

    assert await counted(rates, *[HERE] * 5) == 3
    await asyncio.sleep(0.5)
    assert await counted(rates, *[HERE] * 5) == 0
    await asyncio.sleep(0.6)
    assert await counted(rates, *[HERE] * 5) == 3


async def test_so_does_one_in_memory(opened):
    rates = opened(tick := Ticking(), **CLIENT)
    through = []
    for later in (0, 1.9, 0.1):
        tick.seconds += later
        through.append(await counted(rates, *[HERE] * 5))

    assert through == [3, 0, 3]


async def test_what_is_left_of_a_window_is_told_in_whole_seconds_and_never_none(opened):
    rates = opened(tick := Ticking(), rate_limiter_registration_points=1)
    await rates.check_registration(HERE)
    told = []
    for later in (3.8, 30, 26, 0.15):
        tick.seconds += later
        told.append((await refused(rates.check_registration(HERE))).seconds)
    tick.seconds += 0.1

    assert told == [56, 26, 1, 1]
    await rates.check_registration(HERE)


async def test_each_address_is_counted_by_itself(opened):
    rates = opened(**CLIENT)

    assert await counted(rates, *[HERE] * 4, *[THERE] * 4, None, None, None, None) == 9


async def test_ipv6_is_counted_by_the_network_that_one_client_has(opened):
    rates = opened(**CLIENT)
    one, other = [f"2001:db8:0:1::{host}" for host in range(1, 6)], [f"2001:db8:0:2::{host}" for host in range(1, 6)]

    assert await counted(rates, *one) == 3
    assert await counted(rates, *other) == 3


@pytest.mark.parametrize(
    ("trust", "through"),
    [(False, 3), (True, 5), (1, 5), ("192.0.2.0/24", 5), ("198.51.100.0/24", 3)],
)
async def test_only_a_header_that_is_trusted_tells_another_address(tmp_path, trust, through):
    settings = make_settings(f"sqlite+aiosqlite:///{tmp_path / 'unused.db'}", ip_trust_proxy=trust, **CLIENT)
    async with served(settings) as client:
        answers = [await client.get("/server/ping", headers={"X-Forwarded-For": f"203.0.113.{n}"}) for n in range(5)]

    assert [answer.status_code for answer in answers].count(200) == through


async def test_all_together_are_counted_too(opened):
    rates = opened(**EVERYBODY)

    assert await counted(rates, HERE, THERE, "192.0.2.3", "192.0.2.4") == 3
    assert (await refused(rates.check_request("192.0.2.5"))).details["limit"] == 3


async def test_who_is_refused_uses_up_nothing_of_what_is_for_everybody(opened):
    rates = opened(**CLIENT | {"rate_limiter_points": 1}, **EVERYBODY)

    assert await counted(rates, *[HERE] * 10, THERE, "192.0.2.3") == 3


async def test_registrations_are_counted_unless_that_is_turned_off(opened):
    rates, free = opened(), opened(rate_limiter_registration_enabled=False)
    for _ in range(5):
        await rates.check_registration(HERE)
    for _ in range(6):
        await free.check_registration(HERE)

    assert (await refused(rates.check_registration(HERE))).details["limit"] == 5
    assert not rates.of_requests


async def test_where_no_limit_is_set_nothing_stands_in_front_of_requests(opened):
    identity = Authenticator("a secret only tests know", "cookie", trust=False)

    assert request_limiter(opened(), identity) is None
    assert request_limiter(opened(**CLIENT), identity) is not None
    assert request_limiter(opened(**EVERYBODY), identity) is not None


async def test_memory_holds_so_many_windows_and_keeps_those_that_are_asked_in(opened, monkeypatch):
    monkeypatch.setattr(memory, "MOST", 10)
    rates = opened(**CLIENT | {"rate_limiter_points": 1})
    await rates.check_request(HERE)
    for network in range(100):
        await rates.check_request(f"2001:db8:0:{network:x}::1")
        await refused(rates.check_request(HERE))


RATES = "{ server_info { rateLimit rateLimitGlobal } }"


@pytest.mark.parametrize(
    ("settings", "by_rest", "in_graphql"),
    [
        ({}, (False, False), (False, False)),
        (CLIENT, ({"points": 3, "duration": 2}, False), (True, False)),
        (EVERYBODY, (False, {"points": 3, "duration": 2}), (False, True)),
    ],
)
async def test_the_server_tells_its_rates(readonly_db, settings, by_rest, in_graphql):
    async with served(readonly_db.settings.model_copy(update=settings)) as client:
        told = (await client.get("/server/info", headers=ADA)).json()["data"]
        asked = (await client.post(PATH, json={"query": RATES}, headers=ADA)).json()["data"]["server_info"]

    assert (told["rateLimit"], told["rateLimitGlobal"]) == by_rest
    assert (asked["rateLimit"], asked["rateLimitGlobal"]) == in_graphql


@needs_redis
async def test_several_processes_count_together_in_redis(opened, redis):
    one, other = opened(**CLIENT, **in_redis(redis)), opened(**CLIENT, **in_redis(redis))
    through = await asyncio.gather(*(counted(rates, HERE) for rates in (one, other) * 10))

    assert sum(through) == 3


@needs_redis
async def test_with_redis_away_counting_goes_on_here_until_it_is_back(opened, redis):
    rates, other = opened(**CLIENT, **in_redis(redis)), opened(**CLIENT, **in_redis(redis))
    with capture_logs() as lines:
        assert await counted(rates, *[HERE] * 4) == 3
        redis.end()
        assert await counted(rates, *[HERE] * 4) == 3
        redis.begin()
        await until(lambda: "redis_back" in [line["event"] for line in lines])
        assert await counted(other, *[HERE] * 2) == 2
        assert await counted(rates, *[HERE] * 2) == 1

    assert [line["event"] for line in lines] == ["redis_away", "redis_back"]
    assert redis.url not in str(lines)


@needs_redis
async def test_a_redis_that_hangs_keeps_nobody_waiting_for_long(opened, redis):
    points = {"rate_limiter_points": 50, "rate_limiter_duration": 60}  # no other window begins, however slow this is
    rates = opened(**CLIENT | points, **in_redis(redis))
    assert await counted(rates, *[HERE] * 50) == 50
    redis.signal(SIGSTOP)
    try:
        with capture_logs() as lines:
            began = time.monotonic()
            through = await asyncio.gather(*(counted(rates, HERE) for _ in range(60)))
            first = time.monotonic() - began
            began = time.monotonic()
            await counted(rates, *[THERE] * 20)
            later = time.monotonic() - began
    finally:
        redis.signal(SIGCONT)

    assert (sum(through), [line["event"] for line in lines]) == (50, ["redis_away"])
    assert first < 1.5
    assert later < 0.2
    with capture_logs() as lines:
        await until(lambda: lines)
    assert lines[0]["event"] == "redis_back"
    assert await counted(rates, *[THERE] * 51) == 50


async def until(holds):
    for _ in range(250):
        if holds():
            return
        await asyncio.sleep(0.02)
    raise TimeoutError


async def test_without_any_redis_requests_are_answered(tmp_path):
    settings = make_settings(
        f"sqlite+aiosqlite:///{tmp_path / 'unused.db'}",
        rate_limiter_store="redis",
        redis="redis://127.0.0.1:1",
        **CLIENT,
    )
    async with served(settings) as client:
        answers = [(await client.get("/server/ping")).status_code for _ in range(4)]

    assert answers == [200, 200, 200, 429]


@pytest.mark.parametrize("address", ["127.0.0.1:6379", "http://127.0.0.1", "redis://user:only-for-a-test@host:port"])
def test_an_address_that_no_redis_can_have_is_refused_without_being_told(address):
    with pytest.raises(ConfigurationError, match="REDIS: should be like") as error:
        RateLimiter.from_settings(made(rate_limiter_store="redis", redis=address))

    assert "only-for-a-test" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "apart"),
    [
        ({}, True),
        ({"rate_limiter_store": "redis"}, False),
        ({"rate_limiter_registration_enabled": False}, False),
        ({"rate_limiter_registration_enabled": False, **EVERYBODY}, True),
    ],
)
def test_it_is_known_whether_limits_multiply_by_processes(settings, apart):
    assert is_per_process(made(**settings)) is apart


def test_serving_with_several_workers_says_so(tmp_path):
    env = {"DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path / 'unused.db'}", "PATH": ""}
    command = [sys.executable, "-c", "from app.cli import main; main()", "serve", "--workers", "2"]
    with socket.socket() as taken:  # so that serving ends before it begins
        taken.bind(("127.0.0.1", 0))
        command += ["--port", str(taken.getsockname()[1])]
        told = subprocess.run(command, check=False, env=env, capture_output=True, text=True, timeout=20)

    assert "rate limits multiply by 2" in told.stderr


REGISTER = 'mutation { users_register(email: "new@example.com", password: "only for a test") }'


async def test_registering_too_often_is_refused_before_anything_else(writable_db):
    settings = writable_db.settings.model_copy(update={"register_stall_time": timedelta(0), "ip_trust_proxy": True})
    async with served(settings) as client:
        told = []
        for ip in (*[HERE] * 6, THERE):
            answer = await client.post(PATH, json={"query": REGISTER}, headers={"X-Forwarded-For": ip})
            told += answer.json()["errors"]

    codes = [error["extensions"]["code"] for error in told]
    assert codes == ["FORBIDDEN"] * 5 + ["REQUESTS_EXCEEDED", "FORBIDDEN"]
    assert told[5]["message"].startswith("Too many requests, retry after ")
    assert told[5]["extensions"]["limit"] == 5
