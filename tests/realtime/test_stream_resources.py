"""Streams of clients that do not read, or leave at any moment, are ended, and free what belongs to them."""

import asyncio
import socket
from contextlib import asynccontextmanager

import orjson
import pytest

from app.flows.realtime.view import ChangeList, ViewChange
from tests.base_data import static_token
from tests.realtime.event_streams import event_stream
from tests.realtime.sockets import SUBSCRIBE, serving, subscribed

VI = static_token("vi")
BODY = orjson.dumps({"query": SUBSCRIBE})
HEAD = (
    "{} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nAccept: text/event-stream\r\n"
    "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n"
)
POST = "POST /graphql/system"
LARGE, COUNT = "x" * 100_000, 100


@asynccontextmanager
async def raw_stream(server, request_line=POST, body=BODY):
    """Send a request on a connection with small buffers, and yield its writer without reading anything."""
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.setblocking(False)
    await asyncio.get_running_loop().sock_connect(peer, ("127.0.0.1", server.port))
    reader, writer = await asyncio.open_connection(sock=peer, limit=1024)
    writer.write(HEAD.format(request_line, VI, len(body)).encode() + body)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def changes(count, title):
    rows = ({"data.id": str(number), "data.title": title} for number in range(count))
    return ChangeList(ViewChange("update", row["data.id"], row) for row in rows)


async def the_subscription(server):
    await subscribed(server, 1)
    (member,) = server.hub._members
    (subscription,) = member.subscriptions
    return subscription


async def freed(server):
    """Wait until nothing belongs to any client any more."""
    async with asyncio.timeout(20):
        while (  # noqa: ASYNC110  # the server tells no event of it
            server.hub._members
            or server.hub._views
            or server.connections.graphql._open
            or server.connections.users._counts
            or server.uvicorn.server_state.connections
        ):
            await asyncio.sleep(0.02)


async def test_a_client_that_does_not_read_is_disconnected(shared_db):
    async with serving(shared_db.settings, websockets_heartbeat_period=1) as server, raw_stream(server):
        subscription = await the_subscription(server)
        subscription.sink.send(changes(COUNT, LARGE))
        await freed(server)


async def test_a_client_that_sends_another_request_meanwhile_is_disconnected_too(shared_db):
    async with (
        serving(shared_db.settings, websockets_heartbeat_period=1) as server,
        raw_stream(server) as (_, writer),
    ):
        subscription = await the_subscription(server)
        writer.write(b"GET /server/ping HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.sleep(0.1)
        subscription.sink.send(changes(COUNT, LARGE))
        await freed(server)


async def test_results_that_wait_for_a_client_are_bounded(shared_db):
    async with serving(shared_db.settings, websockets_max_queue=10) as server, event_stream(server, VI) as stream:
        subscription = await the_subscription(server)
        subscription.sink.send(changes(COUNT, "Many"))  # at once, so that none of them can be sent before

        assert await stream.event() is None


async def test_a_client_that_reads_late_gets_every_result_within_the_bound(shared_db):
    async with serving(shared_db.settings) as server, event_stream(server, VI) as stream:
        subscription = await the_subscription(server)
        subscription.sink.send(changes(COUNT, LARGE))
        await asyncio.sleep(0.5)
        results = [await stream.next() for _ in range(COUNT)]

    assert [result["key"] for result in results] == [str(number) for number in range(COUNT)]
    assert {result["data"]["title"] for result in results} == {LARGE}


@pytest.mark.parametrize("request_line", [POST, "GET /graphql/system?query=subscription{directus_users_mutated{key}}"])
async def test_a_client_that_leaves_frees_everything(server, request_line):
    async with raw_stream(server, request_line):
        await subscribed(server, 1)
    await freed(server)


async def test_a_client_that_leaves_before_its_subscription_has_started_frees_everything(server):
    async with server.hub._lock:  # as while changes are delivered
        async with raw_stream(server):
            async with asyncio.timeout(20):
                while not server.hub._members:  # noqa: ASYNC110  # the server tells no event of it
                    await asyncio.sleep(0.02)
        async with asyncio.timeout(20):
            while server.hub._members:  # noqa: ASYNC110  # the server tells no event of it
                await asyncio.sleep(0.02)
    await freed(server)


async def test_a_stream_that_has_not_started_ends_when_the_server_stops(shared_db):
    async with serving(shared_db.settings) as server, server.hub._lock, event_stream(server, VI) as stream:
        server.app.drain()

        assert await stream.event() is None


async def test_many_clients_that_leave_at_once_leave_nothing(server):
    async def leave():
        async with raw_stream(server):
            await asyncio.sleep(0)

    await asyncio.gather(*(leave() for _ in range(40)))
    await freed(server)
