"""Nested writes: the related rows of a payload, to-one and to-many."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

from app.core.errors import Forbidden
from app.query.coercion import INTEGER_BOUNDS
from app.query.collection import ACCESS, ROLES, USERS, Collection, Field
from app.query.payload import Payload, Reference, RelatedChanges, ReplaceRelated
from app.repositories.engine.table import RowStore

FieldValues = Mapping[Field, Any]
EMPTY_VALUES: FieldValues = {}
MAX_NUMBER = INTEGER_BOUNDS["integer"] - 1
NUMBER_FIELDS = dict.fromkeys((ROLES.fields["policies"], USERS.fields["policies"]), ACCESS.fields["sort"])
"""The field in which rows are numbered when they are added to a relation, as in Directus."""
HOLDER_FIELDS = {"users": ACCESS.fields["user"], "roles": ACCESS.fields["role"]}
"""A policy's `users` and `roles` are both its access rows: each relation covers the rows with a user or a role."""


class NestedWriter(ABC):
    """Writes the related rows of a payload; each one needs the permissions of its own collection."""

    @abstractmethod
    def rows(self, collection: Collection) -> RowStore:
        """Return the stored rows of a collection."""

    @abstractmethod
    async def create(
        self,
        payload: Payload,
        link_values: FieldValues = EMPTY_VALUES,
        server_values: FieldValues = EMPTY_VALUES,
    ) -> Any:
        """Create a row and return its key.

        `link_values` link it to the row it is nested in. The fields of `server_values` need no permission.
        """

    @abstractmethod
    async def update(
        self,
        collection: Collection,
        keys: Iterable[Any],
        payload: Payload,
        link_values: FieldValues = EMPTY_VALUES,
    ) -> None:
        """Update the rows with these keys."""

    @abstractmethod
    async def delete(self, collection: Collection, keys: Iterable[Any]) -> None:
        """Delete the rows with these keys."""

    @abstractmethod
    async def is_unchanged(self, payload: Payload, row: FieldValues) -> bool:
        """Return whether a payload only repeats what is stored and readable for the caller."""

    async def write_to_one(self, payload: Payload) -> Any:
        """Create, update or merely find the row that a to-one relation refers to, and return its key."""
        collection = payload.collection
        if payload.key is None:
            return await self.create(payload)
        row = (await self.rows(collection).fetch([payload.key])).get(payload.key)
        if row is None:
            return await self.create(payload)
        if not await self.is_unchanged(payload, row):
            await self.update(collection, [payload.key], payload)
        return payload.key

    async def write_to_many(
        self,
        collection: Collection,
        field: Field,
        key: Any,
        changes: ReplaceRelated | RelatedChanges,
        *,
        is_new: bool,
    ) -> None:
        """Change which rows refer to the row with this key through a to-many field; a new row has none yet."""
        if isinstance(changes, RelatedChanges):
            await self._write_related_changes(collection, field, key, changes, is_new=is_new)
            return
        related, link = collection.target_of(field), collection.inverse_of(field)
        current = [] if is_new else await self._related_keys(collection, field, key)
        remaining = {_key_of(item) for item in changes.items}
        await self._unlink(collection, field, [other for other in current if other not in remaining])
        for item in changes.items:
            if isinstance(item, Payload):
                await self._write_related(item, {link: key})
            elif item.key not in current:
                await self.update(related, [item.key], Payload(related), {link: key})

    async def _write_related_changes(
        self, collection: Collection, field: Field, key: Any, changes: RelatedChanges, *, is_new: bool
    ) -> None:
        related, link_values = collection.target_of(field), {collection.inverse_of(field): key}
        number_field = NUMBER_FIELDS.get(field) if changes.create else None
        current = (
            await self._related_keys(collection, field, key) if not is_new and (changes.delete or number_field) else []
        )
        if any(other not in current for other in changes.delete):
            raise Forbidden
        last = await self._last_number(number_field, related, current) if number_field else 0
        for number, payload in enumerate(changes.create, last + 1):
            server_values = EMPTY_VALUES
            if number_field and number_field not in payload.values and number <= MAX_NUMBER:
                server_values = {number_field: number}
            await self.create(payload, link_values, server_values)
        for payload in changes.update:
            await self.update(related, [payload.key], payload, link_values)
        await self._unlink(collection, field, changes.delete)

    async def _write_related(self, payload: Payload, link_values: FieldValues) -> None:
        collection = payload.collection
        row = (await self.rows(collection).fetch([payload.key])).get(payload.key) if payload.key is not None else None
        if row is None:
            await self.create(payload, link_values)
            return
        is_linked = all(row[field] == value for field, value in link_values.items())
        if not is_linked or not await self.is_unchanged(payload, row):
            await self.update(collection, [payload.key], payload, link_values)

    async def _related_keys(self, collection: Collection, field: Field, key: Any) -> list[Any]:
        related = collection.target_of(field)
        rows = self.rows(related)
        keys = await rows.referencing(collection.inverse_of(field), [key])
        holder = HOLDER_FIELDS.get(field.name) if related.is_same(ACCESS) else None
        if holder is None:
            return keys
        return [other for other, row in (await rows.fetch(keys)).items() if row[holder] is not None]

    async def _last_number(self, number_field: Field, collection: Collection, keys: list[Any]) -> int:
        """Return the largest number of the rows with these keys; 0 if they have none."""
        rows = await self.rows(collection).fetch(keys) if keys else {}
        return max((row[number_field] or 0 for row in rows.values()), default=0)

    async def _unlink(self, collection: Collection, field: Field, keys: Iterable[Any]) -> None:
        """Set the references of rows to null, or delete the rows if the reference is required.

        Access rows are always deleted: without user and role, they would grant their policy to the public.
        """
        related, link, keys = collection.target_of(field), collection.inverse_of(field), list(keys)
        if not keys:
            return
        if related.is_same(ACCESS) or not link.stored.nullable:
            await self.delete(related, keys)
        else:
            await self.update(related, keys, Payload(related), {link: None})


def _key_of(item: Reference | Payload) -> Any:
    return item.key
