"""Hierarchies of roles and of folders: no row is its own ancestor."""

from typing import Any

from sqlalchemy import Select, Table, select

from app.core.errors import InvalidPayload
from app.query.collection import FOLDERS, ROLES, Collection
from app.repositories.engine.context import WriteContext

NOUNS = {FOLDERS.name: "folder", ROLES.name: "role"}


async def check_parent(work: WriteContext, collection: Collection, key: Any, parent: Any) -> None:
    """Raise InvalidPayload if a row would be its own ancestor with this parent; `key` is None for one without a key."""
    noun = NOUNS[collection.name]
    if key == parent:
        raise InvalidPayload(f"A {noun} cannot be a parent of itself")
    if await work.writer.rows(work.writer.prepare(_select_if_ancestor(collection.table, key, parent))):
        raise InvalidPayload(f"A {noun} cannot have a parent that is already a descendant of itself")


def _select_if_ancestor(table: Table, key: Any, start: Any) -> Select[Any]:
    """Return a statement with a row if `key` is an ancestor of `start`; UNION ends the recursion in a stored cycle."""
    tree = select(table.c.id, table.c.parent).where(table.c.id == start).cte("tree", recursive=True)
    parent = table.alias()
    tree = tree.union(select(parent.c.id, parent.c.parent).join(tree, tree.c.parent == parent.c.id))
    return select(tree.c.id).where(tree.c.id == key)
