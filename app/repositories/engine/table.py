"""The rows of a collection as they are stored, within one transaction; whoever asks has been judged already."""

from collections.abc import Iterable, Mapping
from typing import Any

from app.db.transaction import WriteTransaction
from app.query import sql_writes
from app.query.collection import Collection, Field

Values = Mapping[Field, Any]


class RowStore:
    """One collection's rows."""

    def __init__(self, writer: WriteTransaction, collection: Collection) -> None:
        self._writer, self._collection = writer, collection
        self._columns = sql_writes.columns_of(collection)

    async def fetch(self, keys: Iterable[Any], *, held: bool = False) -> dict[Any, dict[Field, Any]]:
        """What is stored under each of the keys that there is a row of, in their order."""
        wanted = list(keys)
        found = await self._all(sql_writes.select_rows, (self._collection, held), {sql_writes.KEYS_PARAMETER: wanted})
        rows = {
            row[self._collection.key]: row for row in (dict(zip(self._columns, told, strict=True)) for told in found)
        }
        return {key: rows[key] for key in wanted if key in rows}

    async def fetch_for_update(self, keys: Iterable[Any]) -> dict[Any, dict[Field, Any]]:
        """The same of rows that are to be changed: nobody else changes them until this is over."""
        return await self.fetch(keys, held=True)

    async def existing(self, keys: Iterable[Any]) -> set[Any]:
        """Those of the keys that there is a row of."""
        return {
            row[0]
            for row in await self._all(
                sql_writes.select_existing, (self._collection,), {sql_writes.KEYS_PARAMETER: list(keys)}
            )
        }

    async def referencing(self, field: Field, keys: Iterable[Any]) -> list[Any]:
        """The keys of the rows whose `field` holds one of these keys."""
        found = await self._all(
            sql_writes.select_referencing, (self._collection, field), {sql_writes.KEYS_PARAMETER: list(keys)}
        )
        return [row[0] for row in found]

    async def only(self) -> Any:
        """The key of the only row, if there is one."""
        found = await self._all(sql_writes.select_first_key, (self._collection,), {})
        return found[0][0] if found else None

    async def by_email(self, field: Field, value: str) -> list[Any]:
        """The keys of the users whose `field`, an e-mail, is some address, whatever the case of either."""
        found = await self._all(
            sql_writes.select_by_email, (self._collection, field), {sql_writes.parameter_name(field): value}
        )
        return [row[0] for row in found]

    async def insert(self, values: Values) -> Any:
        """Adds a row; its key."""
        found = await self._all(sql_writes.insert_row, (self._collection, tuple(values)), _given(values))
        return found[0][0]

    async def update(self, key: Any, values: Values) -> None:
        """Gives one row other values."""
        await self._all(
            sql_writes.update_row, (self._collection, tuple(values)), {**_given(values), sql_writes.KEY_PARAMETER: key}
        )

    async def delete(self, keys: Iterable[Any]) -> None:
        """Takes rows away."""
        await self._all(sql_writes.delete_rows, (self._collection,), {sql_writes.KEYS_PARAMETER: list(keys)})

    async def _all(self, make: Any, arguments: tuple[Any, ...], given: dict[str, Any]) -> list[list[Any]]:
        return await self._writer.rows(self._writer.prepare_cached(make, *arguments), given)


def _given(values: Values) -> dict[str, Any]:
    return {sql_writes.parameter_name(field): value for field, value in values.items()}
