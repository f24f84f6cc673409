"""The audit log: who changed what, from where, and the row afterwards, as Directus' activity and revisions.

Secrets are redacted before they are written.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, insert, literal, select

from app.core.caller import Caller, ClientInfo
from app.core.timestamps import format_timestamp
from app.db.transaction import WriteTransaction
from app.query import sql_writes
from app.query.collection import ACTIVITY, REVISIONS, Collection, Field
from app.query.sql_expressions import MASK
from app.repositories.engine.table import RowStore

MAX_ITEM_LENGTH, MAX_ORIGIN_LENGTH = 255, 255
MAX_COLLECTION_LENGTH = 64
MAX_IP_LENGTH = 50

Values = Mapping[Field, Any]


@dataclass(frozen=True, slots=True)
class PendingWrite:
    """A write of one row that is executed together with its entries in the audit log, in one round trip."""

    build: Callable[..., Any]
    values: Values
    key: Any = None

    @property
    def bindings(self) -> dict[str, Any]:
        """The values that its statement binds."""
        return {
            **{sql_writes.parameter_name(field): value for field, value in self.values.items()},
            sql_writes.KEY_PARAMETER: self.key,
        }


class AuditLog:
    """Records the activity and the revisions of one transaction.

    The revision of a row that was written nested in another one refers to that row's revision as its parent.
    """

    def __init__(self, writer: WriteTransaction, user: str | None, caller: Caller, client_info: ClientInfo) -> None:
        self._writer = writer
        fields = ACTIVITY.fields
        self._author = {
            fields["user"]: user,
            fields["ip"]: (caller.ip or "")[:MAX_IP_LENGTH] or None,
            fields["user_agent"]: client_info.user_agent,
            fields["origin"]: (client_info.origin or "")[:MAX_ORIGIN_LENGTH] or None,
        }
        self._parentless: list[int] = []

    def mark(self) -> int:
        """Return a mark: revisions recorded after it become children of the row that is recorded with it."""
        return len(self._parentless)

    async def record(self, action: str, collection: Collection, key: Any) -> None:
        """Record an activity without a revision, such as a deletion."""
        await self.record_in(action, collection.name, key)

    async def record_in(self, action: str, table: str, key: Any) -> None:
        """Record the same about a row of a table that is not served as a collection."""
        await RowStore(self._writer, ACTIVITY).insert(self._activity(action, table, key))

    async def record_each(self, action: str, table: str, items: Select[Any]) -> None:
        """Record the same about each row of a table whose key `items` selects as text, in one statement."""
        fields = dict(self._activity(action, table[:MAX_COLLECTION_LENGTH], ""))
        del fields[ACTIVITY.fields["item"]]
        keys = items.subquery()
        values = [literal(value, field.stored.type) for field, value in fields.items()]
        item = func.substr(next(iter(keys.c)), 1, MAX_ITEM_LENGTH)
        names = [*(field.stored.name for field in fields), "item"]
        await self._writer.execute(insert(ACTIVITY.table).from_select(names, select(*values, item)))

    async def record_revision(
        self,
        action: str,
        collection: Collection,
        key: Any,
        data: Values,
        delta: Values,
        mark: int,
        pending: PendingWrite | None,
    ) -> None:
        """Execute `pending`, if given, and record an activity with a revision of the row's data and changes."""
        activity = self._activity(action, collection.name, key)
        fields, redacted_delta = REVISIONS.fields, redacted(delta)
        revision = {
            fields["collection"]: collection.name,
            fields["item"]: activity[ACTIVITY.fields["item"]],
            fields["data"]: redacted_delta if data is delta else redacted(data),
            fields["delta"]: redacted_delta,
        }
        revision_key = await self._write(collection, pending, activity, revision)
        for nested in self._parentless[mark:]:
            await RowStore(self._writer, REVISIONS).update(nested, {fields["parent"]: revision_key})
        self._parentless[mark:] = [revision_key]

    async def _write(
        self, collection: Collection, pending: PendingWrite | None, activity: Values, revision: Values
    ) -> int:
        """Execute everything in one round trip and return the revision's key."""
        prepare, bindings = self._writer.prepare_cached, pending.bindings if pending else {}
        bindings |= {
            sql_writes.parameter_name(field, sql_writes.ACTIVITY_PREFIX): value for field, value in activity.items()
        }
        bindings |= {
            sql_writes.parameter_name(field, sql_writes.REVISION_PREFIX): value for field, value in revision.items()
        }
        change = (pending.build, collection, tuple(pending.values)) if pending else None
        insert_activity = (ACTIVITY, tuple(activity))
        insert_revision = (REVISIONS, (REVISIONS.fields["activity"], *revision))
        if self._writer.postgresql:
            queries = [prepare(sql_writes.insert_with_audit, change, insert_activity, insert_revision)]
        else:
            changes = [prepare(*change)] if change else []
            queries = [
                *changes,
                prepare(sql_writes.insert_row, *insert_activity, sql_writes.ACTIVITY_PREFIX),
                prepare(sql_writes.insert_child_row, *insert_revision, sql_writes.REVISION_PREFIX),
            ]
        revision_key: int = (await self._writer.execute_batch([query.statement for query in queries], bindings))[0][0]
        return revision_key

    def _activity(self, action: str, table: str, key: Any) -> dict[Field, Any]:
        fields = ACTIVITY.fields
        subject = {
            fields["action"]: action,
            fields["collection"]: table,
            fields["item"]: str(key)[:MAX_ITEM_LENGTH],
        }
        return {**subject, **self._author}


def redacted(values: Values) -> dict[str, Any]:
    """Return values by field name as a client reads them, concealed ones masked."""
    values_by_name = {field.name: _as_read(field, value) for field, value in values.items()}
    concealed = {field.name: MASK for field, value in values.items() if field.concealed and value is not None}
    return values_by_name | concealed


def _as_read(field: Field, value: Any) -> Any:
    if value is not None and field.kind == "timestamp":
        return format_timestamp(value)
    return str(value) if value is not None and field.sent_as_text else value
