"""A client of server-sent events over a real socket."""

import asyncio
import json
from contextlib import asynccontextmanager

import httpx

from tests.realtime.sockets import SUBSCRIBE

PATH = "/graphql/system"
EVENT_STREAM = {"Accept": "text/event-stream"}


def http_client(server, token=None, **options):
    """Return an HTTP client that asks for server-sent events."""
    headers = {**EVENT_STREAM, **({"Authorization": f"Bearer {token}"} if token else {})}
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", headers=headers, timeout=20, **options)


def events_of(text):
    """Return the events of a complete stream, each with its data parsed; comments are left out."""
    return [event for block in text.split("\n\n") if (event := event_of(block))]


def event_of(block):
    fields = [line.partition(":") for line in block.splitlines() if not line.startswith(":")]
    values = {name: value.removeprefix(" ") for name, _, value in fields}
    return (values["event"], json.loads(values["data"]) if values["data"] else None) if values else None


class EventReader:
    """Reads the events of one response; what it does must take less than `seconds`."""

    def __init__(self, response, seconds=20):
        self.response, self.seconds = response, seconds
        self._blocks = self._read_blocks()

    async def _read_blocks(self):
        buffer = ""
        async for text in self.response.aiter_text():
            *blocks, buffer = (buffer + text).split("\n\n")
            for block in blocks:
                yield block

    async def block(self):
        """Return the next event or comment as it is, None at the end of the stream."""
        async with asyncio.timeout(self.seconds):
            return await anext(self._blocks, None)

    async def event(self):
        """Return the next event, None at the end of the stream."""
        while (block := await self.block()) is not None:
            if event := event_of(block):
                return event
        return None

    async def next(self):
        """Return the data of the next result."""
        name, result = await self.event()
        assert name == "next"
        (value,) = result["data"].values()
        return value

    async def error_code(self):
        """Return the code of the error that ends the stream."""
        name, result = await self.event()
        assert name == "next"
        assert await self.event() == ("complete", None)
        assert await self.event() is None
        return result["errors"][0]["extensions"]["code"]


@asynccontextmanager
async def event_stream(server, token=None, query=SUBSCRIBE, headers=None, **variables):
    """Send a subscription as POST, and yield a reader of its events."""
    body = {"query": query, "variables": variables}
    async with http_client(server, token) as http, http.stream("POST", PATH, json=body, headers=headers) as response:
        yield EventReader(response)
