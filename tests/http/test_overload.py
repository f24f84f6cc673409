"""Too many requests at once: what waits, what is rejected, and what runs nevertheless."""

import asyncio
import sys
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from types import SimpleNamespace

import httpx
import pytest
from starlette.routing import Router

from app.cli import connection_limit
from app.cli.connection_limit import choose_connections
from app.cli.server import http_protocol
from app.core.errors import InvalidCredentials
from app.core.sign_in_turn import run_as_sign_in
from app.http import middleware
from app.http.admission import PROVIDER_PATHS, SIGN_IN_PATHS, UNLIMITED_PATHS, Admission
from app.http.admission_queue import AdmissionLimits
from app.http.middleware import HTTPMiddleware, MiddlewareOptions
from app.http.response import Response
from app.main import create_app
from app.metrics.metrics import Metrics
from tests.conftest import make_settings
from tests.db.activity import SOON_SECONDS
from tests.http.test_graphql import served
from tests.in_process import in_process_server

SPELLINGS = ("/auth/login/", "/Auth/Login", "/auth/refresh//", "/server/health/")
"""Other spellings of paths whose requests do not wait among all others."""
OF_PROVIDER = [path.format("office") for path in PROVIDER_PATHS if "callback" not in path]
LIMITS = AdmissionLimits(max_running=16, max_waiting=4, timeout=30.0)
RUNNING = 15
"""How many requests of one client run at once: all but one, which is reserved for another client."""
MAX_CONNECTIONS = 10
GET = b"GET /server/ping HTTP/1.1\r\nHost: x\r\n\r\n"
GRAPHQL = "/graphql/system"
BODY = b'{"query": "{ server_ping }"}'


class Held:
    """An endpoint whose requests end when `release` is set; those that read their body read it first."""

    def __init__(self):
        self.release, self.running = asyncio.Event(), 0

    async def __call__(self, scope, head, body):
        await body()
        self.running += 1
        await self.release.wait()
        return Response(b"done")


@pytest.fixture
def held():
    return Held()


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture
def admission(metrics):
    """The addresses of clients are those of X-Forwarded-For."""
    return Admission(LIMITS, lambda head: head.forwarded_for.decode() or "192.0.2.1", metrics, ["office"])


@pytest.fixture
def app(held, admission):
    """Requests to `/held` last until they are released."""

    async def quick(scope, head, body):
        return Response(b"quick")

    async def stream(scope, head, body):
        async def chunks():
            await held.release.wait()
            yield b"streamed"

        return Response(b"", stream=chunks())

    async def turns_out_as_sign_in(scope, head, body):
        return await run_as_sign_in(partial(held, scope, head, body), is_last=True)

    async def begins_with_sign_in(scope, head, body):
        await run_as_sign_in(partial(quick, scope, head, body), is_last=False)
        return await held(scope, head, body)

    async def begins_with_failed_sign_in(scope, head, body):
        async def fail():
            raise InvalidCredentials

        with suppress(InvalidCredentials):
            await run_as_sign_in(fail, is_last=False)
        return await held(scope, head, body)

    paths = dict.fromkeys((*SIGN_IN_PATHS, *OF_PROVIDER, *UNLIMITED_PATHS, "/quick"), quick)
    options = MiddlewareOptions(admission=admission)
    endpoints = {**paths, "/held": held, "/stream": stream, "/auth/login/office/callback": held}
    endpoints |= {
        "/turns-out-as-sign-in": turns_out_as_sign_in,
        "/begins-with-sign-in": begins_with_sign_in,
        "/begins-with-failed-sign-in": begins_with_failed_sign_in,
    }
    return HTTPMiddleware(endpoints, Router(), 1_000, options)


@pytest.fixture
async def client(app, held):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x", timeout=30) as client:
        yield client
        held.release.set()


async def hold(client, count, path="/held"):
    """Send requests and return their tasks once they run or wait."""
    tasks = [asyncio.ensure_future(client.get(path)) for _ in range(count)]
    for _ in range(20):
        await asyncio.sleep(0)
    return tasks


