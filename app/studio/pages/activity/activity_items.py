"""The rows that entries of the audit log are about: their names, and their pages if the Studio has one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from app.query.collection import POLICIES, PREFIX, ROLES, SETTINGS, USERS
from app.studio.page_request import PageRequest
from app.studio.rights import Rights

NAME_FIELDS = {USERS.name: ("first_name", "last_name", "email"), ROLES.name: ("name",), POLICIES.name: ("name",)}
"""The fields that name the rows of the collections with a page for each row."""

Key = tuple[str, str]
"""A collection and the key of a row."""


@dataclass(frozen=True, slots=True)
class Item:
    """A row, with the path of its page if the caller can open it."""

    name: str
    path: str | None = None


async def read_items(request: PageRequest, rights: Rights, entries: Iterable[Mapping[str, Any]]) -> dict[Key, Item]:
    """Return the rows of entries that still exist and that the caller may read."""
    keys: dict[str, list[str]] = {}
    found: dict[Key, Item] = {}
    for entry in entries:
        if entry.get("collection") == SETTINGS.name and "item" in entry and _may_change_settings(rights):
            found[SETTINGS.name, entry["item"]] = Item("", "/settings")
        if entry.get("collection") in NAME_FIELDS and entry.get("item"):
            keys.setdefault(entry["collection"], []).append(entry["item"])
    parts, parameters, variables = [], [], {}
    for collection, items in keys.items():
        name = collection.removeprefix(PREFIX)
        if rights.may_field("read", name, "id"):
            fields = " ".join(["id", *rights.fields("read", name, NAME_FIELDS[collection])])
            parts.append(f"  {name}(filter: ${name}, limit: -1) {{ {fields} }}")
            parameters.append(f"${name}: {collection}_filter")
            variables[name] = {"id": {"_in": sorted(set(items))}}
    if not parts:
        return found
    data = await request.execute(f"query Items({', '.join(parameters)}) {{\n{chr(10).join(parts)}\n}}", variables)
    for name, rows in data.items():
        found |= {(PREFIX + name, row["id"]): Item(_name_of(row), f"/{name}/{row['id']}") for row in rows}
    return found


def _name_of(row: Mapping[str, Any]) -> str:
    full_name = " ".join(filter(None, (row.get("first_name"), row.get("last_name"))))
    return full_name or row.get("email") or row.get("name") or row["id"]


def _may_change_settings(rights: Rights) -> bool:
    return rights.may("update", "settings") and rights.may_field("read", "settings", "id")
