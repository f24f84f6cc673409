"""Connects to one of several PostgreSQL servers."""

from typing import Any

import asyncpg

from app.db.asyncpg_errors import AsyncpgErrors


class HostList:
    """Connects to one of several hosts, first to the last that was usable; each has an equal part of the timeout.

    asyncpg gives all of the time to the first one, so that it never tries another if that one does not respond.
    """

    def __init__(self) -> None:
        self._first = 0

    async def connect(self, *, host: list[str], port: list[int], timeout: float, **options: Any) -> Any:  # noqa: ASYNC109  # asyncpg's own name
        """Return a connection; raise the last host's error if no host is usable."""
        order = [(self._first + offset) % len(host) for offset in range(len(host))]
        for index in order:
            try:
                connection = await asyncpg.connect(
                    host=host[index], port=port[index], timeout=timeout / len(host), **options
                )
            except (OSError, *AsyncpgErrors.own):
                if index == order[-1]:
                    raise
            else:
                self._first = index
                return connection
        raise AssertionError("there is at least one host")