async def test_a_request_over_the_limits_is_rejected_at_once_in_the_format_of_directus(client, held, metrics):
    tasks = await hold(client, RUNNING + 1)  # the last one waits
    rejected = await client.get("/quick")
    held.release.set()
    answered = await asyncio.gather(*tasks)

    assert held.running == RUNNING + 1
    assert rejected.status_code == 503
    assert rejected.headers["retry-after"] == "1"
    assert rejected.json()["errors"][0]["extensions"]["code"] == "SERVICE_UNAVAILABLE"
    assert {response.status_code for response in answered} == {200}
    assert metrics.rejections.read() == {("overload",): 1}
    assert (await client.get("/quick")).status_code == 200


async def test_another_client_is_answered_meanwhile(client, held):
    await hold(client, 20)

    assert (await client.get("/quick", headers={"x-forwarded-for": "192.0.2.7"})).text == "quick"
    assert not held.release.is_set()


@pytest.mark.parametrize("path", [*sorted(SIGN_IN_PATHS), *OF_PROVIDER, *sorted(UNLIMITED_PATHS), *SPELLINGS])
async def test_sign_ins_and_health_checks_do_not_wait_for_other_requests(client, path):
    await hold(client, 20)

    assert (await client.get(path)).text == "quick"


@pytest.mark.parametrize("path", ["/quick", *sorted(SIGN_IN_PATHS)])
async def test_nothing_waits_for_a_provider_that_does_not_respond(client, path):
    await hold(client, 20, "/auth/login/office/callback")

    assert (await client.get(path)).text == "quick"


async def test_below_a_mount_point_sign_ins_do_not_wait_for_other_requests_either(app, client):
    await hold(client, 20)
    mounted = httpx.ASGITransport(app, root_path="/directory")
    async with httpx.AsyncClient(transport=mounted, base_url="http://x") as other:
        assert (await other.get("/directory/auth/login")).text == "quick"


async def test_requests_that_turn_out_to_be_sign_ins_keep_no_other_request_waiting(client, held, admission):
    tasks = await hold(client, 2 * RUNNING, "/turns-out-as-sign-in")
    in_use = admission.requests.in_use, admission.sign_ins.in_use
    answered = await client.get("/quick")
    held.release.set()

    assert (in_use, answered.text) == ((0, RUNNING), "quick")
    assert {response.status_code for response in await asyncio.gather(*tasks)} == {200, 503}
    assert (admission.requests.in_use, admission.sign_ins.in_use) == (0, 0)


@pytest.mark.parametrize("path", ["/begins-with-sign-in", "/begins-with-failed-sign-in"])
async def test_what_follows_a_sign_in_in_its_request_takes_a_turn_among_all_requests_again(
    client, held, admission, path
):
    tasks = await hold(client, RUNNING, path)
    in_use = admission.requests.in_use, admission.sign_ins.in_use
    held.release.set()

    assert in_use == (RUNNING, 0)
    assert {response.status_code for response in await asyncio.gather(*tasks)} == {200}
    assert (admission.requests.in_use, admission.sign_ins.in_use) == (0, 0)


async def test_a_response_that_is_being_sent_takes_no_turn(client, held):
    streams = await hold(client, 20, "/stream")

    assert (await client.get("/quick")).text == "quick"
    held.release.set()
    assert {response.text for response in await asyncio.gather(*streams)} == {"streamed"}


async def test_a_request_whose_body_is_slow_takes_no_turn_until_it_is_complete(held, metrics, monkeypatch):
    monkeypatch.setattr(middleware, "WATCH_AFTER_SECONDS", 0.01)
    admission = Admission(LIMITS, lambda _: "192.0.2.1", metrics)
    app = HTTPMiddleware({"/held": held}, Router(), 1_000, MiddlewareOptions(admission=admission))
    complete = asyncio.Event()

    async def slow_body():
        yield b"begun"
        await complete.wait()
        yield b"ended"

    async def send(client):
        return await client.post("/held", content=slow_body())

    held.release.set()
    transport = SlowTransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x", timeout=30) as client:
        slow = [asyncio.ensure_future(send(client)) for _ in range(8)]
        async with asyncio.timeout(SOON_SECONDS):
            while admission.requests.in_use:  # noqa: ASYNC110  # it has no event for that
                await asyncio.sleep(0.01)
        assert held.running == 0
        complete.set()
        assert {response.status_code for response in await asyncio.gather(*slow)} == {200}
    assert (held.running, admission.requests.in_use) == (8, 0)


