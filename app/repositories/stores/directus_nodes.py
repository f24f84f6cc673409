"""Which version of the access rights each node of a Directus on the same database knows."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import ClauseElement, String, bindparam, cast, func, or_, select, text, true, update

from app.db.base import Timestamp
from app.db.models import DIRECTUS_NODES, LOCK, VERSION
from app.db.transaction import WriteTransaction
from app.query.sql_writes import in_list
from app.repositories.services import Services

CURRENT_VERSION = cast(VERSION.c.token, String) + "/" + cast(LOCK.c.user_changes, String)
"""Changes in every transaction that writes to the four tables that define permissions, or changes a user's access."""
CLAIM = (
    text(
        "INSERT INTO rollcall_directus_nodes (url, due, attempts) VALUES (:url, :lease_end, 1) "
        "ON CONFLICT (url) DO UPDATE SET due = excluded.due, attempts = rollcall_directus_nodes.attempts + 1 "
        "WHERE rollcall_directus_nodes.due <= :now "
        "AND (rollcall_directus_nodes.version IS NULL OR rollcall_directus_nodes.version <> :version) "
        "RETURNING attempts"
    )
    .bindparams(
        *(bindparam(name, type_=String()) for name in ("url", "version")),
        *(bindparam(name, type_=Timestamp()) for name in ("lease_end", "now")),
    )
    .columns(attempts=DIRECTUS_NODES.c.attempts.type)
)
COUNT_USER_CHANGE = update(LOCK).values(user_changes=LOCK.c.user_changes + 1)


async def count_user_change(writer: WriteTransaction) -> None:
    """Record that an exclusive write changed the access of users without a write to the tables of permissions.

    The row is the one that exclusive writes lock anyway.
    """
    await writer.execute(COUNT_USER_CHANGE)


class DirectusNodes:
    """The nodes at these URLs; every call is its own transaction.

    There is one row for each node, however often the rights change and however long a node is down. Every method raises
    ServiceUnavailable if the database is unavailable.
    """

    def __init__(self, services: Services, urls: Sequence[str]) -> None:
        self._services, self._urls = services, urls

    async def outdated(self) -> str | None:
        """Return the current version of the rights if a node that is due does not know it, else None."""
        nodes, now = DIRECTUS_NODES.c, self._services.clock()
        is_settled = or_(nodes.version == CURRENT_VERSION, nodes.due > now)
        settled = select(func.count()).where(in_list(nodes.url, self._urls), is_settled).scalar_subquery()
        query = select(CURRENT_VERSION, settled).select_from(VERSION.join(LOCK, true()))
        version, count = await self._services.reader.fetch(query)
        return None if count == len(self._urls) else version

    async def claim(self, url: str, version: str, lease: timedelta) -> int | None:
        """Reserve a node for the duration of the lease if it is due and does not know this version.

        Returns how often this node was tried since it last succeeded, including this time; None if not reserved.
        """
        now = self._services.clock()
        rows = await self._run(CLAIM.bindparams(url=url, version=version, now=now, lease_end=now + lease))
        return rows[0][0] if rows else None

    async def record_success(self, url: str, version: str, pause: timedelta) -> None:
        """Record that a node knows this version, and is not due again before the pause is over."""
        await self._update(url, version=version, attempts=0, due=self._services.clock() + pause)

    async def reschedule(self, url: str, wait: timedelta) -> None:
        """Make a node due again after `wait`."""
        await self._update(url, due=self._services.clock() + wait)

    async def _update(self, url: str, **values: object) -> None:
        await self._run(update(DIRECTUS_NODES).where(DIRECTUS_NODES.c.url == url).values(values))

    async def _run(self, statement: ClauseElement) -> Sequence[Sequence[int]]:
        return await self._services.database.run_write(lambda writer: writer.execute(statement), exclusive=False)
