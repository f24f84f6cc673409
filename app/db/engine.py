"""How connections are made: which addresses are accepted, and what every connection is told first."""

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import asyncpg
import orjson
from sqlalchemy import URL, ExceptionContext, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.core.errors import OperatorError
from app.db.base import POSTGRESQL

DRIVERS = {
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
}
ACCEPTED = "DATABASE_URL should be like postgresql://user:password@host:5432/name or sqlite:///path/to/file.db"
# What connecting raises when nobody answers; from a statement the same things come wrapped in a DBAPIError.
UNREACHABLE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, PoolTimeout)
# The server shut down, the connection broke, or a neighbour changed a table under a prepared statement.
STALE_SQLSTATES = ("57P", "08", "0A000")
BUSY_MS = 5_000
CONNECT_SECONDS = 5
SETTING_UP = 2
"""Connections to write with that those who change the directory never have."""
SQLITE_WRITERS = 2
"""Connections to write to an SQLite file: one that is kept for changes, and one for all else."""
WRITER_KIB = 500
"""What such a connection remembers of the file: a quarter of what SQLite would, as changes are no slower with it."""
STEPS_BETWEEN_LOOKS = 10_000


def parse_url(text: str) -> URL:
    """The database's address as the drivers take it; raises Refusal, without its words, for any other address."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise OperatorError(f"DATABASE_URL can't be read: {ACCEPTED}.") from None
    if url.drivername not in DRIVERS:
        raise OperatorError(f"DATABASE_URL begins with {url.drivername!r}, which is not supported: {ACCEPTED}.")
    url = url.set(drivername=DRIVERS[url.drivername])
    if url.get_backend_name() == POSTGRESQL:
        return _postgresql_url(url)
    if url.query or url.host or url.database in (None, "", ":memory:"):
        raise OperatorError(f"DATABASE_URL should name a file, and nothing after it: {ACCEPTED}.")
    return url


def _postgresql_url(url: URL) -> URL:
    unknown = sorted(set(url.query) - {"ssl", "sslmode", "host", "port"})
    if unknown:
        raise OperatorError(f"DATABASE_URL carries the option {unknown[0]!r}; those known are sslmode, host and port.")
    mode = url.query.get("sslmode")
    return url.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode}) if mode else url


def create_write_engine(url: URL, size: int) -> AsyncEngine:
    """The engine that `size` transactions run on at once, besides one that is alone, and a few that set things up.

    Those that change the directory keep their connections, so that there have to be more than they can have. SQLite
    knows one writer at a time: there few connections will do.
    """
    if url.get_backend_name() == POSTGRESQL:
        told = {"lock_timeout": f"{2 * BUSY_MS}", "default_transaction_read_only": "off"}
        return _postgresql(url, size + 1 + SETTING_UP, told, isolation_level="READ COMMITTED")
    create_private_file(Path(url.database or ""))
    engine = _sqlite(
        url, SQLITE_WRITERS, ["journal_mode=WAL", f"cache_size=-{WRITER_KIB}"], pool_timeout=2 * BUSY_MS / 1000
    )
    event.listen(engine.sync_engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def create_read_engine(url: URL, size: int, seconds: float) -> AsyncEngine:
    """The engine that only reads, outside transactions; a statement is stopped after so many `seconds`."""
    options: dict[str, Any] = {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True}
    if url.get_backend_name() == POSTGRESQL:
        told = {"default_transaction_read_only": "on", "statement_timeout": f"{int(seconds * 1000)}", "jit": "off"}
        return _postgresql(url, size, told, **options)
    engine = _sqlite(url, size, ["query_only=ON"], **options)
    event.listen(engine.sync_engine, "connect", _watch)
    return engine


def _postgresql(url: URL, size: int, told: dict[str, str], **options: Any) -> AsyncEngine:
    session = {"application_name": "rollcall", "TimeZone": "UTC", **told}
    arguments = {"timeout": CONNECT_SECONDS, "server_settings": session}
    # json stays the text it is: app.db.base.Json reads it, and most of it is only passed on.
    options |= {"pool_size": size, "max_overflow": 0, "connect_args": arguments}
    # Parameters hold what clients sent, and an exception's text ends in the log.
    engine = create_async_engine(url, hide_parameters=True, json_deserializer=str, **options)
    event.listen(engine.sync_engine, "handle_error", _mark_stale)
    return engine


def _mark_stale(context: ExceptionContext) -> None:
    # Tells the pool that its other connections are as old as this one, and so as dead.
    code = getattr(context.original_exception, "sqlstate", None) or ""
    context.is_disconnect = context.is_disconnect or code.startswith(STALE_SQLSTATES)


def _sqlite(url: URL, size: int, pragmas: Iterable[str], **options: Any) -> AsyncEngine:
    told = {"isolation_level": None}
    engine = create_async_engine(
        url, pool_size=size, max_overflow=0, hide_parameters=True, connect_args=told, **options
    )
    event.listen(engine.sync_engine, "connect", _greet([f"busy_timeout={BUSY_MS}", "foreign_keys=ON", *pragmas]))
    return engine


def _greet(pragmas: Iterable[str]) -> Callable[[Any, Any], None]:
    def greet(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
        for name, function in FUNCTIONS.items():
            connection.create_function(name, 1, function, deterministic=True)

    return greet


def fold(text: str | None) -> str | None:
    """Lower case as Unicode has it; SQLite's own `lower` knows ASCII only."""
    return None if text is None else str(text).lower()


def distinct_words(texts: str) -> str | None:
    """A JSON list of texts -> their words, divided by commas, each once; as PostgreSQL tells it by itself."""
    there = sorted(text for text in orjson.loads(texts) if text is not None)
    return ",".join(dict.fromkeys(",".join(filter(None, there)).split(","))) if there else None


FUNCTIONS = {"rollcall_fold": fold, "rollcall_words": distinct_words}
"""What SQLite is taught."""


class StatementDeadline:
    """SQLite's statement time-out: asked every so many steps whether the statement's time is over."""

    def __init__(self) -> None:
        self.moment = float("inf")

    def start(self, seconds: float) -> None:
        """Give the next statement so many seconds."""
        self.moment = time.monotonic() + seconds

    def __call__(self) -> bool:
        return time.monotonic() > self.moment


def _watch(connection: Any, record: Any) -> None:
    deadline = record.info["deadline"] = StatementDeadline()
    connection.run_async(lambda driver: driver.set_progress_handler(deadline, STEPS_BETWEEN_LOOKS))


def create_private_file(file: Path) -> None:
    """Make the database's file, and its folder where missing, for the owner's eyes only."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not file.exists():
            os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise OperatorError(f"The database's file {file} can't be made: {error.strerror}.") from None


def redact_driver_error(error: BaseException) -> None:
    """Takes out of what PostgreSQL said any value of somebody's: an error's text may end in the log."""
    if isinstance(error, asyncpg.PostgresError):
        error.detail = None  # a key, or a whole row
    if isinstance(error, asyncpg.DataError):
        error.args = ("a value doesn't fit its column",)


def sqlstate(error: DBAPIError) -> str:
    """PostgreSQL's five-letter code of an error; empty for SQLite's."""
    return str(getattr(error.orig, "sqlstate", None) or "")