class SlowTransport(httpx.AsyncBaseTransport):
    """Sends requests to an application without waiting for their bodies, as a server does."""

    def __init__(self, app):
        self._app = app

    async def handle_async_request(self, request):
        chunks, sent = aiter(request.stream), []
        headers = [(name.lower(), value) for name, value in request.headers.raw]
        scope = {"type": "http", "method": request.method, "path": request.url.path, "headers": headers}

        async def receive():
            chunk = await anext(chunks, None)
            return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}

        async def send(message):
            sent.append(message)

        await self._app(scope, receive, send)
        return httpx.Response(sent[0]["status"], content=sent[1]["body"])


LOGIN = 'mutation { auth_login(email: "ada@example.com", password: "wrong") { access_token } }'


async def test_logins_through_graphql_that_take_long_keep_no_other_request_waiting(members):
    settings = members.settings.model_copy(
        update={"login_stall_time": timedelta(seconds=60), "max_concurrent_requests": 1}
    )
    async with served(settings) as client:
        logins = [asyncio.ensure_future(client.post(GRAPHQL, json={"query": LOGIN})) for _ in range(2)]
        others = [await client.post(GRAPHQL, json={"query": "{ server_ping }"}) for _ in range(3)]
        still_running = [not login.done() for login in logins]
        for login in logins:
            login.cancel()

    assert [other.json() for other in others] == [{"data": {"server_ping": "pong"}}] * 3
    assert still_running == [True, True]


async def test_what_follows_a_login_in_a_document_is_executed(members):
    settings = members.settings.model_copy(update={"max_concurrent_requests": 1})
    text = f"{LOGIN[:-1]} utils_random_string(length: 3) }}"
    async with served(settings) as client:
        answer = (await client.post(GRAPHQL, json={"query": text})).json()

    assert [entry["path"] for entry in answer["errors"]] == [["auth_login"]]
    assert len(answer["data"]["utils_random_string"]) == 3


@asynccontextmanager
async def listening(settings):
    async with in_process_server(create_app(settings), http=http_protocol(settings)) as port:
        yield port


async def read_all(connection):
    reader, writer = connection
    try:
        async with asyncio.timeout(SOON_SECONDS):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has more than one loopback address")
async def test_connections_beyond_the_limit_take_the_place_of_those_that_send_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(connection_limit, "CLOSED_SHARE", 2)
    settings = make_settings(f"sqlite:///{tmp_path / 'connections.db'}", max_connections=MAX_CONNECTIONS)
    async with listening(settings) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        crowd = []
        for _ in range(3 * MAX_CONNECTIONS):
            crowd.append(await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0)))
            crowd[-1][1].write(b"GET / HTTP/1.1\r\n")
            await asyncio.sleep(0.01)
        writer.write(GET)
        answered = await asyncio.wait_for(reader.readuntil(b"pong"), SOON_SECONDS)
        closed = await read_all(crowd[0])
        for _, other in [(reader, writer), *crowd]:
            other.close()

    assert answered.startswith(b"HTTP/1.1 200 ")
    assert closed.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1\r\n" in closed


def test_the_address_with_the_most_connections_loses_its_oldest_ones():
    def connection(address, connected_at, awaits_client=True):
        return SimpleNamespace(peer_address=address, connected_at=connected_at, awaits_client=awaits_client)

    crowd = [connection("192.0.2.1", number) for number in range(5, 0, -1)]
    others = [connection("192.0.2.2", 0.0), connection("192.0.2.1", 0.0, awaits_client=False)]

    assert choose_connections([*others, *crowd], 2) == [crowd[-1], crowd[-2]]
    assert choose_connections(others[1:], 2) == []
