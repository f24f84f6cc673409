"""The middleware: request ids, the access log, body limits, caching headers, and errors."""

import asyncio
import json
import logging
import sys
from io import StringIO
from typing import Any

import pytest
import structlog
from _pytest.logging import LogCaptureHandler
from httpx import ASGITransport, AsyncClient
from starlette.requests import ClientDisconnect
from starlette.routing import Router

from app.core.config import Settings
from app.core.errors import Forbidden, ServiceUnavailable
from app.core.logging import configure_logging, redact
from app.http import middleware
from app.http.middleware import HTTPMiddleware
from app.http.response import Response
from app.main import create_app
from tests.db.activity import is_not_cancelled

MAX_BODY_SIZE = 1_000
UNEXPECTED = {"errors": [{"message": "An unexpected error occurred.", "extensions": {"code": "INTERNAL_SERVER_ERROR"}}]}


@pytest.fixture
def lines(monkeypatch):
    """Return a function that returns the log so far as parsed JSON; afterwards restore the logging configuration."""
    output, root, config = StringIO(), logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers, root.level
    monkeypatch.setattr(sys, "stderr", output)
    configure_logging("info", "raw")
    logging.getLogger("httpx").setLevel("WARNING")
    yield lambda: [json.loads(line) for line in output.getvalue().splitlines()]
    # pytest's own handlers are new for each phase of a test, so those of the set-up phase are not restored.
    root.handlers, root.level = [handler for handler in handlers if not isinstance(handler, LogCaptureHandler)], level
    structlog.configure(**config)


async def echo(scope, head, body):
    return Response(f"{len(await body())} bytes".encode())


def raising(error):
    async def endpoint(scope, head, body):
        raise error

    return endpoint


def serving(endpoint, path="/", max_body_size=MAX_BODY_SIZE):
    """Return a middleware with one endpoint."""
    return HTTPMiddleware({path: endpoint}, Router(), max_body_size)


async def send(app, method="GET", path="/", **options):
    async with AsyncClient(transport=ASGITransport(app), base_url="http://rollcall") as client:
        return await client.request(method, path, **options)


async def test_a_request_keeps_the_id_it_came_with(lines):
    response = await send(serving(echo), headers={"X-Request-Id": "trace-7:a.b"})

    assert response.headers["x-request-id"] == lines()[0]["request_id"] == "trace-7:a.b"


@pytest.mark.parametrize("request_id", ["", "a b", "x" * 65, "é".encode("latin-1"), '"};'])
async def test_an_invalid_id_is_replaced(lines, request_id):
    response = await send(serving(echo), headers={"X-Request-Id": request_id})

    assert response.headers["x-request-id"] == lines()[0]["request_id"]
    assert len(response.headers["x-request-id"]) == 32


async def test_a_successful_response_has_no_id_unless_the_request_had_one(lines):
    response = await send(serving(echo))

    assert "x-request-id" not in response.headers
    assert len(lines()[0]["request_id"]) == 32


async def test_a_request_is_one_line_without_its_query_or_its_credentials(lines):
    await send(serving(echo, "/a"), "POST", "/a?access_token=s3cr3t", headers={"Authorization": "Bearer s3cr3t"})
    (line,) = lines()

    assert {key: line[key] for key in ("event", "method", "path", "status")} == {
        "event": "request",
        "method": "POST",
        "path": "/a",
        "status": 200,
    }
    assert line["ms"] >= 0
    assert "s3cr3t" not in json.dumps(line)


async def test_a_path_cannot_forge_a_log_line(lines):
    await send(serving(echo), path="/a%0A%7B%22event%22:%22forged%22%7D")

    assert [line["event"] for line in lines()] == ["request"]


def test_values_with_a_secrets_name_are_redacted():
    event = {"access_token": "a", "Authorization": "b", "otp": "c", "path": "/", "password_hash": "d"}

    assert redact(None, "info", event) == {
        "access_token": "[redacted]",
        "Authorization": "[redacted]",
        "otp": "[redacted]",
        "path": "/",
        "password_hash": "[redacted]",
    }


