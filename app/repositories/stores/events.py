"""Reads the events that triggers write, and lets the triggers write them for as long as some process reads them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from sqlalchemy import BigInteger, Text, TextClause, text
from sqlalchemy.types import TypeEngine

from app.db.base import POSTGRESQL
from app.db.connection import Row
from app.db.statement import bind_param
from app.repositories.services import Services

CHANNEL = "rollcall_events"
"""PostgreSQL's channel on which a commit with events notifies."""
MAX_BATCH_SIZE = 5_000
"""Number of events from which on it is cheaper to read again all that subscribers see."""
LEASE_SECONDS = 300
"""How long writes add events after the last process that reads them has stopped."""
GENERATION_SECONDS = 60
"""How long events are stored at least, and half of how long they are stored at most."""
MARGIN_SECONDS = 10
"""By how much later than a generation a position must be to contain all of its events."""
PRUNE_SIZE = 10_000
"""Number of events that one transaction deletes at most, so that none takes long."""


class FeedPosition(NamedTuple):
    """What a process has read: PostgreSQL's snapshot, or the key of SQLite's last event, and the Unix time of that.

    `history` changes if commits may have no events, or have been lost: the lease had ended, or PostgreSQL has crashed
    or another server has taken over.
    """

    mark: str
    at: int
    history: str


class Event(NamedTuple):
    """A row that was written. Without a `key`, every row of the collection may be concerned."""

    collection: str
    key: str | None
    action: str


@dataclass(frozen=True, slots=True)
class EventBatch:
    """The events since a position, in the order in which they were written, and the position after them.

    If it is `incomplete`, there were too many, or some are missing: `events` is then empty.
    `version` is that of all rights and fields; empty if it was not read.
    """

    events: tuple[Event, ...]
    position: FeedPosition
    incomplete: bool = False
    version: str = ""


_NOW = {
    "postgresql": "CAST(extract(epoch FROM clock_timestamp()) AS bigint)",
    "sqlite": "CAST(strftime('%s', 'now') AS INTEGER)",
}
_MARK = {
    "postgresql": "CAST(pg_current_snapshot() AS text)",
    "sqlite": "CAST(coalesce((SELECT max(id) FROM rollcall_events), 0) AS text)",
}
_XID = {"postgresql": "CAST(CAST(pg_current_xact_id() AS text) AS bigint)", "sqlite": _NOW["sqlite"]}
"""Identifies the transaction with which a lease begins."""
_HISTORY = {
    # PostgreSQL resets its statistics when it recovers from a crash, and each server has its own: after either, commits
    # that were seen may be lost, and their transaction ids used again. A server that was stopped keeps them.
    "postgresql": "(SELECT concat(started_xid, ' ', extract(epoch FROM pg_stat_get_bgwriter_stat_reset_time())) "
    "FROM rollcall_event_capture)",
    "sqlite": "(SELECT CAST(started_xid AS text) FROM rollcall_event_capture)",
}
_LIST = {
    "postgresql": "CAST(json_agg(json_build_array(collection, key, action) ORDER BY id) AS text)",
    "sqlite": "json_group_array(json_array(collection, key, action))",
}
_IS_READ = {
    "postgresql": "pg_visible_in_snapshot(CAST(CAST(xid AS text) AS xid8), CAST({mark} AS pg_snapshot))",
    "sqlite": "id <= CAST({mark} AS INTEGER)",
}
"""Whether an event was committed before a mark was taken."""
_IS_FOREIGN = {
    "postgresql": "xid >= CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint)",
    "sqlite": "false",
}
"""Whether an event comes from another server, by a backup: no transaction of this one has had its id yet."""
_IS_RECENT = {
    "postgresql": "xid >= CAST(CAST(pg_snapshot_xmin(CAST({mark} AS pg_snapshot)) AS text) AS bigint)"
    f" AND NOT {_IS_FOREIGN['postgresql']}",
    "sqlite": "true",
}
"""Holds for every event that was committed afterwards, and can use an index."""
DIALECTS = tuple(_NOW)


def _bound(sql: str, **types: type[TypeEngine[Any]]) -> TextClause:
    return text(sql).bindparams(*(bind_param(name, type_()) for name, type_ in types.items()))


