"""The handler to compare with: the same SQL written by hand, rows turned into JSON, and nothing else."""

import asyncio
import os
import sqlite3
from typing import Any

import asyncpg
import orjson

QUERIES = {
    "me": ("SELECT u.id, u.email FROM directus_users u WHERE u.token = {0}", ("id", "email")),
    "list": (
        """SELECT u.id, u.email, r.name FROM directus_users u LEFT JOIN directus_roles r ON r.id = u.role
        ORDER BY u.id LIMIT 100""",
        ("id", "email", "role"),
    ),
}


class Bare:
    """An ASGI application without a framework: the path names the query."""

    def __init__(self) -> None:
        self._url = os.environ["DATABASE_URL"]
        self._idle: asyncio.Queue[asyncpg.Connection[Any]] = asyncio.Queue()
        self._file: sqlite3.Connection | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        body = await receive()
        while body.get("more_body"):
            body = await receive()
        sql, names = QUERIES[scope["path"].strip("/")]
        token = [dict(scope["headers"])[b"authorization"].decode().removeprefix("Bearer ")] if "{0}" in sql else []
        rows = await self._fetch(sql, token)
        answer = orjson.dumps({"data": [dict(zip(names, map(str, row), strict=True)) for row in rows]})
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _fetch(self, sql: str, arguments: list[str]) -> list[Any]:
        if self._file:
            return await asyncio.to_thread(self._file.execute(sql.format("?"), arguments).fetchall)
        connection = await self._idle.get()
        try:
            return await connection.fetch(sql.format("$1"), *arguments)
        finally:
            self._idle.put_nowait(connection)

    async def _lifespan(self, receive: Any, send: Any) -> None:
        await receive()
        if self._url.startswith("sqlite"):
            self._file = sqlite3.connect(self._url.partition(":///")[2], check_same_thread=False)
        else:
            for _ in range(16):
                self._idle.put_nowait(await asyncpg.connect(self._url))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})


app = Bare()
