"""The bare handlers that Rollcall is compared with: hand-written SQL without tokens and permissions.

`BARE=rows` encodes rows as JSON, `BARE=json` lets the database build the JSON. A request is the one that Rollcall gets,
except that its path names the query and a header has the list of bind values, so that nothing has to be parsed.
"""

import asyncio
import os
import re
from typing import Any

import aiosqlite
import asyncpg
import orjson

from tests.bench.queries import QUERIES, TWENTY_USERS, TWENTY_USERS_SQLITE, Write

POSTGRESQL_CONNECTIONS, SQLITE_CONNECTIONS = 16, 2
"""As many as Rollcall uses; with more connections to SQLite both get slower."""
SQLITE_REPLACEMENTS = (
    (TWENTY_USERS, TWENTY_USERS_SQLITE),
    ("json_agg(one)", "json_group_array(json(one))"),
    ("json_agg", "json_group_array"),
    ("json_build_object", "json_object"),
    (' COLLATE "C"', ""),
    ("::text", ""),
    ("::uuid", ""),
    ("$", "?"),
)


class Bare:
    """An ASGI application without a framework."""

    def __init__(self, url: str, *, as_json: bool) -> None:
        self._url = url
        self._sqlite = url.startswith("sqlite")
        self._idle: asyncio.Queue[Any] = asyncio.Queue()
        self._write_lock = asyncio.Lock()
        self._queries = {
            name: (query.root, self._to_dialect(query.json if as_json else query.rows), query.shape)
            for name, query in QUERIES.items()
        }
        self._read = self._read_json if as_json else self._read_rows

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        await receive()
        values = orjson.loads(dict(scope["headers"])[b"x-values"])
        query = QUERIES[scope["path"][1:]]
        if query.write:
            body = await self._write(query.root, query.write, values)
        else:
            body = await self._read(*self._queries[scope["path"][1:]], values)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _read_rows(self, root: str, sql: str, shape: Any, values: list[Any]) -> bytes:
        data = shape(await self._fetch(sql, values))
        return orjson.dumps({"data": {root: data} if root else data})

    async def _read_json(self, root: str, sql: str, _: Any, values: list[Any]) -> bytes:
        text: str = (await self._fetch(sql, values))[0][0]
        return b'{"data":{"%b":%b}}' % (root.encode(), text.encode()) if root else b'{"data":%b}' % text.encode()

    async def _write(self, root: str, write: Write, values: list[Any]) -> bytes:
        connection = await self._idle.get()
        try:
            if self._sqlite:
                return await self._write_on_sqlite(connection, root, write, values)
            async with connection.transaction():
                return orjson.dumps({"data": {root: await write(connection.fetch, values)}})
        finally:
            self._idle.put_nowait(connection)

    async def _write_on_sqlite(self, connection: Any, root: str, write: Write, values: list[Any]) -> bytes:
        async def run(sql: str, *arguments: Any) -> Any:
            return await connection.execute_fetchall(re.sub(r"\$\d", "?", sql), arguments)

        async with self._write_lock:  # SQLite allows one writer at a time
            await run("BEGIN IMMEDIATE")
            data = await write(run, values)
            await run("COMMIT")
        return orjson.dumps({"data": {root: data}})

    async def _fetch(self, sql: str, values: list[Any]) -> Any:
        connection = await self._idle.get()
        try:
            if self._sqlite:
                return await connection.execute_fetchall(sql, values)
            return await connection.fetch(sql, *values)
        finally:
            self._idle.put_nowait(connection)

    def _to_dialect(self, sql: str) -> str:
        for postgresql, sqlite in SQLITE_REPLACEMENTS if self._sqlite else ():
            sql = sql.replace(postgresql, sqlite)
        return sql

    async def _lifespan(self, receive: Any, send: Any) -> None:
        await receive()
        for _ in range(SQLITE_CONNECTIONS if self._sqlite else POSTGRESQL_CONNECTIONS):
            self._idle.put_nowait(await self._connect())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        while not self._idle.empty():
            await self._idle.get_nowait().close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _connect(self) -> Any:
        if self._sqlite:
            return await aiosqlite.connect(self._url.partition(":///")[2], isolation_level=None)
        return await asyncpg.connect(self._url)


app = Bare(os.environ["DATABASE_URL"], as_json=os.environ["BARE"] == "json")
