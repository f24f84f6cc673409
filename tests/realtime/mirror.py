"""A client that mirrors what a subscription shows of the users' titles, and connects again when it is disconnected."""

import asyncio
import json
from contextlib import asynccontextmanager, suppress

import websockets
from websockets import Subprotocol
from websockets.asyncio.client import connect

from tests.realtime.sockets import PROTOCOL

QUERY = {"fields": ["id", "title"], "limit": -1}
SUBSCRIPTION = "subscription { directus_users_mutated { key event data { id title } } }"


class Mirror:
    """The rows that a subscription has shown, by key, and the titles of each row in the order in which they came.

    `port` returns that of the node to connect to. An implementation says how a subscription begins.
    """

    def __init__(self, port, token):
        self.port, self.token = port, token
        self.rows, self.titles = {}, {}
        self.begun, self.connections = asyncio.Event(), 0

    async def run(self):
        """Mirror the users until cancelled."""
        while True:
            with suppress(websockets.WebSocketException, OSError):
                async with self._connect() as socket:
                    await self._begin(socket)
                    self.connections += 1
                    self.begun.set()
                    async for text in socket:
                        self._apply(json.loads(text))
            await asyncio.sleep(0.05)

    def restart(self, rows):
        """Begin anew with these rows."""
        self.rows = {row["id"]: row["title"] for row in rows}
        for key, title in self.rows.items():
            self.titles.setdefault(key, []).append(title)

    def change(self, event, rows):
        """Apply one event."""
        for row in rows:
            if event == "delete":
                self.rows.pop(row, None)
            else:
                self.rows[row["id"]] = row["title"]
                self.titles.setdefault(row["id"], []).append(row["title"])

    def _connect(self):
        raise NotImplementedError

    async def _begin(self, socket):
        raise NotImplementedError

    def _apply(self, message):
        raise NotImplementedError


class DirectusMirror(Mirror):
    """Mirrors by Directus' protocol, whose first message has the rows."""

    def _connect(self):
        return connect(f"ws://127.0.0.1:{self.port()}/websocket", compression=None, max_size=None)

    async def _begin(self, socket):
        await socket.send(json.dumps({"type": "auth", "access_token": self.token}))
        await socket.recv()
        await socket.send(json.dumps({"type": "subscribe", "collection": "directus_users", "query": QUERY}))
        while (message := json.loads(await socket.recv())).get("event") != "init":
            if message.get("status") == "error":
                raise websockets.WebSocketException(message)
        self.restart(message["data"])

    def _apply(self, message):
        if message["type"] == "subscription":
            self.change(message["event"], message["data"])


class GraphQLMirror(Mirror):
    """Mirrors by graphql-transport-ws. `read(socket)` returns the rows once the subscription has taken effect."""

    def __init__(self, port, token, read):
        super().__init__(port, token)
        self.read = read

    def _connect(self):
        url = f"ws://127.0.0.1:{self.port()}/graphql/system"
        return connect(url, subprotocols=[Subprotocol(PROTOCOL)], compression=None, max_size=None)

    async def _begin(self, socket):
        await socket.send(json.dumps({"type": "connection_init", "payload": {"access_token": self.token}}))
        await socket.recv()
        await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": {"query": SUBSCRIPTION}}))
        self.restart(await self.read(socket))

    def _apply(self, message):
        if message["type"] == "next":
            value = message["payload"]["data"]["directus_users_mutated"]
            self.change(value["event"], [value["key"] if value["event"] == "delete" else value["data"]])


@asynccontextmanager
async def mirroring(*mirrors, seconds=60):
    """Run mirrors while the block runs, which begins once each has begun."""
    tasks = [asyncio.create_task(mirror.run()) for mirror in mirrors]
    try:
        async with asyncio.timeout(seconds):
            for mirror in mirrors:
                await mirror.begun.wait()
        yield
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    failures = [result for result in results if not isinstance(result, asyncio.CancelledError)]
    assert not failures


async def converged(mirror, rows, seconds=30):
    """Wait until a mirror shows these rows."""
    try:
        async with asyncio.timeout(seconds):
            while mirror.rows != rows:  # noqa: ASYNC110  # nothing tells of it
                await asyncio.sleep(0.02)
    except TimeoutError:
        different = {key for key in mirror.rows.keys() | rows.keys() if mirror.rows.get(key) != rows.get(key)}
        raise AssertionError({key: (mirror.rows.get(key), rows.get(key)) for key in different}) from None
