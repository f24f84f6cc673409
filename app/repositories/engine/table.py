"""Stored rows of a collection within one transaction, without any permission check."""

from collections.abc import Iterable, Mapping
from typing import Any

from app.core.email_addresses import email_spellings
from app.db.transaction import WriteTransaction
from app.query import sql_writes
from app.query.collection import Collection, Field

Values = Mapping[Field, Any]


class RowStore:
    """Reads and writes the rows of one collection as they are stored; its users have checked the permissions."""

    def __init__(self, writer: WriteTransaction, collection: Collection) -> None:
        self._writer, self._collection = writer, collection
        self._columns = sql_writes.columns_of(collection)

    async def fetch(self, keys: Iterable[Any], *, for_update: bool = False) -> dict[Any, dict[Field, Any]]:
        """Return the stored rows by key, in the order of the keys; keys without a row are left out."""
        requested = list(keys)
        records = await self._fetch_all(
            sql_writes.select_rows, (self._collection, for_update), {sql_writes.KEYS_PARAMETER: requested}
        )
        rows = {
            row[self._collection.key]: row
            for row in (dict(zip(self._columns, record, strict=True)) for record in records)
        }
        return {key: rows[key] for key in requested if key in rows}

    async def fetch_for_update(self, keys: Iterable[Any]) -> dict[Any, dict[Field, Any]]:
        """Return the same, locked until the end of the transaction."""
        return await self.fetch(keys, for_update=True)

    async def existing(self, keys: Iterable[Any], *, lock: bool = False) -> set[Any]:
        """Return those of the keys that have a row; with `lock` it can't be deleted until the transaction ends."""
        records = await self._fetch_all(
            sql_writes.select_existing, (self._collection, lock), {sql_writes.KEYS_PARAMETER: list(keys)}
        )
        return {row[0] for row in records}

    async def referencing(self, field: Field, keys: Iterable[Any]) -> list[Any]:
        """Return the keys of the rows whose `field` refers to one of these keys."""
        records = await self._fetch_all(
            sql_writes.select_referencing, (self._collection, field), {sql_writes.KEYS_PARAMETER: list(keys)}
        )
        return [row[0] for row in records]

    async def only_key(self) -> Any:
        """Return the key of a singleton's row; None if there is none."""
        records = await self._fetch_all(sql_writes.select_first_key, (self._collection,), {})
        return records[0][0] if records else None

    async def keys_by_email(self, field: Field, value: str) -> list[Any]:
        """Return the keys of the users whose email `field` equals an address, whatever its case, in ascending order.

        If its domain has two spellings, the keys of those with the other one follow.
        """
        keys: list[Any] = []
        for spelling in email_spellings(value):
            records = await self._fetch_all(
                sql_writes.select_by_email, (self._collection, field), {sql_writes.parameter_name(field): spelling}
            )
            keys += sorted(row[0] for row in records)
        return keys

    async def insert(self, values: Values) -> Any:
        """Insert a row and return its key."""
        own = _own_columns(values)
        key = (await self._fetch_all(sql_writes.insert_row, (self._collection, tuple(own)), _bindings(own)))[0][0]
        await self._insert_beside(key, values)
        return key

    async def update(self, key: Any, values: Values) -> None:
        """Update the values of one row."""
        if own := _own_columns(values):
            bindings = {**_bindings(own), sql_writes.KEY_PARAMETER: key}
            await self._fetch_all(sql_writes.update_row, (self._collection, tuple(own)), bindings)
        for field in values.keys() - own.keys():
            await self._fetch_all(sql_writes.delete_side_row, (field,), {sql_writes.KEY_PARAMETER: key})
        await self._insert_beside(key, values)

    async def delete(self, keys: Iterable[Any]) -> None:
        """Delete the rows with these keys."""
        await self._fetch_all(sql_writes.delete_rows, (self._collection,), {sql_writes.KEYS_PARAMETER: list(keys)})

    async def _insert_beside(self, key: Any, values: Values) -> None:
        """Insert the values of fields with a side table; a missing row means null."""
        for field, value in values.items():
            if field.side_key is not None and value is not None:
                bindings = {**_bindings({field: value}), sql_writes.KEY_PARAMETER: key}
                await self._fetch_all(sql_writes.insert_side_row, (field,), bindings)

    async def _fetch_all(self, build: Any, arguments: tuple[Any, ...], bindings: dict[str, Any]) -> list[list[Any]]:
        return await self._writer.rows(self._writer.prepare_cached(build, *arguments), bindings)


def has_side_values(values: Values) -> bool:
    """Return whether some of the values are stored in a side table."""
    return any(field.side_key is not None for field in values)


def _own_columns(values: Values) -> Values:
    return {field: value for field, value in values.items() if field.side_key is None}


def _bindings(values: Values) -> dict[str, Any]:
    return {sql_writes.parameter_name(field): value for field, value in values.items()}
