"""The item that an explanation is about: its name, and its values that the conditions of rules compare."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.core.errors import RollcallError
from app.query.collection import POLICIES, ROLES, USERS, Collection
from app.studio.page_request import PageRequest

NAMED_BY = {USERS.name: ("first_name", "last_name", "email"), ROLES.name: ("name",), POLICIES.name: ("name",)}


@dataclass(frozen=True, slots=True)
class ExplainedItem:
    """A row that the caller may read."""

    name: str
    values: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)
    """The path and the value of a field, None for an empty one, by the condition that compares it."""


async def read_explained_item(
    request: PageRequest, collection: Collection, key: str, conditions: Iterable[str]
) -> ExplainedItem | None:
    """Return a row of a collection; None if there is no such row, or the caller may not read it."""
    rights, name, key_field = await request.rights(), collection.short_name, collection.key.name
    named_by = rights.fields("read", name, NAMED_BY.get(collection.name, ()))
    paths = {text: path for text in conditions if (path := _readable_path(collection, text))} if rights.admin else {}
    selection = [key_field, *named_by, *(_selection(path) for path in dict.fromkeys(paths.values()))]
    document = f"""query Item($filter: {collection.name}_filter) {{
  {name}(filter: $filter, limit: 1) {{ {" ".join(selection)} }}
}}"""
    if collection.singleton:
        document = f"query Item {{\n  {name} {{ {' '.join(selection)} }}\n}}"
    try:
        found = (await request.execute(document, {"filter": {key_field: {"_eq": key}}}))[name]
    except RollcallError:
        return None
    rows = [found] if collection.singleton else found
    if not rows or str((rows[0] or {}).get(key_field)) != key:
        return None
    row = rows[0]
    values = {text: (".".join(path), _value_text(_value(row, path))) for text, path in paths.items()}
    return ExplainedItem(_name(row, named_by) or key, values)


def _readable_path(collection: Collection, condition: str) -> tuple[str, ...]:
    """Return the path of the field that a condition compares; empty unless it leads to one value that has a text."""
    path = tuple(condition.partition(" ")[0].split("."))
    current: Collection | None = collection
    for name in path:
        field_ = current.fields.get(name) if current else None
        if current is None or field_ is None or field_.concealed or field_.is_hashed or field_.many:
            return ()
        current = current.target_of(field_) if field_.relation else None
    return (*path, current.key.name) if current else path


def _selection(path: tuple[str, ...]) -> str:
    return path[0] if len(path) == 1 else f"{path[0]} {{ {_selection(path[1:])} }}"


def _value(row: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        row = row.get(name) if isinstance(row, Mapping) else None
    return row


def _value_text(value: Any) -> str | None:
    if value is None:
        return None
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _name(row: Mapping[str, Any], named_by: Iterable[str]) -> str:
    if "name" in row:
        return str(row["name"] or "")
    full_name = " ".join(str(row[name]) for name in named_by if name != "email" and row[name])
    return full_name or str(row.get("email") or "")
