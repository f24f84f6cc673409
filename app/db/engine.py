"""Creates the SQLAlchemy engines: how many connections a process opens, and how each one is configured."""

import os
import time
from collections.abc import Callable, Iterable
from inspect import signature
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import URL, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.core.errors import OperatorError
from app.db.base import POSTGRESQL
from app.db.postgresql import Parameters, create_postgresql_engine, set_parameters_at_begin

NOT_A_DIRECTORY = (FileExistsError, NotADirectoryError)
"""What creating a file or directory below a file raises."""
BUSY_TIMEOUT_MS = 5_000
"""Milliseconds SQLite waits for the file's lock; on PostgreSQL maintenance waits twice as long for a lock."""
LOCK_SHARE = 0.9
"""The part of a write statement's time limit for which it waits for a lock, so that waiting has an error of its own."""
IDLE_IN_TRANSACTION_MS = 10_000
"""Milliseconds after which PostgreSQL ends a transaction whose process sends nothing, as it may hang or be cut off."""
MAX_CONCURRENT_WRITES = 8
"""Concurrent write transactions of one process on PostgreSQL.

Measured with 64 clients and commits that take 0, 2 and 5 ms: updates of users get no faster with more than 8, but the
slowest of them get slower.
"""
EXCLUSIVE_WRITES = 1
"""Exclusive write transactions of one process at a time."""
MAINTENANCE_CONNECTIONS = 1
"""Connections for `Database.transaction`, which the write pool never holds."""
LISTEN_CONNECTIONS = 1
"""Connections that wait for PostgreSQL's notifications."""
RESERVED_CONNECTIONS = 2
"""Connections of each pool on PostgreSQL that a caller uses only while it uses no other."""
SQLITE_READ_CONNECTIONS, SQLITE_RESERVED_CONNECTIONS = 2, 1
"""Read connections to an SQLite file. Each is a thread; small queries wait longer for each other than for SQLite."""
WRITE_CACHE_KIB = 500
"""Page cache of a write connection to SQLite: a quarter of its default; writes measured no slower."""
STEPS_PER_DEADLINE_CHECK = 10_000


def read_connections(url: URL, pool_size: int) -> int:
    """Return how many read connections a process opens at most."""
    return pool_size if url.get_backend_name() == POSTGRESQL else min(pool_size, SQLITE_READ_CONNECTIONS)


def reserved_connections(url: URL) -> int:
    """Return how many more read connections are reserved for callers that use none yet."""
    return RESERVED_CONNECTIONS if url.get_backend_name() == POSTGRESQL else SQLITE_RESERVED_CONNECTIONS


def concurrent_writes(pool_size: int) -> int:
    """Return how many concurrent write transactions a process runs at most on PostgreSQL."""
    return min(pool_size, MAX_CONCURRENT_WRITES)


def max_connections_of_process(pool_size: int) -> int:
    """Return how many connections to PostgreSQL a process opens at most."""
    writes = concurrent_writes(pool_size) + RESERVED_CONNECTIONS + EXCLUSIVE_WRITES
    return pool_size + RESERVED_CONNECTIONS + writes + MAINTENANCE_CONNECTIONS + LISTEN_CONNECTIONS


def write_parameters(statement_timeout: float) -> Parameters:
    """Return the run-time parameters of write transactions on PostgreSQL."""
    milliseconds = int(statement_timeout * 1000)
    return {
        "default_transaction_read_only": "off",
        "statement_timeout": milliseconds,
        "lock_timeout": max(1, int(milliseconds * LOCK_SHARE)),
        "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_MS,
        "jit": "off",
    }


def create_write_engine(url: URL, pool_size: int, statement_timeout: float, *, pooler: bool = False) -> AsyncEngine:
    """Return the engine of all connections of the write pool, which keeps as many open as it ever needs.

    PostgreSQL stops a statement after `statement_timeout` seconds. Behind a `pooler`, each transaction has to set the
    parameters itself.

    Raises:
        OperatorError: The SQLite file cannot be created.
    """
    if url.get_backend_name() == POSTGRESQL:
        size = concurrent_writes(pool_size) + RESERVED_CONNECTIONS + EXCLUSIVE_WRITES
        parameters = write_parameters(statement_timeout)
        return create_postgresql_engine(url, size, parameters, pooler=pooler, isolation_level="READ COMMITTED")
    engine = _create_writable_sqlite_engine(url, EXCLUSIVE_WRITES)
    event.listen(engine.sync_engine, "connect", _install_deadline)
    return engine


