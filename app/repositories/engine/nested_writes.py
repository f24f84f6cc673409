"""Rows written along with another: those it points at, and those that point at it."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

from app.core.errors import Forbidden
from app.query.collection import ACCESS, Collection, Field, target
from app.query.payload import Payload, Reference, RelatedChanges, ReplaceRelated
from app.repositories.engine.table import RowStore

NOTHING: Mapping[Field, Any] = {}
HOLDER = {"users": ACCESS.fields["user"], "roles": ACCESS.fields["role"]}
"""A policy's `users` and `roles` both are its access rows: each speaks for those that name one."""


class NestedWriter(ABC):
    """Writes what lies within a payload; each row is judged by the rights on its own collection."""

    @abstractmethod
    def rows(self, collection: Collection) -> RowStore:
        """The stored rows of a collection."""

    @abstractmethod
    async def create(self, payload: Payload, linked: Mapping[Field, Any] = NOTHING) -> Any:
        """Makes a row, `linked` to the one around it; its key."""

    @abstractmethod
    async def update(
        self, collection: Collection, keys: Iterable[Any], payload: Payload, linked: Mapping[Field, Any] = NOTHING
    ) -> None:
        """Changes rows."""

    @abstractmethod
    async def remove(self, collection: Collection, keys: Iterable[Any]) -> None:
        """Takes rows away."""

    @abstractmethod
    async def is_unchanged(self, payload: Payload, row: Mapping[Field, Any]) -> bool:
        """Whether a payload only repeats what is stored, and what its writer may read."""

    async def write_to_one(self, payload: Payload) -> Any:
        """Makes, changes or merely finds the row that another is to point at; its key."""
        there = payload.collection
        if payload.key is None:
            return await self.create(payload)
        row = (await self.rows(there).fetch([payload.key])).get(payload.key)
        if row is None:
            return await self.create(payload)
        if not await self.is_unchanged(payload, row):
            await self.update(there, [payload.key], payload)
        return payload.key

    async def write_to_many(
        self, field: Field, key: Any, written: ReplaceRelated | RelatedChanges, *, fresh: bool
    ) -> None:
        """Has rows point at the one with this key, by its to-many `field`; a `fresh` row has none yet."""
        if isinstance(written, RelatedChanges):
            await self._details(field, key, written)
            return
        there, link = target(field), inverse_field(field)
        current = [] if fresh else await self._current(field, key)
        kept = {_key_of(item) for item in written.items}
        await self._let_go(field, [other for other in current if other not in kept])
        for item in written.items:
            if isinstance(item, Payload):
                await self._put(item, {link: key})
            elif item.key not in current:
                await self.update(there, [item.key], Payload(there), {link: key})

    async def _details(self, field: Field, key: Any, written: RelatedChanges) -> None:
        there, linked = target(field), {inverse_field(field): key}
        current = await self._current(field, key) if written.delete else []
        if any(other not in current for other in written.delete):
            raise Forbidden
        for payload in written.create:
            await self.create(payload, linked)
        for payload in written.update:
            await self.update(there, [payload.key], payload, linked)
        await self._let_go(field, written.delete)

    async def _put(self, payload: Payload, linked: Mapping[Field, Any]) -> None:
        there = payload.collection
        row = (await self.rows(there).fetch([payload.key])).get(payload.key) if payload.key is not None else None
        if row is None:
            await self.create(payload, linked)
        elif any(row[field] != value for field, value in linked.items()) or not await self.is_unchanged(payload, row):
            await self.update(there, [payload.key], payload, linked)

    async def _current(self, field: Field, key: Any) -> list[Any]:
        there = self.rows(target(field))
        keys = await there.referencing(inverse_field(field), [key])
        holder = HOLDER.get(field.name) if target(field) is ACCESS else None
        if holder is None:
            return keys
        return [other for other, row in (await there.fetch(keys)).items() if row[holder] is not None]

    async def _let_go(self, field: Field, keys: Iterable[Any]) -> None:
        """Rows that shall no longer point here: they point nowhere, or, where they mean nothing without it, they go.

        An access row without its user or role would give its policy to everybody.
        """
        there, link, keys = target(field), inverse_field(field), list(keys)
        if not keys:
            return
        if there is ACCESS or not link.stored.nullable:
            await self.remove(there, keys)
        else:
            await self.update(there, keys, Payload(there), {link: None})


def inverse_field(field: Field) -> Field:
    """The field of the other side that a to-many relation follows."""
    return target(field).fields[str(field.link.foreign.name)]


def _key_of(item: Reference | Payload) -> Any:
    return item.key
