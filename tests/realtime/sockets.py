"""A server on a real socket in this event loop, and a client of the protocol graphql-transport-ws."""

import asyncio
import json
import time
from contextlib import asynccontextmanager, contextmanager
from itertools import count

import uvicorn
import websockets
from websockets.asyncio.client import connect

from app.cli.server import http_protocol, websocket_options
from app.main import create_app
from tests.compat.replay import free_port

PROTOCOL = "graphql-transport-ws"
SUBSCRIBE = "subscription ($event: EventEnum) { directus_users_mutated(event: $event) { key event data { id title } } }"


class SilentServer(uvicorn.Server):
    """Uvicorn's server without handlers of signals, which pytest has."""

    @contextmanager
    def capture_signals(self):
        yield


class Server:
    """A running server: its port, its application and its uvicorn server."""

    def __init__(self, port, app, uvicorn_server):
        self.port, self.app, self.uvicorn = port, app, uvicorn_server

    @property
    def hub(self):
        return self.app._hub

    @property
    def connections(self):
        return self.app._by_scope_type["websocket"]._connections

    def connect(self, path="/graphql/system", subprotocols=(PROTOCOL,), **options):
        url = f"ws://127.0.0.1:{self.port}{path}"
        return connect(url, subprotocols=subprotocols or None, compression=None, **options)


@asynccontextmanager
async def serving(settings, port=None, uvicorn_options=None, **overrides):
    """Serve the application with WebSockets on this or a free port, ready for subscriptions."""
    settings = settings.model_copy(update={"websockets_enabled": True, "log_level": "error", **overrides})
    app, port = create_app(settings), port or free_port()
    options = {"http": http_protocol(settings), **websocket_options(settings), **(uvicorn_options or {})}
    config = uvicorn.Config(app, port=port, lifespan="on", log_config=None, access_log=False, **options)
    server = SilentServer(config)
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(60):
        while not (server.started and app._hub and app._hub._feed.is_ready):
            if task.done():
                await task
            await asyncio.sleep(0.02)
    try:
        yield Server(port, app, server)
    finally:
        server.should_exit = True
        await task


class Client:
    """A client of graphql-transport-ws; what it does must take less than `seconds`."""

    def __init__(self, socket, seconds=20):
        self.socket, self.seconds = socket, seconds
        self.ids = map(str, count())
        self.results = {}

    async def send(self, message):
        await self.socket.send(json.dumps(message))

    async def receive(self):
        async with asyncio.timeout(self.seconds):
            return json.loads(await self.socket.recv())

    async def init(self, token=None):
        await self.send({"type": "connection_init", "payload": {"access_token": token} if token else {}})
        message = await self.receive()
        assert message == {"type": "connection_ack"}

    async def subscribe(self, query=SUBSCRIBE, **variables):
        """Start a subscription; it takes effect before the pong is received."""
        id_ = next(self.ids)
        await self.send({"type": "subscribe", "id": id_, "payload": {"query": query, "variables": variables}})
        return id_

    async def next(self):
        """Return the data of the next result."""
        message = await self.receive()
        assert message["type"] == "next", message
        (value,) = message["payload"]["data"].values()
        return value

    async def nothing(self, seconds=0.6):
        """Check that no message arrives."""
        try:
            async with asyncio.timeout(seconds):
                message = await self.socket.recv()
        except TimeoutError:
            return
        raise AssertionError(message)

    async def close_code(self):
        """Return the code with which the server closes the connection, whatever it sends before."""
        try:
            async with asyncio.timeout(self.seconds):
                while True:
                    await self.socket.recv()
        except websockets.ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None


@asynccontextmanager
async def graphql_client(server, token=None, **options):
    async with server.connect(**options) as socket:
        client = Client(socket)
        await client.init(token)
        yield client


async def subscribed(server, number):
    """Wait until the server has this many subscriptions."""
    deadline = time.monotonic() + 20
    while sum(len(member.subscriptions) for member in server.hub._members) != number:
        assert time.monotonic() < deadline, [len(member.subscriptions) for member in server.hub._members]
        await asyncio.sleep(0.01)
