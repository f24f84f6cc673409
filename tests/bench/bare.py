"""The handlers to compare with: the same SQL written by hand, and nothing else; no token is read, no right asked.

`BARE=rows` turns rows into JSON, `BARE=json` lets the database build it. A request is Rollcall's own, but that the path
names the question, and a header carries the list of its values, so that nothing has to be made out.
"""

import asyncio
import os
import re
from typing import Any

import aiosqlite
import asyncpg
import orjson

from tests.bench.queries import QUESTIONS, TWENTY, TWENTY_IN_SQLITE, Change

POSTGRESQL_CONNECTIONS, SQLITE_CONNECTIONS = 16, 2
"""As many as Rollcall has; with more to SQLite both do worse."""
SPELLINGS = (
    (TWENTY, TWENTY_IN_SQLITE),
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
        self._turn = asyncio.Lock()
        self._questions = {
            name: (question.root, self._spell(question.json if as_json else question.rows), question.shape)
            for name, question in QUESTIONS.items()
        }
        self._answer = self._as_json if as_json else self._as_rows

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        await receive()
        values = orjson.loads(dict(scope["headers"])[b"x-values"])
        question = QUESTIONS[scope["path"][1:]]
        if question.changes:
            answer = await self._change(question.root, question.changes, values)
        else:
            answer = await self._answer(*self._questions[scope["path"][1:]], values)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _as_rows(self, root: str, sql: str, shape: Any, values: list[Any]) -> bytes:
        told = shape(await self._fetch(sql, values))
        return orjson.dumps({"data": {root: told} if root else told})

    async def _as_json(self, root: str, sql: str, _: Any, values: list[Any]) -> bytes:
        text: str = (await self._fetch(sql, values))[0][0]
        return b'{"data":{"%b":%b}}' % (root.encode(), text.encode()) if root else b'{"data":%b}' % text.encode()

    async def _change(self, root: str, change: Change, values: list[Any]) -> bytes:
        connection = await self._idle.get()
        try:
            if self._sqlite:
                return await self._on_sqlite(connection, root, change, values)
            async with connection.transaction():
                return orjson.dumps({"data": {root: await change(connection.fetch, values)}})
        finally:
            self._idle.put_nowait(connection)

    async def _on_sqlite(self, connection: Any, root: str, change: Change, values: list[Any]) -> bytes:
        async def run(sql: str, *given: Any) -> Any:
            return await connection.execute_fetchall(re.sub(r"\$\d", "?", sql), given)

        async with self._turn:  # SQLite knows one writer at a time
            await run("BEGIN IMMEDIATE")
            told = await change(run, values)
            await run("COMMIT")
        return orjson.dumps({"data": {root: told}})

    async def _fetch(self, sql: str, values: list[Any]) -> Any:
        connection = await self._idle.get()
        try:
            if self._sqlite:
                return await connection.execute_fetchall(sql, values)
            return await connection.fetch(sql, *values)
        finally:
            self._idle.put_nowait(connection)

    def _spell(self, sql: str) -> str:
        for postgresql, sqlite in SPELLINGS if self._sqlite else ():
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
