"""The catalog of collections, fields and relations, as far as one caller may see them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Text, literal_column

from app.core.errors import Forbidden
from app.policy.rules import READ, Access
from app.policy.schema_rights import COLLECTIONS, FIELDS, RELATIONS
from app.query.collection import BUILT_IN, Collection, Field, Registry
from app.repositories.engine.reading import CurrentReader
from app.repositories.system.built_in_meta import collection_meta, field_meta
from app.repositories.system.column_queries import columns_query
from app.repositories.system.columns import ColumnCatalog, ColumnKey
from app.repositories.system.field_types import ALIAS, stored_type
from app.repositories.system.relations import relation_entries
from app.repositories.system.rows import FIELD_ROWS, RELATION_ROWS, parse_rows, rows_as_json

Entry = dict[str, Any]
"""A collection, field or relation as clients see it."""

T = TypeVar("T")


@dataclass(frozen=True)
class SchemaState:
    """What the database says about the served collections, and the access of the caller at that moment."""

    access: Access
    columns: ColumnCatalog
    field_rows: list[dict[str, Any]]
    relation_rows: list[dict[str, Any]]

    @classmethod
    def parse(cls, access: Access, texts: Sequence[str]) -> "SchemaState":
        """Return the state that a statement of `state_columns` yields."""
        columns, fields, relations = texts
        parsed = (parse_rows(FIELD_ROWS, fields), parse_rows(RELATION_ROWS, relations))
        return cls(access, ColumnCatalog.parse(columns), *parsed)

    @property
    def registry(self) -> Registry:
        """The collections and fields that are served."""
        return self.access.registry

    @cached_property
    def rows_by_field(self) -> dict[tuple[str, str], dict[str, Any]]:
        """The rows that describe fields, by collection and field."""
        return {(row["collection"], row["field"]): row for row in self.field_rows}

    def readable(self, collection: Collection) -> frozenset[Field]:
        """Return the fields of a collection that the caller may read on some row."""
        return self.access.fields(READ, collection)

    def field_entries(self, collection: Collection) -> Iterator[Entry]:
        """Yield the fields of a collection that the caller may read; for admins also aliases without a relation."""
        readable = self.readable(collection)
        for field in collection.fields.values():
            if field in readable and field.derivation is None and field.side_key is None:
                yield self._field_entry(collection, field)
        if self.access.admin:
            for owner, name in self.rows_by_field:
                is_column = (owner, name) in self.columns.columns
                if owner == collection.name and name not in collection.fields and not is_column:
                    yield custom_entry(self, (owner, name))

    def _field_entry(self, collection: Collection, field: Field) -> Entry:
        key = (collection.name, field.name)
        if not is_built_in(*key):
            return custom_entry(self, key)
        meta = field_meta(*key, field.note)
        return {
            "collection": collection.name,
            "field": field.name,
            "type": field_type(field, meta["special"] or ()),
            "schema": None if field.many else self.columns.columns.get(key),
            "meta": meta,
        }


def state_columns(access: Access, dialect: str) -> tuple[ColumnElement[Any], ...]:
    """Return the columns of a statement that reads the state."""
    names = access.registry.keys()
    return (
        literal_column(f"({columns_query(dialect, names)})", Text()),
        rows_as_json(FIELD_ROWS, FIELD_ROWS.c.collection, names),
        rows_as_json(RELATION_ROWS, RELATION_ROWS.c.many_collection, names),
    )


class SchemaCatalog(CurrentReader):
    """Lists collections, fields and relations for one caller.

    The methods answer alike for what a caller may not see and for what does not exist.

    Raises:
        Forbidden: The caller may not see it, or it does not exist.
        InvalidCredentials: The credentials belong to no active user, or the session has ended.
        ServiceUnavailable: The database cannot be reached, or the caller's access keeps changing.
        SchemaChanged: The fields of the directory have changed, so that the request must be answered again.
    """

    async def fields(self, collection: str | None = None) -> list[Entry]:
        """Return the fields of a collection, or of all."""

        def list_fields(state: SchemaState) -> list[Entry]:
            _require_listing(state, FIELDS)
            owners = state.registry.values() if collection is None else [_readable_collection(state, collection)]
            return [entry for owner in owners for entry in state.field_entries(owner)]

        return await self._read(list_fields)

    async def field(self, collection: str, name: str) -> Entry:
        """Return one field; this needs the right to read the field only."""

        def find(state: SchemaState) -> Entry:
            owner = _readable_collection(state, collection)
            return _required(entry for entry in state.field_entries(owner) if entry["field"] == name)

        return await self._read(find)

    async def collections(self) -> list[Entry]:
        """Return the collections of which the caller may read a field."""

        def list_collections(state: SchemaState) -> list[Entry]:
            _require_listing(state, COLLECTIONS)
            return [_collection_entry(one) for one in state.registry.values() if state.readable(one)]

        return await self._read(list_collections)

    async def collection(self, name: str) -> Entry:
        """Return one collection; this needs the right to read one of its fields only."""
        return await self._read(lambda state: _collection_entry(_readable_collection(state, name)))

    async def relations(self, collection: str | None = None) -> list[Entry]:
        """Return the relations from a collection, or from all, whose both ends the caller may read."""

        def list_relations(state: SchemaState) -> list[Entry]:
            _require_listing(state, RELATIONS)
            if collection is not None:
                _known_collection(state, collection)
            return [entry for entry in _relations(state) if collection in (None, entry["collection"])]

        return await self._read(list_relations)

    async def relation(self, collection: str, field: str) -> Entry:
        """Return the relation of one field."""

        def find(state: SchemaState) -> Entry:
            _require_listing(state, RELATIONS)
            return _required(
                entry for entry in _relations(state) if (entry["collection"], entry["field"]) == (collection, field)
            )

        return await self._read(find)

    async def everything(self) -> tuple[list[Entry], list[Entry]]:
        """Return all fields and all relations; raise Forbidden unless the caller is an admin."""

        def list_all(state: SchemaState) -> tuple[list[Entry], list[Entry]]:
            if not state.access.admin:
                raise Forbidden
            fields = [entry for owner in state.registry.values() for entry in state.field_entries(owner)]
            return fields, list(_relations(state))

        return await self._read(list_all)

    async def custom_fields(self) -> list[Entry]:
        """Return the custom fields that rows describe, even if they are not served; raises as `everything` does."""

        def list_custom(state: SchemaState) -> list[Entry]:
            if not state.access.admin:
                raise Forbidden
            return [custom_entry(state, key) for key in state.rows_by_field if not is_built_in(*key)]

        return await self._read(list_custom)

    async def _read(self, answer: Callable[[SchemaState], T]) -> T:
        """Return the answer for the current state: read in one statement with the caller's access."""

        async def attempt(access: Access) -> T:
            if not self._caller.system:
                self._services.access_cache.require_current_schema()
            texts = await self._fetch_all(state_columns(access, self._services.dialect), access)
            self._services.access_cache.require_current_schema()
            state = SchemaState.parse(access, texts)
            return answer(state)

        return await self._with_current_access(attempt)