def test_libraries_log_in_the_same_format(lines):
    logging.getLogger("uvicorn.error").warning("Shutting %s", "down")

    assert lines()[0]["event"] == "Shutting down"
    assert lines()[0]["level"] == "warning"


def test_the_pretty_style_is_plain_text_from_the_level_on(lines, monkeypatch):
    configure_logging("warn", "pretty")
    monkeypatch.setattr(logging.getLogger().handlers[0], "stream", output := StringIO())
    structlog.get_logger("a").info("quiet")
    structlog.get_logger("a").warning("loud", token="s3cr3t")

    assert "quiet" not in output.getvalue()
    assert "loud" in output.getvalue()
    assert "[redacted]" in output.getvalue()


@pytest.mark.parametrize(
    ("request_", "caching"),
    [
        ({}, "no-cache"),
        ({"headers": {"Authorization": "Bearer x"}}, "no-store"),
        ({"headers": {"Cookie": "directus_session_token=x"}}, "no-store"),
        ({"path": "/?access_token=x"}, "no-store"),
    ],
)
async def test_a_response_to_a_request_with_credentials_may_not_be_stored(request_, caching):
    response = await send(serving(echo), **request_)

    assert response.headers["cache-control"] == caching
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers.get("vary") == ("Authorization, Cookie" if caching == "no-cache" else None)


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_may_be_as_large_as_allowed_and_no_larger(declared):
    async def chunks(size):
        yield b"x" * (size - 1)
        yield b"x"

    app = serving(echo, max_body_size=10)
    accepted = await send(app, "POST", content=b"x" * 10 if declared else chunks(10))
    rejected = await send(app, "POST", content=b"x" * 11 if declared else chunks(11))

    assert accepted.text == "10 bytes"
    assert rejected.status_code == 400
    assert rejected.json()["errors"][0]["extensions"]["code"] == "INVALID_PAYLOAD"
    assert "10 bytes" in rejected.json()["errors"][0]["message"]


