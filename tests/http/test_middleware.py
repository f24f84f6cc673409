"""What every request passes through, and what is told of it in the log."""

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
from app.http.middleware import HTTPMiddleware
from app.http.response import Response
from app.main import create_app

MOST = 1_000
UNEXPECTED = {"errors": [{"message": "An unexpected error occurred.", "extensions": {"code": "INTERNAL_SERVER_ERROR"}}]}


@pytest.fixture
def lines(monkeypatch):
    """The log so far, as parsed JSON; logging is as it was before afterwards."""
    told, root, before = StringIO(), logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers, root.level
    monkeypatch.setattr(sys, "stderr", told)
    configure_logging("info", "raw")
    logging.getLogger("httpx").setLevel("WARNING")
    yield lambda: [json.loads(line) for line in told.getvalue().splitlines()]
    # pytest's own handlers are new for each phase of a test: those of the set-up are past.
    root.handlers, root.level = [it for it in handlers if not isinstance(it, LogCaptureHandler)], level
    structlog.configure(**before)


async def echo(scope, head, body):
    return Response(f"{len(await body())} bytes".encode())


def raising(error):
    async def endpoint(scope, head, body):
        raise error

    return endpoint


def serving(endpoint, path="/", max_body_size=MOST):
    """A middleware with one endpoint."""
    return HTTPMiddleware({path: endpoint}, Router(), max_body_size)


async def send(app, method="GET", path="/", **options):
    async with AsyncClient(transport=ASGITransport(app), base_url="http://rollcall") as client:
        return await client.request(method, path, **options)


async def test_a_request_keeps_the_id_it_came_with(lines):
    answer = await send(serving(echo), headers={"X-Request-Id": "trace-7:a.b"})

    assert answer.headers["x-request-id"] == lines()[0]["request_id"] == "trace-7:a.b"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "é".encode("latin-1"), '"};'])
async def test_an_id_that_isnt_sane_is_replaced(lines, given):
    answer = await send(serving(echo), headers={"X-Request-Id": given})

    assert answer.headers["x-request-id"] == lines()[0]["request_id"]
    assert len(answer.headers["x-request-id"]) == 32


async def test_an_answer_without_fault_bears_no_id_that_nobody_asked_for(lines):
    answer = await send(serving(echo))

    assert "x-request-id" not in answer.headers
    assert len(lines()[0]["request_id"]) == 32


async def test_a_request_is_one_line_without_its_query_or_its_credentials(lines):
    await send(serving(echo, "/a"), "POST", "/a?access_token=s3cr3t", headers={"Authorization": "Bearer s3cr3t"})
    told = lines()

    assert len(told) == 1
    assert {key: told[0][key] for key in ("event", "method", "path", "status")} == {
        "event": "request",
        "method": "POST",
        "path": "/a",
        "status": 200,
    }
    assert told[0]["ms"] >= 0
    assert "s3cr3t" not in json.dumps(told)


async def test_a_path_cant_write_a_line_of_its_own(lines):
    await send(serving(echo), path="/a%0A%7B%22event%22:%22forged%22%7D")

    assert [line["event"] for line in lines()] == ["request"]


def test_what_stands_under_a_secrets_name_is_taken_out():
    event = {"access_token": "a", "Authorization": "b", "otp": "c", "path": "/", "password_hash": "d"}

    assert redact(None, "info", event) == {
        "access_token": "[redacted]",
        "Authorization": "[redacted]",
        "otp": "[redacted]",
        "path": "/",
        "password_hash": "[redacted]",
    }


def test_what_libraries_log_has_the_same_form(lines):
    logging.getLogger("uvicorn.error").warning("Shutting %s", "down")

    assert lines()[0]["event"] == "Shutting down"
    assert lines()[0]["level"] == "warning"


def test_for_a_person_a_line_is_plain_text_and_less_is_not_told(lines, monkeypatch):
    configure_logging("warn", "pretty")
    monkeypatch.setattr(logging.getLogger().handlers[0], "stream", told := StringIO())
    structlog.get_logger("a").info("quiet")
    structlog.get_logger("a").warning("loud", token="s3cr3t")

    assert "quiet" not in told.getvalue()
    assert "loud" in told.getvalue()
    assert "[redacted]" in told.getvalue()