def create_maintenance_engine(url: URL, *, pooler: bool = False) -> AsyncEngine:
    """Return the engine for work that may take hours: migrations, upgrades, imports, exports.

    Raises:
        OperatorError: The SQLite file cannot be created.
    """
    if url.get_backend_name() == POSTGRESQL:
        parameters: Parameters = {
            "default_transaction_read_only": "off",
            "statement_timeout": 0,
            "lock_timeout": 2 * BUSY_TIMEOUT_MS,
            "idle_in_transaction_session_timeout": 0,
        }
        engine = create_postgresql_engine(
            url, MAINTENANCE_CONNECTIONS, parameters, pooler=pooler, isolation_level="READ COMMITTED"
        )
        if pooler:
            set_parameters_at_begin(engine, parameters)
        return engine
    engine = _create_writable_sqlite_engine(url, MAINTENANCE_CONNECTIONS)
    event.listen(engine.sync_engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def create_autocommit_engine(url: URL, *, pooler: bool = False) -> AsyncEngine:
    """Return an engine for statements that may take hours and run in no transaction, such as building an index.

    Raises:
        OperatorError: The SQLite file cannot be created.
    """
    if url.get_backend_name() != POSTGRESQL:
        return _create_writable_sqlite_engine(url, MAINTENANCE_CONNECTIONS)
    parameters: Parameters = {"default_transaction_read_only": "off", "statement_timeout": 0, "lock_timeout": 0}
    return create_postgresql_engine(
        url, MAINTENANCE_CONNECTIONS, parameters, pooler=pooler, isolation_level="AUTOCOMMIT"
    )


def create_listen_engine(url: URL) -> AsyncEngine:
    """Return an engine of one connection to PostgreSQL that waits for notifications."""
    return create_postgresql_engine(
        url, LISTEN_CONNECTIONS, {"default_transaction_read_only": "on"}, isolation_level="AUTOCOMMIT"
    )


def create_read_engine(url: URL, size: int, statement_timeout: float, *, pooler: bool = False) -> AsyncEngine:
    """Return an engine of `size` read-only connections in autocommit mode.

    A statement is stopped after `statement_timeout` seconds. Behind a `pooler` PostgreSQL knows no such limit, and does
    not enforce that the connections are read-only.
    """
    options: dict[str, Any] = {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True}
    if url.get_backend_name() == POSTGRESQL:
        parameters: Parameters = {
            "default_transaction_read_only": "on",
            "statement_timeout": int(statement_timeout * 1000),
            "jit": "off",
        }
        return create_postgresql_engine(url, size, parameters, pooler=pooler, **options)
    engine = _create_sqlite_engine(url, size, ["query_only=ON"], **options)
    event.listen(engine.sync_engine, "connect", _install_deadline)
    return engine


def _create_writable_sqlite_engine(url: URL, size: int) -> AsyncEngine:
    create_private_file(Path(url.database or ""))
    pragmas = ["journal_mode=WAL", f"cache_size=-{WRITE_CACHE_KIB}"]
    return _create_sqlite_engine(url, size, pragmas, pool_timeout=2 * BUSY_TIMEOUT_MS / 1000)


def _create_sqlite_engine(url: URL, size: int, pragmas: Iterable[str], **options: Any) -> AsyncEngine:
    options |= {"pool_size": size, "max_overflow": 0, "connect_args": {"isolation_level": None}}
    engine = create_async_engine(url, hide_parameters=True, **options)
    configure = _sqlite_configurator([f"busy_timeout={BUSY_TIMEOUT_MS}", "foreign_keys=ON", *pragmas])
    event.listen(engine.sync_engine, "connect", configure)
    return engine


def _sqlite_configurator(pragmas: Iterable[str]) -> Callable[[Any, Any], None]:
    def configure(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        try:
            for pragma in pragmas:
                cursor.execute(f"PRAGMA {pragma}")
        except Exception:
            connection.close()  # or its thread outlives the event loop, and fails with a traceback
            raise
        cursor.close()
        for name, function in SQLITE_FUNCTIONS.items():
            connection.create_function(name, len(signature(function).parameters), function, deterministic=True)

    return configure


def fold(text: str | None) -> str | None:
    """Return a text in lower case by Unicode's rules; SQLite's own `lower` folds ASCII only."""
    return None if text is None else str(text).lower()


def distinct_words(texts: str) -> str | None:
    """Return the words of a JSON list of comma-separated texts, each once, as PostgreSQL lists them by itself."""
    values = sorted(text for text in orjson.loads(texts) if text is not None)
    return ",".join(dict.fromkeys(",".join(filter(None, values)).split(","))) if values else None


def join_sums(high: int | None, low: int | None) -> str | None:
    """Return the digits of a sum, given the sums of its addends' parts above and below 32 bits."""
    return None if high is None or low is None else str((high << 32) + low)


def sum_of(numbers: str) -> str | None:
    """Return the digits of the sum of the integers in a JSON list, which may contain null; None if it has none."""
    values = [value for value in orjson.loads(numbers) if value is not None]
    return str(sum(values)) if values else None


SQLITE_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "rollcall_fold": fold,
    "rollcall_words": distinct_words,
    "rollcall_sum": join_sums,
    "rollcall_sum_of": sum_of,
}
"""SQL functions defined on every SQLite connection."""


class StatementDeadline:
    """SQLite's statement timeout: a progress handler that SQLite calls regularly while a statement runs."""

    def __init__(self) -> None:
        self.expires = float("inf")

    def start(self, seconds: float) -> None:
        """Give the next statement this many seconds."""
        self.expires = time.monotonic() + seconds

    def expire(self) -> None:
        """Stop the statement that is running, and any other until the next `start`, unless it is a short one."""
        self.expires = 0.0

    def __call__(self) -> bool:
        return time.monotonic() > self.expires


def _install_deadline(connection: Any, record: Any) -> None:
    deadline = record.info["deadline"] = StatementDeadline()
    connection.run_async(lambda driver: driver.set_progress_handler(deadline, STEPS_PER_DEADLINE_CHECK))


def create_private_file(file: Path) -> None:
    """Create the database file and its directory if missing, readable by their owner only.

    Raises:
        OperatorError: The file system refuses it.
    """
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not file.exists():
            os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        reason = "a part of its path is not a directory" if isinstance(error, NOT_A_DIRECTORY) else error.strerror
        raise OperatorError(
            f"The database file {file} cannot be created: {reason}. Correct DATABASE_URL or the permissions."
        ) from None


def sqlstate(error: DBAPIError) -> str:
    """Return PostgreSQL's five-character error code; empty for SQLite's errors."""
    return str(getattr(error.orig, "sqlstate", None) or "")