async def test_a_body_declared_too_large_is_not_read():
    async def receive():
        raise AssertionError("the body was read")

    sent = []

    async def capture(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-length", b"11")]}
    await serving(echo, max_body_size=10)(scope, receive, capture)

    assert sent[0]["status"] == 400


async def test_a_rollcall_error_is_sent_as_it_is():
    response = await send(serving(raising(Forbidden())))

    assert response.status_code == 403
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert response.json() == {
        "errors": [
            {"message": "You don't have permission to access this.", "extensions": {"code": "FORBIDDEN"}},
        ]
    }


async def test_a_503_says_when_to_retry():
    response = await send(serving(raising(ServiceUnavailable())))

    assert (response.status_code, response.headers["retry-after"]) == (503, "1")


async def test_an_unexpected_error_is_logged_and_not_shown_to_the_client(lines):
    response = await send(serving(raising(RuntimeError("the database said s3cr3t"))))
    failure, request = lines()

    assert (response.status_code, response.json()) == (500, UNEXPECTED)
    assert "the database said" in failure["exception"]
    assert failure["request_id"] == request["request_id"] == response.headers["x-request-id"]


async def test_an_error_after_the_response_started_is_raised_to_the_server(lines):
    async def chunks():
        yield b"half"
        raise Forbidden

    async def endpoint(scope, head, body):
        return Response(b"", stream=chunks())

    with pytest.raises(Forbidden):
        await send(serving(endpoint))


async def test_a_client_that_disconnects_is_no_failure(lines):
    app: Any = serving(raising(ClientDisconnect()))
    await app({"type": "http", "method": "POST", "path": "/", "headers": []}, None, None)

    assert [(line["event"], line["status"]) for line in lines()] == [("request", 0)]


@pytest.fixture
def app(lines, tmp_path):
    """The whole application, on a database that is not used."""
    return create_app(Settings(_env_file=None, database_url=f"sqlite+aiosqlite:///{tmp_path / 'rollcall.db'}"))


@pytest.mark.parametrize("token", ["", "garbage"])
async def test_a_ping_succeeds_with_any_token(app, token):
    response = await send(app, path="/server/ping", headers={"Authorization": f"Bearer {token}"})

    assert (response.status_code, response.text) == (200, "pong")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert {"server", "x-powered-by"}.isdisjoint(response.headers)


@pytest.mark.parametrize("path", ["/nope", "/server", "/graphql", "/graphql/systems"])
async def test_an_unknown_path_is_a_404_in_rests_format(app, path):
    response = await send(app, path=path)

    assert response.status_code == 404
    assert response.json() == {
        "errors": [
            {"message": f"Route {path} doesn't exist.", "extensions": {"path": path, "code": "ROUTE_NOT_FOUND"}},
        ]
    }


async def test_an_unsupported_method_gets_the_allowed_ones(app):
    response = await send(app, "POST", "/server/ping")

    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD")
    assert response.json()["errors"][0]["extensions"]["code"] == "METHOD_NOT_ALLOWED"


async def test_an_error_response_has_an_id_and_the_common_headers(app):
    response = await send(app, path="/nope")

    assert {"x-request-id", "x-content-type-options", "cache-control", "vary"} <= response.headers.keys()


async def test_a_websocket_is_closed(app, lines):
    sent = []

    async def capture(message):
        sent.append(message)

    await app({"type": "websocket", "path": "/graphql/system", "headers": [], "subprotocols": []}, None, capture)

    assert [message["type"] for message in sent] == ["websocket.close"]
    assert "exception" not in json.dumps(lines())


async def test_the_application_starts_and_stops_with_the_server(app, lines):
    async with app.router.lifespan_context(app):
        response = await send(app, "PUT", "/graphql/system/anything")

    assert (response.status_code, response.headers["allow"]) == (405, "GET, POST")


@pytest.fixture
def watch_early(monkeypatch):
    """Watch the clients of requests almost from the start."""
    monkeypatch.setattr(middleware, "WATCH_AFTER_SECONDS", 0.01)


async def exchange(endpoint, messages, headers=()):
    """Return what an endpoint's middleware sends to a client whose messages arrive one by one, slowly."""
    sent: list[Any] = []
    pending = list(messages)

    async def receive():
        await asyncio.sleep(0.05)
        return pending.pop(0) if pending else await asyncio.Event().wait()

    async def send_(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": [*headers]}
    await serving(endpoint)(scope, receive, send_)
    return sent


EMPTY, DISCONNECT = {"type": "http.request"}, {"type": "http.disconnect"}


async def hang(scope, head, body):
    await asyncio.Event().wait()


async def read_late(scope, head, body):
    await asyncio.sleep(0.2)
    return await echo(scope, head, body)


async def hang_after_reading(scope, head, body):
    await body()
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("endpoint", "messages", "headers"),
    [
        (hang, [EMPTY, DISCONNECT], ()),
        (hang_after_reading, [EMPTY, DISCONNECT], ()),
        (hang_after_reading, [{"type": "http.request", "body": b"a"}, DISCONNECT], [(b"content-length", b"1")]),
        (echo, [{"type": "http.request", "body": b"a", "more_body": True}, DISCONNECT], [(b"content-length", b"9")]),
    ],
)
async def test_a_request_ends_without_a_response_when_its_client_leaves(watch_early, endpoint, messages, headers):
    assert await exchange(endpoint, messages, headers) == []
    assert is_not_cancelled()


@pytest.mark.parametrize(
    ("endpoint", "messages", "length"),
    [
        (read_late, [EMPTY], 0),
        (read_late, [{"type": "http.request", "body": b"abc"}], 3),
        (echo, [{"type": "http.request", "body": b"ab", "more_body": True}, {"type": "http.request", "body": b"c"}], 3),
    ],
)
async def test_a_watched_request_gets_its_whole_body(watch_early, endpoint, messages, length):
    headers = [(b"content-length", b"%d" % length)]

    assert (await exchange(endpoint, messages, headers))[1]["body"] == b"%d bytes" % length


async def test_a_request_that_its_server_cancels_stays_cancelled(watch_early):
    request = asyncio.ensure_future(exchange(hang, [EMPTY]))
    await asyncio.sleep(0.1)
    request.cancel()

    with pytest.raises(asyncio.CancelledError):
        await request
