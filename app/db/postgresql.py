"""The engines of PostgreSQL: how its connections are opened and configured, also behind a connection pooler."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import URL, Connection, ExceptionContext, event, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.core.timestamps import from_microseconds, to_microseconds
from app.db.database_url import has_several_hosts
from app.db.driver_errors import STALE_SQLSTATES
from app.db.drivers import connector_to_hosts

CONNECT_TIMEOUT_SECONDS = 5
"""Seconds in which a connection must be open, however many hosts are tried."""
POOLED_ARGUMENTS: Mapping[str, Any] = {
    "statement_cache_size": 0,
    "prepared_statement_cache_size": 0,
    "prepared_statement_name_func": str,
}
"""Arguments with which neither asyncpg nor SQLAlchemy names a prepared statement, which another session would lack."""

Parameters = Mapping[str, str | int]
"""Run-time parameters of a PostgreSQL session."""


def create_postgresql_engine(
    url: URL, size: int, parameters: Parameters, *, pooler: bool = False, **options: Any
) -> AsyncEngine:
    """Return an engine of `size` connections with these run-time parameters.

    Behind a `pooler` in transaction mode a connection has none, as each transaction may run in another session; see
    `local_parameters`.
    """
    # Only what PgBouncer accepts at the start of a connection; the other parameters are set once it is open.
    server_settings = {"application_name": "rollcall", "TimeZone": "UTC"}
    arguments: dict[str, Any] = {"timeout": CONNECT_TIMEOUT_SECONDS, "server_settings": server_settings}
    arguments |= POOLED_ARGUMENTS if pooler else {}
    if has_several_hosts(url):
        arguments["async_creator_fn"] = connector_to_hosts()
    options |= {"pool_size": size, "max_overflow": 0, "connect_args": arguments}
    # JSON stays text: app.db.base.Json decodes it, and most of it is only passed on.
    # Parameters hold what clients sent, and an exception's text ends up in the log.
    engine = create_async_engine(url, hide_parameters=True, json_deserializer=str, **options)
    event.listen(engine.sync_engine, "handle_error", _mark_stale)
    event.listen(engine.sync_engine, "connect", _set_timestamp_codec)
    if not pooler:
        event.listen(engine.sync_engine, "connect", _parameter_setter(parameters))
    return engine


def local_parameters(parameters: Parameters) -> list[str]:
    """Return the commands that set run-time parameters for the current transaction, before its first statement."""
    return [f"SET LOCAL {name.removeprefix('default_')} = {value}" for name, value in parameters.items()]


def set_parameters_at_begin(engine: AsyncEngine, parameters: Parameters) -> None:
    """Set run-time parameters at the beginning of each transaction that SQLAlchemy begins on an engine."""

    def set_parameters(connection: Connection) -> None:
        for command in local_parameters(parameters):
            connection.execute(text(command))

    event.listen(engine.sync_engine, "begin", set_parameters)


def _set_timestamp_codec(connection: Any, record: Any) -> None:
    # asyncpg takes the first and last datetime for infinity, and cannot read the years that have no datetime.
    connection.run_async(
        lambda driver: driver.set_type_codec(
            "timestamptz",
            schema="pg_catalog",
            format="tuple",
            encoder=lambda moment: (to_microseconds(moment),),
            decoder=lambda values: from_microseconds(*values),
        )
    )


def _parameter_setter(parameters: Parameters) -> Callable[[Any, Any], None]:
    commands = "; ".join(f"SET {name} = {value}" for name, value in parameters.items())

    def set_parameters(connection: Any, record: Any) -> None:
        try:
            connection.run_async(lambda driver: driver.execute(commands))
        except Exception:
            connection.terminate()
            raise

    return set_parameters


def _mark_stale(context: ExceptionContext) -> None:
    # Makes SQLAlchemy's pool drop its other connections, which are as old as this one and therefore broken too.
    code = getattr(context.original_exception, "sqlstate", None) or ""
    context.is_disconnect = context.is_disconnect or code.startswith(STALE_SQLSTATES)
