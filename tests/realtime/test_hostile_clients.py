"""Clients that break the rules of Directus' protocol, or of WebSocket itself, and many that do not."""

import asyncio
import zlib
from contextlib import AsyncExitStack, suppress

import pytest
import websockets

from app.core.caller import SYSTEM
from tests.base_data import static_token, uid
from tests.realtime.sockets import Client, graphql_client, serving, subscribed
from tests.realtime.test_directus_messages import USERS, ask, sdk_client

ADA, VI, ED = static_token("ada"), static_token("vi"), uid("ed")
HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    "Sec-WebSocket-Protocol: graphql-transport-ws\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
)
PATHS = ["/graphql/system", "/websocket"]
MASK = bytes(4)
BOMB = zlib.compress(b" " * 10_000_000, 9)[2:-4]
SUBSCRIBERS = 1_000


def frame(first_byte, payload):
    """Return a masked frame; its first byte says whether it is the last one, compressed, and of which type."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + size.to_bytes(2)
    return bytes([first_byte]) + length + MASK + payload


async def close_code_of(server, path, *frames):
    """Send frames as they are, and return the code of the frame with which the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        async with asyncio.timeout(20):
            writer.write(HANDSHAKE.format(path=path).encode())
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101")
            assert b"permessage-deflate" not in head
            writer.write(b"".join(frames))
            while True:
                first, length = await reader.readexactly(2)
                payload = await reader.readexactly(length)
                if first == 0x88:
                    return int.from_bytes(payload[:2])
    finally:
        writer.close()


@pytest.mark.sampled
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([frame(0xC1, BOMB[:10_000])], 1002),  # compressed, although that was not agreed on
        ([frame(0xA1, b"{}")], 1002),
        ([frame(0x83, b"{}")], 1002),  # a type that does not exist
        ([frame(0x80, b"{}")], 1002),  # the end of a message that has not begun
        ([frame(0x01, b"{"), frame(0x81, b"}")], 1002),  # two beginnings
        ([frame(0x09, b"")], 1002),  # a ping in fragments
        ([frame(0x89, b"x" * 126)], 1002),
        ([frame(0x81, b"\xff\xfe")], 1007),
        ([b"\x81\x02{}"], 1002),  # not masked
        ([b"\x81\xff" + (2**62).to_bytes(8) + MASK], 1009),  # a length of 4 EiB
    ],
    ids=["bomb", "reserved bit", "type", "end", "beginnings", "ping", "long ping", "text", "unmasked", "length"],
)
async def test_an_invalid_frame_ends_the_connection(server, path, frames, code):
    assert await close_code_of(server, path, *frames) == code


async def test_a_message_of_10_mb_ends_the_connection(server):
    async with sdk_client(server, VI) as client:
        with suppress(websockets.ConnectionClosed):
            await client.socket.send("x" * 10_000_000)

        assert await client.close_code() == 1009


async def test_a_message_in_endless_fragments_ends_the_connection(server):
    async def fragments():
        while True:
            await asyncio.sleep(0)
            yield ""

    async with server.connect("/websocket", subprotocols=()) as socket:
        with pytest.raises(websockets.ConnectionClosed):
            async with asyncio.timeout(20):
                await socket.send(fragments())

        assert await Client(socket).close_code() == 1009


async def test_too_many_messages_end_the_connection(server):
    async with sdk_client(server, VI) as client:
        with suppress(websockets.ConnectionClosed):
            for _ in range(100):
                await client.send({"type": "pong"})

        assert await client.close_code() == 1008


@pytest.mark.parametrize("text", ["[" * 60_000, "[]", "null", '"x"', "{" * 60_000, '{"type": 1e999}', "\x00"])
async def test_what_is_no_object_is_answered_with_an_error(server, text):
    async with sdk_client(server, VI) as client:
        await client.socket.send(text)
        answer = await client.receive()

    assert answer["error"]["code"] == "INVALID_PAYLOAD"


async def test_a_uid_is_used_once_at_a_time(server):
    async with sdk_client(server, VI) as client:
        await ask(client, USERS)
        refused = await ask(client, USERS)
        await ask(client, {"type": "unsubscribe", "uid": "u"})
        again = await ask(client, USERS)

    assert refused["error"]["code"] == "INVALID_PAYLOAD"
    assert again["event"] == "init"


@pytest.mark.parametrize(
    "query",
    [
        {"fields": ["*.*.*.*.*.*.*.*.*.*.*.*"]},
        {"fields": ["id"] * 5_000},
        {"filter": {"_and": [{"_or": []}] * 2000}},
        {"filter": "no JSON"},
        {"sort": [{"id": 1}]},
        {"limit": "many"},
        {"deep": {"role": 1}},
        {"alias": {"x": "email"}, "fields": ["x"]},
        {"search": {"a": 1}},
    ],
)
async def test_an_invalid_query_is_answered_without_a_bug(server, query):
    async with sdk_client(server, VI) as client:
        answer = await ask(client, {**USERS, "query": query})

        assert (await ask(client, {"type": "ping"}))["type"] == "pong"
    assert (answer.get("error") or {}).get("code") != "INTERNAL_SERVER_ERROR"


@pytest.mark.nightly
async def test_a_client_that_never_reads_is_disconnected(shared_db, restored_db):
    """Its messages wait in the queue of the server, which is limited, once the buffers of the network are full."""
    users = restored_db.directory(SYSTEM)["users"]
    long = "x" * 1_000_000
    async with serving(shared_db.settings, websockets_max_queue=5) as server, sdk_client(server, ADA) as client:
        await ask(client, {**USERS, "query": {"fields": ["id", "description"]}})
        client.socket.transport.pause_reading()
        async with asyncio.timeout(60):
            while server.hub._members:
                await users.update_one(ED, {"description": long + str(asyncio.get_running_loop().time())})
                await asyncio.sleep(0.02)
        client.socket.transport.resume_reading()

        assert await client.close_code() in (1013, None)


@pytest.mark.nightly
async def test_a_thousand_subscribers_are_sent_a_change(shared_db, restored_db):
    limits = {
        "websockets_graphql_conn_limit": SUBSCRIBERS + 1,
        "websockets_user_conn_limit": SUBSCRIBERS + 1,
        "rate_limiter_enabled": False,
    }
    async with serving(shared_db.settings, **limits) as server, AsyncExitStack() as stack, asyncio.timeout(200):
        clients = []
        for _ in range(SUBSCRIBERS):
            clients.append(await stack.enter_async_context(graphql_client(server, VI, ping_interval=None)))
            await clients[-1].subscribe()
        await subscribed(server, SUBSCRIBERS)
        views = len(server.hub._views)
        await restored_db.directory(SYSTEM)["users"].update_one(ED, {"title": "To all"})
        results = [await client.next() for client in clients]

    assert views == 1
    assert {result["data"]["title"] for result in results} == {"To all"}
