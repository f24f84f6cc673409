"""Processes of realtime subscribers, which count the frames that they are sent and how late these arrive.

The written value is the time of the write, by the clock that all processes of a machine share. As little as possible is
done for each frame, because the load runs on the same machine as the server.
"""

import asyncio
import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from struct import unpack_from
from typing import Any

import orjson
import uvloop

GRAPHQL, DIRECTUS = "graphql", "directus"
PATHS = {GRAPHQL: "/graphql/system", DIRECTUS: "/websocket"}
QUERY = "subscription { directus_users_mutated { event data { id title } } }"
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
MARK = b'"title":"'
HANDSHAKES = 20
"""How many connections of a process are opened at once."""
TIMEOUT_SECONDS = 300


@dataclass(slots=True)
class Received:
    """What subscribers were sent: frames, changed rows, bytes, and the age of each row in seconds.

    `closed` counts connections that the server has closed.
    """

    frames: int = 0
    size: int = 0
    closed: int = 0
    ages: list[float] = field(default_factory=list)


class Subscriber(asyncio.Protocol):
    """One connection with one subscription, in one of the two protocols."""

    def __init__(self, protocol: str, token: str, received: Received) -> None:
        self._protocol, self._token, self._received = protocol, token, received
        self._buffer, self._is_open = bytearray(), False
        self.subscribed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        """Ask for the WebSocket connection."""
        self._transport = transport
        subprotocol = "Sec-WebSocket-Protocol: graphql-transport-ws\r\n" if self._protocol == GRAPHQL else ""
        self._transport.write(
            f"GET {PATHS[self._protocol]} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n{subprotocol}\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Handle the frames that have arrived completely."""
        self._buffer += data
        if not self._is_open:
            head, separator, rest = self._buffer.partition(b"\r\n\r\n")
            if not separator:
                return
            if b" 101 " not in head.split(b"\r\n")[0]:
                self.subscribed.set_exception(ConnectionError(bytes(head[:100])))
                return
            self._buffer, self._is_open = rest, True
            self._authenticate()
        self._handle_frames()

    def connection_lost(self, error: Exception | None) -> None:
        """Count the end of a connection."""
        self._received.closed += 1
        if not self.subscribed.done():
            self.subscribed.set_exception(ConnectionError("closed"))

    def _handle_frames(self) -> None:
        buffer, start = self._buffer, 0
        while len(buffer) - start >= 2:
            length, head = buffer[start + 1], 2
            if length == 126:
                head = 4
            elif length == 127:
                head = 10
            if len(buffer) - start < head:
                break
            if head > 2:
                (length,) = unpack_from("!H" if head == 4 else "!Q", buffer, start + 2)
            end = start + head + length
            if len(buffer) < end:
                break
            self._handle(buffer[start] & 15, bytes(buffer[start + head : end]))
            start = end
        del buffer[:start]

    def _handle(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self._send(PONG, payload)
        elif opcode == TEXT and not self.subscribed.done():
            self._continue(orjson.loads(payload))
        elif opcode == TEXT and MARK in payload:
            now, received = time.monotonic_ns(), self._received
            received.frames += 1
            received.size += len(payload)
            ages = [now - int(part[: part.index(b'"')]) for part in payload.split(MARK)[1:]]
            received.ages += [age / 1e9 for age in ages]

    def _authenticate(self) -> None:
        if self._protocol == GRAPHQL:
            self._post({"type": "connection_init", "payload": {"access_token": self._token}})
        else:
            self._post({"type": "auth", "access_token": self._token})

    def _continue(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "connection_ack":
                self._post({"type": "subscribe", "id": "1", "payload": {"query": QUERY}})
                self.subscribed.set_result(None)
            case "auth" if message["status"] == "ok":
                query = {"fields": ["id", "title"], "limit": 1}
                self._post({"type": "subscribe", "collection": "directus_users", "query": query, "uid": "1"})
            case "subscription":
                self.subscribed.set_result(None)
            case _:
                self.subscribed.set_exception(ConnectionError(str(message)))

    def _post(self, message: dict[str, Any]) -> None:
        self._send(TEXT, orjson.dumps(message))

    def _send(self, opcode: int, payload: bytes) -> None:
        length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
        self._transport.write(bytes([0x80 | opcode]) + length + bytes(4) + payload)  # masked with zeros


async def _run(pipe: Connection, port: int, protocol: str, tokens: Sequence[str]) -> None:
    received, loop, turns = Received(), asyncio.get_running_loop(), asyncio.Semaphore(HANDSHAKES)

    async def connect(token: str) -> None:
        async with turns, asyncio.timeout(TIMEOUT_SECONDS):
            _, subscriber = await loop.create_connection(
                lambda: Subscriber(protocol, token, received), "127.0.0.1", port
            )
            await subscriber.subscribed

    await asyncio.gather(*map(connect, tokens))
    pipe.send(None)
    while await asyncio.to_thread(pipe.recv):
        pipe.send((received.frames, received.size, received.closed, received.ages))
        received.frames, received.size, received.ages = 0, 0, []


def _main(pipe: Connection, port: int, protocol: str, tokens: Sequence[str]) -> None:
    uvloop.run(_run(pipe, port, protocol, tokens))


class Subscribers:
    """Several processes with a part of the subscribers each."""

    def __init__(self, port: int, protocol: str, tokens: Sequence[str], processes: int = 2) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipes, self._processes = [], []
        for index in range(processes):
            ours, theirs = context.Pipe()
            arguments = (theirs, port, protocol, tokens[index::processes])
            process = context.Process(target=_main, args=arguments, daemon=True)
            process.start()
            self._pipes.append(ours)
            self._processes.append(process)

    def wait_until_subscribed(self) -> None:
        """Wait until every subscriber has sent its subscription; in Directus' protocol, until it is answered."""
        for pipe in self._pipes:
            pipe.recv()

    def take(self) -> Received:
        """Return what was received since the last call."""
        total = Received()
        for pipe in self._pipes:
            pipe.send(True)
        for pipe in self._pipes:
            frames, size, closed, ages = pipe.recv()
            total.frames += frames
            total.size += size
            total.closed += closed
            total.ages += ages
        return total

    def stop(self) -> None:
        """End the connections."""
        for process in self._processes:
            process.kill()
            process.join()
