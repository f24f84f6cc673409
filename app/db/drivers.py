"""Imports what needs a database driver once it is used: a server on SQLite does not load asyncpg, which takes 3 MB."""

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

from app.db.base import POSTGRESQL
from app.db.driver_errors import DriverErrors


@cache
def driver_errors(dialect: str) -> DriverErrors:
    """Return the errors of the driver of a dialect, by SQLAlchemy's name of it."""
    if dialect == POSTGRESQL:
        from app.db.asyncpg_errors import AsyncpgErrors  # noqa: PLC0415  # see above

        return AsyncpgErrors()
    from app.db.sqlite_errors import SQLiteErrors  # noqa: PLC0415  # see above

    return SQLiteErrors()


def connector_to_hosts() -> Callable[..., Awaitable[Any]]:
    """Return a function that connects to one of several PostgreSQL servers, in place of asyncpg's own."""
    from app.db.host_list import HostList  # noqa: PLC0415  # see above

    return HostList().connect