_POSITION = {dialect: text(f"SELECT {_MARK[dialect]}, {_NOW[dialect]}, {_HISTORY[dialect]}") for dialect in DIALECTS}
_READ = {
    dialect: _bound(
        f"SELECT {_MARK[dialect]}, {_NOW[dialect]}, {_HISTORY[dialect]}, "
        f"(SELECT {_LIST[dialect]} FROM (SELECT * FROM rollcall_events "
        f"WHERE {_IS_RECENT[dialect].format(mark=':mark')} AND NOT {_IS_READ[dialect].format(mark=':mark')} "
        "ORDER BY id LIMIT :size) AS unread), (SELECT pruned_until FROM rollcall_event_capture), "
        "(SELECT CAST(token AS text) FROM rollcall_version)",
        mark=Text,
        size=BigInteger,
    )
    for dialect in DIALECTS
}
OWNED = ("directus_users", "directus_sessions", "rollcall_tokens")
"""Collections whose events say that a user may have lost access; the key is that user's."""
MAX_UNREAD_OWNERS = 100
UNREAD_OWNERS = {
    dialect: _bound(
        f'(SELECT {owners} FROM (SELECT "key" FROM rollcall_events '
        f"WHERE {_IS_RECENT[dialect].format(mark=':mark')} AND NOT {_IS_READ[dialect].format(mark=':mark')} "
        f"AND collection IN {OWNED} LIMIT {MAX_UNREAD_OWNERS}) AS unread)",
        mark=Text,
    )
    for dialect, owners in (
        ("postgresql", 'CAST(json_agg("key") AS text)'),
        ("sqlite", 'json_group_array("key")'),
    )
}
"""A column with the owners in events that were committed after a mark, as a JSON list."""
_RENEW = {
    dialect: _bound(
        "UPDATE rollcall_event_capture SET "
        f"started_xid = CASE WHEN active_until > {_NOW[dialect]} THEN started_xid ELSE {_XID[dialect]} END, "
        f"active_until = {_NOW[dialect]} + :seconds",
        seconds=BigInteger,
    )
    for dialect in DIALECTS
}
_IS_COMPLETE = {
    "postgresql": text(
        "SELECT NOT EXISTS (SELECT 1 FROM pg_snapshot_xip(pg_current_snapshot()) AS running (xid) "
        "JOIN pg_locks ON locktype = 'transactionid' AND granted AND transactionid = CAST(running.xid AS xid) "
        "LEFT JOIN pg_stat_activity AS activity ON activity.pid = pg_locks.pid "
        "WHERE CAST(CAST(running.xid AS text) AS bigint) <= started_xid "
        "AND coalesce(activity.datname, current_database()) = current_database()) FROM rollcall_event_capture"
    ),
    "sqlite": text("SELECT 1"),
}
"""Whether no transaction of this database is running that began before the lease; one of another counts for nothing."""
_NEXT_GENERATION = {
    dialect: _bound(
        "UPDATE rollcall_event_capture SET pruned_mark = generation_mark, "
        f"pruned_until = CASE WHEN generation_at > {_NOW[dialect]} THEN {_NOW[dialect]} ELSE generation_at END, "
        f"generation_mark = {_MARK[dialect]}, generation_at = {_NOW[dialect]} "
        f"WHERE generation_at <= {_NOW[dialect]} - :seconds OR generation_at > {_NOW[dialect]} RETURNING pruned_mark",
        seconds=BigInteger,
    )
    for dialect in DIALECTS
}
"""Begins the next generation. One in the future is over too, as the clock has been set back."""
_PRUNE = {
    dialect: _bound(
        "DELETE FROM rollcall_events WHERE id IN (SELECT id FROM rollcall_events "
        f"WHERE id > :after AND ({is_read.format(mark=':mark')} OR {_IS_FOREIGN[dialect]}) ORDER BY id LIMIT :size) "
        "RETURNING id",
        mark=Text,
        after=BigInteger,
        size=BigInteger,
    )
    for dialect, is_read in _IS_READ.items()
}


class EventStore:
    """The events of a database.

    All methods raise ServiceUnavailable if the database is unavailable.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    async def renew_capture(self) -> None:
        """Let the triggers write events for the next `LEASE_SECONDS`."""
        await self._write(_RENEW[self._services.dialect], seconds=LEASE_SECONDS)

    async def is_capture_complete(self) -> bool:
        """Return whether every transaction that began before events were written has ended."""
        return bool((await self._services.reader.fetch(_IS_COMPLETE[self._services.dialect]))[0])

    async def position(self) -> FeedPosition:
        """Return the position after all events that are committed now."""
        return FeedPosition(*await self._services.reader.fetch(_POSITION[self._services.dialect]))

    async def read(self, position: FeedPosition) -> EventBatch:
        """Return the events that were committed after a position was taken.

        On PostgreSQL, events become visible in another order than their keys are assigned in, so the position is a
        snapshot: an event is unread if its transaction was not visible in it.
        """
        bindings = {"mark": position.mark, "size": MAX_BATCH_SIZE + 1}
        row = await self._services.reader.fetch(_READ[self._services.dialect], bindings)
        mark, now, history, events, pruned_until, version = row
        found: Sequence[list[Any]] = orjson.loads(events or "[]")
        after = FeedPosition(mark, now, history)
        is_pruned = position.at < pruned_until + MARGIN_SECONDS
        if is_pruned or history != position.history or len(found) > MAX_BATCH_SIZE:
            return EventBatch((), after, incomplete=True, version=version)
        return EventBatch(tuple(Event(*event) for event in found), after, version=version)

    async def delete_old(self) -> None:
        """Delete the events of the last but one generation, once the last one is `GENERATION_SECONDS` old.

        A generation consists of what was committed until a certain moment. An event's own time is not enough: a
        transaction may be committed long after it has written.
        """
        pruned = await self._write(_NEXT_GENERATION[self._services.dialect], seconds=GENERATION_SECONDS)
        if pruned:
            await self._prune(pruned[0][0])

    async def _prune(self, mark: str) -> None:
        """Delete the events that were committed before a mark; what a failure leaves, the next generation deletes."""
        after = 0
        while True:
            deleted = await self._write(_PRUNE[self._services.dialect], mark=mark, after=after, size=PRUNE_SIZE)
            if len(deleted) < PRUNE_SIZE:
                return
            after = max(row[0] for row in deleted)

    async def _write(self, statement: TextClause, **bindings: Any) -> Sequence[Row]:
        """Run a statement in a transaction of its own."""
        return await self._services.database.run_write(
            lambda writer: writer.execute(statement, bindings), exclusive=False, background=True
        )


def notifies(dialect: str) -> bool:
    """Return whether the database notifies of commits; otherwise their events are found by looking for them."""
    return dialect == POSTGRESQL
