"""A node of a Directus, as far as clearing its caches is concerned: a real HTTP server that records requests."""

import asyncio
import socket
from contextlib import asynccontextmanager
from dataclasses import replace

from pydantic import SecretStr

TOKEN = "the-static-token-of-an-admin"


class DirectusNode:
    """Answers every request with `status`, after waiting for `delay`; `requests` holds its line and headers."""

    def __init__(self, path=""):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.scheme, self.path = "http", path
        self.requests, self.status, self.headers, self.on_request = [], "200 OK", "", None

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.port}{self.path}"

    @asynccontextmanager
    async def up(self, ssl=None):
        self.scheme = "https" if ssl else "http"
        server = await asyncio.start_server(self._answer, "127.0.0.1", self.port, ssl=ssl)
        try:
            yield self
        finally:
            server.close()

    async def _answer(self, reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                line, *headers = head.decode().strip().split("\r\n")
                fields = dict(header.lower().split(": ", 1) for header in headers)
                await reader.readexactly(int(fields.get("content-length", 0)))
                self.requests.append((line, fields))
                if self.on_request is not None:
                    await self.on_request()
                writer.write(f"HTTP/1.1 {self.status}\r\ncontent-length: 0\r\n{self.headers}\r\n".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


def beside(services, *nodes, **overrides):
    """Return the services with settings that name these nodes."""
    directus = {"directus_url": tuple(node.url for node in nodes), "directus_token": SecretStr(TOKEN)}
    return replace(services, settings=services.settings.model_copy(update={**directus, **overrides}))
