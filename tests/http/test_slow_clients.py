"""What a client sends is limited in size and time by the server itself, on a real socket."""

import asyncio
import http.client
from contextlib import asynccontextmanager, closing

import pytest

from app.cli.http_protocol import MAX_HEAD_SIZE
from app.cli.server import http_protocol
from app.flows.bootstrap import bootstrap
from app.main import create_app
from app.testing import open_system
from tests.conftest import make_settings
from tests.in_process import in_process_server

HEAD_TIMEOUT, BODY_TIMEOUT, MIN_RATE = 0.3, 0.3, 100
GET = b"GET /server/ping HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /graphql/system HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
QUERY = b'{"query": "{ server_ping }"}'
LARGE = 8 * 1024**2


@pytest.fixture
async def port(tmp_path):
    limits = {"http_head_timeout": HEAD_TIMEOUT, "http_body_timeout": BODY_TIMEOUT, "http_body_min_rate": MIN_RATE}
    settings = make_settings(f"sqlite:///{tmp_path / 'slow.db'}", **limits)
    async with open_system(settings) as system:
        await bootstrap(system.database, settings)
    async with in_process_server(create_app(settings), http=http_protocol(settings)) as port:
        yield port


@asynccontextmanager
async def connected(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(20):
            yield reader, writer
    finally:
        writer.close()


async def answer(port, *pieces, pause=0.0):
    """Send pieces with pauses and return all that is answered until the server closes the connection."""
    async with connected(port) as (reader, writer):
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(pause)
        return await reader.read()


def head_of(size):
    start, end = GET + b"Connection: close\r\nX-Filler: ", b"\r\n\r\n"
    return start + b"x" * (size - len(start) - len(end)) + end


@pytest.mark.parametrize("pieces", [1, 4], ids=["at once", "in pieces"])
@pytest.mark.parametrize("ended", [True, False], ids=["complete", "without an end"])
async def test_a_head_over_64_kib_is_431(port, pieces, ended):
    head = head_of(2 * MAX_HEAD_SIZE)[: None if ended else -4]
    step = len(head) // pieces + 1

    answered = await answer(port, *(head[start : start + step] for start in range(0, len(head), step)), pause=0.01)

    assert answered.startswith(b"HTTP/1.1 431 ")
    assert answered.endswith(b"at most 65536 bytes")


async def test_many_headers_over_64_kib_are_431(port):
    assert b" 431 " in await answer(port, GET + b"A: b\r\n" * MAX_HEAD_SIZE + b"\r\n")


async def test_a_head_of_almost_64_kib_is_answered(port):
    assert (await answer(port, head_of(MAX_HEAD_SIZE - 100))).startswith(b"HTTP/1.1 200 ")


async def test_a_large_body_in_one_piece_with_its_head_is_no_large_head(port):
    body = b" " * 2 * MAX_HEAD_SIZE + QUERY

    answered = await answer(port, POST % len(body) + b"Connection: close\r\n\r\n" + body)

    assert answered.startswith(b"HTTP/1.1 200 ")


async def test_half_a_head_is_408(port):
    answered = await answer(port, GET)

    assert answered.startswith(b"HTTP/1.1 408 ")
    assert answered.endswith(b"within 0.3 seconds")


async def test_a_head_that_arrives_byte_by_byte_is_408(port):
    assert b" 408 " in await answer(port, *(bytes([byte]) for byte in GET), pause=HEAD_TIMEOUT / 10)


async def test_a_connection_without_a_request_is_closed_without_an_answer(port):
    assert await answer(port) == b""


async def test_half_a_second_head_is_408_after_the_first_answer(port):
    answered = await answer(port, GET + b"\r\n", GET, pause=0.05)

    assert answered.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 408 " in answered


async def test_half_a_head_behind_a_body_that_was_rejected_early_is_not_waited_for(port):
    body = b" " * LARGE

    answered = await answer(port, POST % len(body) + b"\r\n" + body[:10], body[10:] + GET, pause=0.05)

    assert answered.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("begun", [QUERY[:10], b""], ids=["half", "none"])
async def test_a_body_that_does_not_arrive_is_408(port, begun):
    answered = await answer(port, POST % len(QUERY) + b"\r\n" + begun)

    assert answered.startswith(b"HTTP/1.1 408 ")
    assert answered.endswith(b"at least 100 bytes per second")


async def test_a_body_that_arrives_byte_by_byte_is_408(port):
    drops = (bytes([byte]) for byte in QUERY)

    assert b" 408 " in await answer(port, POST % len(QUERY) + b"\r\n", *drops, pause=BODY_TIMEOUT / 10)


async def test_a_slow_but_steady_body_is_answered(port):
    body = QUERY + b" " * 400
    pieces = [body[start : start + 40] for start in range(0, len(body), 40)]

    answered = await answer(port, POST % len(body) + b"Connection: close\r\n\r\n", *pieces, pause=BODY_TIMEOUT / 5)

    assert answered.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("connection", ["keep-alive", "close"])
async def test_http_client_reads_the_answer_to_a_body_that_is_rejected_early(port, connection):
    def post():
        headers = {"Content-Type": "application/json", "Connection": connection}
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as client:
            client.request("POST", "/graphql/system", b" " * LARGE, headers)
            response = client.getresponse()
            return response.status, response.read()

    status, body = await asyncio.to_thread(post)

    assert status == 400
    assert b"larger than" in body
