"""Creates, changes and drops custom fields."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select, update

from app.core.errors import Forbidden, InvalidPayload
from app.db.models import Permission
from app.query.collection import BUILT_IN, Collection
from app.query.legacy_fields import legacy_registry
from app.repositories.system import ddl
from app.repositories.system.catalog import Entry, SchemaState, custom_entry, is_built_in
from app.repositories.system.columns import ColumnKey
from app.repositories.system.ddl import ColumnDefinition, quoted
from app.repositories.system.default_values import default_literal
from app.repositories.system.field_changes import change_field, with_indexes, with_own_special
from app.repositories.system.field_input import FieldPayload, column_options
from app.repositories.system.field_types import ALIAS, TYPES, FieldType
from app.repositories.system.rows import FIELD_ROWS, RELATION_ROWS
from app.repositories.system.schema_transaction import SchemaTransaction, SchemaWriter
from app.repositories.system.specials import check_special
from app.repositories.system.validations import check_validation

MAX_CUSTOM_FIELDS = 500
"""The most custom fields of one collection."""

_PERMISSIONS: Any = Permission.__table__


class FieldWriter(SchemaWriter):
    """Creates, changes and drops the fields that a project adds to the built-in collections.

    Raises:
        Forbidden: The caller is not an admin, or the collection or the field does not exist.
        InvalidPayload: The payload is invalid, or the field is built in.
    """

    async def create(self, collection: str, payload: Any) -> Entry:
        """Create a field and return it."""

        async def work(transaction: SchemaTransaction) -> Entry:
            owner, field = transaction.collection(collection), FieldPayload.parse(payload)
            await _create(transaction, owner, field)
            return custom_entry(await transaction.reload(), (collection, field.required_name))

        return await self.change(work)

    async def update(self, collection: str, name: str, payload: Any) -> Entry:
        """Change a field and return it."""
        return (await self._update(collection, [(name, FieldPayload.parse(payload))]))[0]

    async def update_all(self, collection: str, payloads: Any) -> list[Entry]:
        """Change several fields, each named by its payload, and return them."""
        if not isinstance(payloads, list):
            raise InvalidPayload("Submitted body has to be an array")
        fields = [FieldPayload.parse(payload) for payload in payloads]
        return await self._update(collection, [(field.required_name, field) for field in fields])

    async def drop(self, collection: str, name: str) -> int:
        """Drop a field with everything that names it, and return how many values are lost."""

        async def work(transaction: SchemaTransaction) -> int:
            _require_custom(transaction, transaction.collection(collection), name)
            return await _drop(transaction, (collection, name))

        return await self.change(work)

    async def count_values(self, collection: str, name: str) -> int:
        """Return how many values dropping a field would lose."""

        async def work(transaction: SchemaTransaction) -> int:
            _require_custom(transaction, transaction.collection(collection), name)
            return await _count_values(transaction, (collection, name))

        return await self.change(work)

    async def _update(self, collection: str, fields: Sequence[tuple[str, FieldPayload]]) -> list[Entry]:
        async def work(transaction: SchemaTransaction) -> list[Entry]:
            owner = transaction.collection(collection)
            for name, field in fields:
                _require_custom(transaction, owner, name)
                await change_field(transaction, owner, name, field)
                await transaction.reload()
            return [custom_entry(transaction.state, (collection, name)) for name, _ in fields]

        return await self.change(work)


async def _create(transaction: SchemaTransaction, owner: Collection, field: FieldPayload) -> None:
    name, state = field.required_name, transaction.state
    _check_new_name(state, owner, name)
    custom = [row for row in state.field_rows if row["collection"] == owner.name]
    if len(custom) >= MAX_CUSTOM_FIELDS:
        raise InvalidPayload(f'Collection "{owner.name}" has {MAX_CUSTOM_FIELDS} custom fields, the most it can have')
    meta = dict(field.meta or {})
    if field.type is None:
        raise InvalidPayload('"type" is required')
    if field.type != ALIAS:
        type_ = TYPES[field.type]
        meta["special"] = with_own_special(type_, meta.get("special"))
        definition = _new_definition(transaction.dialect, owner.name, name, type_, field.column or {})
        await transaction.run(ddl.add_column(transaction.dialect, definition))
    check_special(meta.get("special") or (), field.type)
    check_validation(owner, name, field.type, meta.get("validation"))
    position = max((row["sort"] or 0 for row in custom), default=0) + 1
    await transaction.insert_row(FIELD_ROWS, {"sort": position, **meta, "collection": owner.name, "field": name})


def _check_new_name(state: SchemaState, owner: Collection, name: str) -> None:
    """Raise InvalidPayload for a name that a field has, had in Directus 10, or has in another case."""
    columns = {column for table, column in state.columns.columns if table == owner.name}
    described = {row["field"] for row in state.field_rows if row["collection"] == owner.name}
    names = {*owner.fields, *legacy_registry(state.registry).own(owner).fields, *columns, *described}
    taken = next((other for other in names if other.lower() == name.lower()), None)
    if taken is not None:
        raise InvalidPayload(f'Field "{taken}" already exists in collection "{owner.name}"')


def _new_definition(
    dialect: str, table: str, name: str, type_: FieldType, column: Mapping[str, Any]
) -> ColumnDefinition:
    definition = ColumnDefinition(
        table,
        name,
        type_.column_type(dialect, column_options(type_, column)),
        column.get("is_nullable") is not False,
        default_literal(type_.name, column.get("default_value"), dialect),
    )
    if not definition.nullable and definition.default == "NULL":
        raise InvalidPayload('A field that is not nullable needs a "schema.default_value" for the existing rows')
    return with_indexes(definition, column)


def _require_custom(transaction: SchemaTransaction, owner: Collection, name: str) -> None:
    """Raise Forbidden for a field that does not exist, InvalidPayload for a built-in one."""
    key = (owner.name, name)
    if name in BUILT_IN[owner.name].fields:
        raise InvalidPayload(f'Field "{name}" in collection "{owner.name}" is built in and cannot be changed')
    if key not in transaction.state.rows_by_field:
        raise Forbidden


async def _drop(transaction: SchemaTransaction, key: ColumnKey) -> int:
    values = await _count_values(transaction, key)
    if key in transaction.state.columns.columns:
        await transaction.run(ddl.drop_column(transaction.dialect, transaction.definition(key)))
    fields, relations = transaction.state.field_rows, transaction.state.relation_rows
    own_relations = [row for row in relations if (row["many_collection"], row["many_field"]) == key]
    aliases = ((row["one_collection"], row["one_field"]) for row in own_relations if row["one_field"])
    gone = {key, *(alias for alias in aliases if not is_built_in(*alias))}
    await transaction.delete_rows(RELATION_ROWS, own_relations)
    await transaction.delete_rows(FIELD_ROWS, [row for row in fields if (row["collection"], row["field"]) in gone])
    for row in relations:
        if (row["one_collection"], row["one_field"]) == key:
            await transaction.update_row(RELATION_ROWS, row["id"], {"one_field": None})
    for collection, name in gone:
        await _withdraw(transaction, collection, name)
    return values


async def _count_values(transaction: SchemaTransaction, key: ColumnKey) -> int:
    if key not in transaction.state.columns.columns:
        return 0
    table, name = map(quoted, key)
    rows = await transaction.fetch(f"SELECT count({name}) FROM {table}")
    return int(rows[0][0])


async def _withdraw(transaction: SchemaTransaction, collection: str, name: str) -> None:
    """Remove a field from the lists of permissions, as a later field of this name is not meant by them."""
    columns = (_PERMISSIONS.c.id, _PERMISSIONS.c.fields)
    query = select(*columns).where(_PERMISSIONS.c.collection == collection, _PERMISSIONS.c.fields.contains(name))
    for key, fields in await transaction.writer.execute(query):
        names = fields.split(",")
        if name in names:
            remaining = [other for other in names if other != name]
            await transaction.writer.execute(
                update(_PERMISSIONS).where(_PERMISSIONS.c.id == key).values(fields=remaining)
            )
            await transaction.audit.record_in("update", _PERMISSIONS.name, key)
