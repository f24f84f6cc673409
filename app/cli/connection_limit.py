"""The limit on connections: beyond it, those that are slow to send a request are closed to make room for others."""

import sys
import time
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Protocol, Self

import structlog

from app.core.config import Settings

CLOSED_SHARE = 20
"""One of so many connections is closed at once, because finding them takes longer than closing them."""
RESERVED_FILES = 256
"""Open files besides the connections of clients: those of the database, Redis, stored files, and logs."""
LOG_INTERVAL_SECONDS = 60.0

log = structlog.get_logger(__name__)


class Connection(Protocol):
    """A connection of a client."""

    connected_at: float
    """When it began, in seconds of any clock."""

    @property
    def peer_address(self) -> str:
        """The address at its other end."""
        ...

    @property
    def awaits_client(self) -> bool:
        """Whether the client has yet to send a request, or the rest of one."""
        ...

    def close_for_others(self) -> None:
        """Close it, with a response if a part of a request has arrived."""
        ...


class ConnectionLimit:
    """Allows at most `maximum` connections to a process. It can be pickled, for other processes."""

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self._closed, self._logged_at = 0, float("-inf")

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the limit of the settings, or a lower one if the operating system allows no more open files."""
        return cls(min(settings.max_connections, max(raise_file_limit(settings.max_connections), 1)))

    def make_room(self, connections: Collection[Connection], newest: Connection) -> None:
        """Close some connections that await their clients, or the newest if none does; log it, but not each time."""
        others = [connection for connection in connections if connection is not newest]
        closed = choose_connections(others, len(connections) // CLOSED_SHARE) or [newest]
        for connection in closed:
            connection.close_for_others()
        self._closed += len(closed)
        if (now := time.monotonic()) - self._logged_at > LOG_INTERVAL_SECONDS:
            log.warning("connections_closed", count=self._closed, limit=self.maximum)
            self._closed, self._logged_at = 0, now


def choose_connections(connections: Iterable[Connection], count: int) -> Sequence[Connection]:
    """Return the connections to close, at least one if any awaits its client: the oldest of the largest client."""
    waiting = [connection for connection in connections if connection.awaits_client]
    per_address = Counter(connection.peer_address for connection in waiting)
    waiting.sort(key=lambda connection: (-per_address[connection.peer_address], connection.connected_at))
    return waiting[: max(count, 1)]


def raise_file_limit(connections: int) -> int:
    """Raise the soft limit on open files, if it is too low; return how many connections the limit then allows."""
    if sys.platform == "win32":
        return connections
    import resource  # noqa: PLC0415  # it exists on POSIX only

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + RESERVED_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return connections
    soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft - RESERVED_FILES