def custom_entry(state: SchemaState, key: ColumnKey) -> Entry:
    """Return a custom field as the system API describes it, from its column and its row."""
    meta, column = state.rows_by_field.get(key), state.columns.columns.get(key)
    special = (meta or {}).get("special") or ()
    type_ = ALIAS if column is None else stored_type(column, special)
    return {"collection": key[0], "field": key[1], "type": type_, "schema": column, "meta": meta}


def is_built_in(collection: str, field: str) -> bool:
    """Return whether a field is one of Directus' own."""
    return collection in BUILT_IN and field in BUILT_IN[collection].fields


def field_type(field: Field, special: Iterable[str]) -> str:
    """Return the type of a field as the system API names it."""
    if field.column is None:
        return ALIAS
    if "hash" in special:
        return "hash"
    if field.kind in ("string", "hash"):
        return "text" if isinstance(field.stored.type, Text) else "string"
    return str(field.kind)


def _relations(state: SchemaState) -> Iterator[Entry]:
    for owner in state.registry.values():
        readable = state.readable(owner)
        for field in owner.relations:
            if field in readable and not field.many and state.readable(owner.target_of(field)):
                yield from relation_entries(owner, field, state.columns.keys, state.relation_rows)


def _collection_entry(collection: Collection) -> Entry:
    schema = {"name": collection.name, "comment": None}
    return {"collection": collection.name, "meta": collection_meta(collection.name), "schema": schema}


def _require_listing(state: SchemaState, table: str) -> None:
    if not state.access.admin and table not in state.access.schema_rights:
        raise Forbidden(cannot_read(table))


def _known_collection(state: SchemaState, name: str) -> Collection:
    collection = state.registry.get(name)
    if collection is None:
        raise Forbidden(cannot_read(name))
    return collection


def _readable_collection(state: SchemaState, name: str) -> Collection:
    collection = _known_collection(state, name)
    if not state.readable(collection):
        raise Forbidden(cannot_read(name))
    return collection


def _required(entries: Iterable[Entry]) -> Entry:
    entry = next(iter(entries), None)
    if entry is None:
        raise Forbidden
    return entry


def cannot_read(name: str) -> str:
    """Return the message for a collection that the caller may not read, or that does not exist."""
    return f'You don\'t have permission to perform "read" for collection "{name}" or it does not exist'
