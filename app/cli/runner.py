"""Runs the asynchronous part of a command on the configured database."""

import asyncio
import logging
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import structlog
import typer

from app.cli.database_errors import operator_error
from app.core.config import Settings, load_settings, setting_warnings
from app.db.database import Database
from app.db.database_url import parse_url

THREAD_TIMEOUT_SECONDS = 1.0

T = TypeVar("T")


def run(work: Callable[[Database, Settings], Awaitable[T]], *, warn: bool = True) -> T:
    """Run `work` with an open database and the settings, and return its result; `warn` of likely mistakes in these.

    Raises:
        OperatorError: A database error ended it, or DATABASE_URL is not supported.
        ConfigurationError: A setting is invalid.
    """

    async def main() -> T:
        settings = load_and_check_settings() if warn else load_settings()
        database, threads = Database.open(settings), set(threading.enumerate())
        try:
            return await work(database, settings)
        except Exception as error:
            if described := operator_error(error, parse_url(settings.database_url)):
                raise described from error
            raise
        finally:
            await database.dispose()
            await _join_threads_except(threads)

    with _errors_logged_to_stderr():
        return asyncio.run(main())


def load_and_check_settings() -> Settings:
    """Return the settings; what is probably a mistake in them is a line on standard error.

    Raises:
        ConfigurationError: A setting is invalid.
    """
    settings = load_settings()
    for warning in setting_warnings(settings):
        typer.echo(f"Warning: {warning}", err=True)
    return settings


async def _join_threads_except(known: set[threading.Thread]) -> None:
    """Wait for the threads of SQLite connections that failed to open, which aiosqlite stops in the background.

    One that outlived the event loop would print a traceback.
    """
    for thread in set(threading.enumerate()) - known:
        if thread.daemon:
            await asyncio.to_thread(thread.join, THREAD_TIMEOUT_SECONDS)


@contextmanager
def _errors_logged_to_stderr() -> Iterator[None]:
    """Log errors only, and not to standard output, where a command prints its result."""
    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        yield
    finally:
        structlog.configure(**before)