@pytest.mark.parametrize(
    ("request_", "caching"),
    [
        ({}, "no-cache"),
        ({"headers": {"Authorization": "Bearer x"}}, "no-store"),
        ({"headers": {"Cookie": "directus_session_token=x"}}, "no-store"),
        ({"path": "/?access_token=x"}, "no-store"),
    ],
)
async def test_an_answer_that_belongs_to_somebody_is_kept_nowhere(request_, caching):
    answer = await send(serving(echo), **request_)

    assert answer.headers["cache-control"] == caching
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers.get("vary") == ("Authorization, Cookie" if caching == "no-cache" else None)


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_may_be_as_large_as_allowed_and_no_larger(announced):
    async def pieces(size):
        yield b"x" * (size - 1)
        yield b"x"

    app = serving(echo, max_body_size=10)
    taken = await send(app, "POST", content=b"x" * 10 if announced else pieces(10))
    refused = await send(app, "POST", content=b"x" * 11 if announced else pieces(11))

    assert taken.text == "10 bytes"
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["extensions"]["code"] == "INVALID_PAYLOAD"
    assert "10 bytes" in refused.json()["errors"][0]["message"]


async def test_a_body_that_says_it_is_too_large_isnt_even_read():
    async def unread():
        raise AssertionError("the body was asked for")

    told = []

    async def take(message):
        told.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-length", b"11")]}
    await serving(echo, max_body_size=10)(scope, unread, take)

    assert told[0]["status"] == 400


async def test_our_errors_are_answered_as_they_are():
    answer = await send(serving(raising(Forbidden())))

    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.json() == {
        "errors": [
            {"message": "You don't have permission to access this.", "extensions": {"code": "FORBIDDEN"}},
        ]
    }


async def test_who_is_sent_away_for_now_is_told_when_to_come_back():
    answer = await send(serving(raising(ServiceUnavailable())))

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_of_an_unknown_error_the_log_knows_more_than_the_client(lines):
    answer = await send(serving(raising(RuntimeError("the database said s3cr3t"))))
    failure, request = lines()

    assert (answer.status_code, answer.json()) == (500, UNEXPECTED)
    assert "the database said" in failure["exception"]
    assert failure["request_id"] == request["request_id"] == answer.headers["x-request-id"]


async def test_an_error_after_the_answer_began_is_left_to_the_server(lines):
    async def chunks():
        yield b"half"
        raise Forbidden

    async def half(scope, head, body):
        return Response(b"", stream=chunks())

    with pytest.raises(Forbidden):
        await send(serving(half))


async def test_a_client_that_goes_away_is_no_failure(lines):
    app: Any = serving(raising(ClientDisconnect()))
    await app({"type": "http", "method": "POST", "path": "/", "headers": []}, None, None)

    assert [(line["event"], line["status"]) for line in lines()] == [("request", 0)]


@pytest.fixture
def app(lines, tmp_path):
    """The whole application, on a database that nobody asks for anything here."""
    return create_app(Settings(_env_file=None, database_url=f"sqlite+aiosqlite:///{tmp_path / 'rollcall.db'}"))


@pytest.mark.parametrize("token", ["", "garbage"])
async def test_a_ping_is_answered_whoever_asks(app, token):
    answer = await send(app, path="/server/ping", headers={"Authorization": f"Bearer {token}"})

    assert (answer.status_code, answer.text) == (200, "pong")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert {"server", "x-powered-by"}.isdisjoint(answer.headers)


@pytest.mark.parametrize("path", ["/", "/nope", "/server", "/graphql", "/graphql/systems"])
async def test_where_nobody_lives_is_said_in_rests_way(app, path):
    answer = await send(app, path=path)

    assert answer.status_code == 404
    assert answer.json() == {
        "errors": [
            {"message": f"Route {path} doesn't exist.", "extensions": {"path": path, "code": "ROUTE_NOT_FOUND"}},
        ]
    }


async def test_a_method_a_route_doesnt_know_is_answered_with_those_it_does(app):
    answer = await send(app, "POST", "/server/ping")

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert answer.json()["errors"][0]["extensions"]["code"] == "METHOD_NOT_ALLOWED"


async def test_a_refusal_has_its_id_and_its_safe_headers(app):
    answer = await send(app, path="/nope")

    assert {"x-request-id", "x-content-type-options", "cache-control", "vary"} <= answer.headers.keys()


async def test_nothing_is_told_over_a_websocket(app, lines):
    sent = []

    async def take(message):
        sent.append(message)

    await app({"type": "websocket", "path": "/graphql/system", "headers": [], "subprotocols": []}, None, take)

    assert [message["type"] for message in sent] == ["websocket.close"]
    assert "exception" not in json.dumps(lines())


async def test_the_application_opens_and_closes_with_the_server(app, lines):
    async with app.router.lifespan_context(app):
        answer = await send(app, "PUT", "/graphql/system/anything")

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
