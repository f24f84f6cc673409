"""The permissions of a policy as a grid of collections and actions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from app.policy.rules import DELETE, EVERY_FIELD, READ
from app.query.collection import Collection, Registry
from app.studio.rights import Rights

PermissionRow = Mapping[str, Any]
State = Literal["none", "all", "custom"]

FIRST_COLLECTIONS = ("directus_users", "directus_roles", "directus_policies", "directus_access", "directus_permissions")
"""The first rows of the grid; the others follow in the order of the registry."""
ACTIONS = ("create", READ, "update", DELETE)
FILTERS = ("permissions", "validation", "presets")
COLUMNS = ("collection", "action", "fields", *FILTERS, "policy")
"""The fields of permissions without which the grid cannot be shown."""
ALL_VALUES: Mapping[str, Any] = {"fields": [EVERY_FIELD], "permissions": {}, "validation": None, "presets": None}
"""The values of a permission without any condition."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What a policy allows of one action on one collection.

    `options` are the states that the caller may choose, the current one among them; `is_served` is whether Rollcall
    has this action at all, `has_page` whether its conditions have a page.
    """

    collection: str
    action: str
    state: State
    ids: tuple[str, ...] = ()
    options: tuple[State, ...] = ()
    is_served: bool = True
    has_page: bool = False

    @property
    def name(self) -> str:
        """The name of the form's field."""
        return f"{self.collection}:{self.action}"


@dataclass(frozen=True, slots=True)
class Grid:
    """The rows of the grid by collection, and the stored permissions that have no place in it."""

    rows: Mapping[str, tuple[Cell, ...]]
    others: tuple[PermissionRow, ...]

    @property
    def cells(self) -> dict[str, Cell]:
        """The cells that can be changed, by the name of their field."""
        return {cell.name: cell for row in self.rows.values() for cell in row if len(cell.options) > 1}


def served_actions(collection: Collection) -> tuple[str, ...]:
    """Return the actions that the API has on a collection."""
    if not collection.writable:
        return (READ,)
    return (READ, "update") if collection.singleton else ACTIONS


def build_grid(registry: Registry, permissions: Iterable[PermissionRow], rights: Rights) -> Grid:
    """Return the grid of a policy's permissions, as far as the caller may do anything with a collection."""
    stored: dict[tuple[str, str], list[PermissionRow]] = {}
    for row in permissions:
        stored.setdefault((row["collection"], row["action"]), []).append(row)
    rows = {}
    for name in dict.fromkeys((*FIRST_COLLECTIONS, *registry)):
        collection = registry[name]
        cells = [_cell(collection, action, stored.pop((name, action), []), rights) for action in ACTIONS]
        if any(cell.ids or cell.options for cell in cells):
            rows[name] = tuple(cells)
    return Grid(rows, tuple(row for others in stored.values() for row in others))


def state_of(row: PermissionRow) -> State:
    """Return whether a permission has conditions or names fields."""
    is_unconditional = not any(row[name] for name in FILTERS)
    has_every_field = row["action"] == DELETE or row["fields"] == [EVERY_FIELD]
    return "all" if is_unconditional and has_every_field else "custom"


def _cell(collection: Collection, action: str, rows: list[PermissionRow], rights: Rights) -> Cell:
    ids = tuple(str(row["id"]) for row in rows)
    state: State = "none" if not rows else state_of(rows[0]) if len(rows) == 1 else "custom"
    is_served = action in served_actions(collection)
    options = _options(collection, action, state, rights) if is_served else ()
    return Cell(collection.name, action, state, ids, options, is_served, has_page=is_served and bool(rows or options))


def _options(collection: Collection, action: str, state: State, rights: Rights) -> tuple[State, ...]:
    """Return the current state and those that the caller may set, as callers cannot grant more than they have."""
    may_grant = rights.may("create" if state == "none" else "update", "permissions")
    if state == "none" and not (may_grant and rights.may(action, collection.short_name)):
        return ()
    is_available: dict[State, bool] = {
        "none": state == "none" or rights.may("delete", "permissions"),
        "all": state == "all" or (may_grant and rights.may_all(action, collection.short_name)),
        "custom": state == "custom",
    }
    return tuple(name for name, available in is_available.items() if available)
