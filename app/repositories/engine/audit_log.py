"""The trail: who changed what, from where, and what a row was like after; no secret is ever written down in it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.core.caller import Caller, ClientInfo
from app.core.values import format_timestamp
from app.db.transaction import WriteTransaction
from app.query import sql_writes
from app.query.collection import ACTIVITY, REVISIONS, Collection, Field
from app.query.sql_expressions import MASK
from app.repositories.engine.table import RowStore

LONGEST_ITEM, LONGEST_ORIGIN = 255, 255
LONGEST_IP = 50

Values = Mapping[Field, Any]


@dataclass(frozen=True, slots=True)
class PendingWrite:
    """A change of one row that is still to be done, along with what is told of it."""

    make: Callable[..., Any]
    values: Values
    key: Any = None

    @property
    def given(self) -> dict[str, Any]:
        """What its statement is given."""
        return {
            **{sql_writes.parameter_name(field): value for field, value in self.values.items()},
            sql_writes.KEY_PARAMETER: self.key,
        }


class AuditLog:
    """What one transaction writes down of itself.

    A revision of a row that was written along with another's points at that one's.
    """

    def __init__(self, writer: WriteTransaction, user: str | None, caller: Caller, via: ClientInfo) -> None:
        self._writer = writer
        fields = ACTIVITY.fields
        self._who = {
            fields["user"]: user,
            fields["ip"]: (caller.ip or "")[:LONGEST_IP] or None,
            fields["user_agent"]: via.user_agent,
            fields["origin"]: (via.origin or "")[:LONGEST_ORIGIN] or None,
        }
        self._open: list[int] = []

    def mark(self) -> int:
        """Where the revisions begin that will belong to the next row recorded with this mark."""
        return len(self._open)

    async def record(self, action: str, collection: Collection, key: Any) -> None:
        """Writes one change down of which nothing is left but that it was made."""
        await RowStore(self._writer, ACTIVITY).insert(self._activity(action, collection, key))

    async def record_revision(
        self,
        action: str,
        collection: Collection,
        key: Any,
        data: Values,
        delta: Values,
        mark: int,
        doing: PendingWrite | None,
    ) -> None:
        """Writes one change down: what the row holds now, and what of it is new. Does it where it isn't done yet."""
        activity = self._activity(action, collection, key)
        names, new = REVISIONS.fields, redacted(delta)
        revision = {
            names["collection"]: collection.name,
            names["item"]: activity[ACTIVITY.fields["item"]],
            names["data"]: new if data is delta else redacted(data),
            names["delta"]: new,
        }
        written = await self._write(collection, doing, activity, revision)
        for inner in self._open[mark:]:
            await RowStore(self._writer, REVISIONS).update(inner, {names["parent"]: written})
        self._open[mark:] = [written]

    async def _write(
        self, collection: Collection, doing: PendingWrite | None, activity: Values, revision: Values
    ) -> int:
        """All of it with one way to the database; the revision's key."""
        known, given = self._writer.prepare_cached, doing.given if doing else {}
        given |= {
            sql_writes.parameter_name(field, sql_writes.ACTIVITY_PREFIX): value for field, value in activity.items()
        }
        given |= {
            sql_writes.parameter_name(field, sql_writes.REVISION_PREFIX): value for field, value in revision.items()
        }
        change = (doing.make, collection, tuple(doing.values)) if doing else None
        adding, revising = (ACTIVITY, tuple(activity)), (REVISIONS, (REVISIONS.fields["activity"], *revision))
        if self._writer.postgresql:
            asked = [known(sql_writes.insert_with_audit, change, adding, revising)]
        else:
            changing = [known(*change)] if change else []
            told_of = known(sql_writes.insert_row, *adding, sql_writes.ACTIVITY_PREFIX)
            asked = [*changing, told_of, known(sql_writes.insert_child_row, *revising, sql_writes.REVISION_PREFIX)]
        written: int = (await self._writer.execute_batch([one.statement for one in asked], given))[0][0]
        return written

    def _activity(self, action: str, collection: Collection, key: Any) -> dict[Field, Any]:
        fields = ACTIVITY.fields
        about = {
            fields["action"]: action,
            fields["collection"]: collection.name,
            fields["item"]: str(key)[:LONGEST_ITEM],
        }
        return {**about, **self._who}


def redacted(values: Values) -> dict[str, Any]:
    """Values as a client would read them, secrets as asterisks."""
    shown = {
        field.name: format_timestamp(value) if isinstance(value, datetime) else value for field, value in values.items()
    }
    concealed = {field.name: MASK for field, value in values.items() if field.concealed and value is not None}
    return shown | concealed
