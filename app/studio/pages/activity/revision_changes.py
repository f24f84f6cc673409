"""What an entry of the audit log changed: the values of each field before and after."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import orjson

from app.query.collection import Registry
from app.query.sql_expressions import MASK
from app.studio.page_request import PageRequest
from app.studio.rights import Rights

MAX_DISTANCE = 50_000
"""How many revisions before the one of an entry are searched for the values before it: there is no index on rows."""
FIELDS = ("id", "collection", "item", "data", "delta")

OF_ENTRY = """query Revisions($filter: directus_revisions_filter) {
  revisions(filter: $filter, sort: ["id"], limit: -1) { id collection item data delta }
}"""
BEFORE = """query Before($filter: directus_revisions_filter) {
  revisions(filter: $filter, sort: ["-id"], limit: 1) { data }
}"""


@dataclass(frozen=True, slots=True)
class ShownValue:
    """A value as a page shows it; `text` is empty unless `kind` says that there is one."""

    kind: Literal["text", "code", "empty", "concealed", "unknown"]
    text: str = ""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field with its values before and after; `target` is the collection of the row that they are keys of, if any."""

    field: str
    before: ShownValue
    after: ShownValue
    target: str | None = None


@dataclass(frozen=True, slots=True)
class RowChange:
    """The changes of a row; `has_before` is whether anything is known of it before, which a new row has not."""

    collection: str
    item: str
    changes: Sequence[FieldChange]
    has_before: bool


async def read_changes(request: PageRequest, rights: Rights, entry: Mapping[str, Any]) -> Sequence[RowChange] | None:
    """Return the changes of an entry; None if the caller may not read revisions."""
    if not rights.may_fields("read", "revisions", [*FIELDS, "activity"]):
        return None
    key = {"_eq": entry["id"]}
    # A relation whose inverse the caller may not read is compared like a key
    of_entry = {"activity": {"id": key} if rights.may_field("read", "activity", "revisions") else key}
    revisions = (await request.execute(OF_ENTRY, {"filter": of_entry}))["revisions"]
    is_new = entry.get("action") == "create"
    registry = request.services.registry
    return [
        _row_change(registry, each, None if is_new else await _before(request, each), is_new=is_new)
        for each in revisions
    ]


def references(rows: Iterable[RowChange]) -> list[Mapping[str, Any]]:
    """Return the rows that changed values are keys of, as entries of the audit log name their rows."""
    return [
        {"collection": change.target, "item": value.text}
        for row in rows
        for change in row.changes
        for value in (change.before, change.after)
        if change.target and value.kind == "text" and is_uuid(value.text)
    ]


async def _before(request: PageRequest, revision: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the values of a row before a revision; None if the one before it is unknown."""
    key = int(revision["id"])
    conditions: list[dict[str, Any]] = [{"id": {"_lt": key}}, {"id": {"_gte": key - MAX_DISTANCE}}]
    conditions += [{name: {"_eq": revision[name]}} for name in ("collection", "item")]
    rows = (await request.execute(BEFORE, {"filter": {"_and": conditions}}))["revisions"]
    data = rows[0]["data"] if rows else None
    return data if isinstance(data, dict) else None


def is_uuid(text: str) -> bool:
    """Return whether a text can be the key of a user, a role or a policy."""
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _row_change(
    registry: Registry, revision: Mapping[str, Any], before: Mapping[str, Any] | None, *, is_new: bool
) -> RowChange:
    after = revision["delta"] or revision["data"]
    values = after if isinstance(after, dict) else {}
    changes = [
        FieldChange(name, _value_before(before, name), shown_value(value), _target(registry, revision, name))
        for name, value in values.items()
        if not (is_new and value is None)
    ]
    return RowChange(revision["collection"], revision["item"], changes, not is_new)


def _target(registry: Registry, revision: Mapping[str, Any], name: str) -> str | None:
    collection = registry.get(revision["collection"])
    field = collection.fields.get(name) if collection else None
    return field.link.target if field and field.relation else None


def _value_before(before: Mapping[str, Any] | None, name: str) -> ShownValue:
    return shown_value(before[name]) if before is not None and name in before else ShownValue("unknown")


def shown_value(value: Any) -> ShownValue:
    """Return a stored value as a page shows it: concealed ones as such, and JSON over several lines."""
    if value is None or value == "":
        return ShownValue("empty")
    if value == MASK:
        return ShownValue("concealed")
    if isinstance(value, str):
        return ShownValue("text", value)
    return ShownValue("code", orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
