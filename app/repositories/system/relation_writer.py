"""Creates, changes and drops the relations of custom fields."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from app.core.errors import Forbidden, InvalidForeignKey, InvalidPayload
from app.query.collection import BUILT_IN
from app.repositories.system import ddl
from app.repositories.system.catalog import Entry, SchemaState
from app.repositories.system.columns import ColumnKey
from app.repositories.system.ddl import ColumnReference, quoted
from app.repositories.system.field_input import check_meta_value, check_name, check_names, check_object
from app.repositories.system.field_types import stored_type
from app.repositories.system.rows import RELATION_ROWS
from app.repositories.system.schema_transaction import SchemaTransaction, SchemaWriter

ACTIONS = ("NO ACTION", "SET NULL", "SET DEFAULT", "CASCADE", "RESTRICT")
"""What a foreign key does when the row that it refers to is deleted."""
DESELECT_ACTIONS = ("nullify", "delete")
DEFAULT_ACTION = "NO ACTION"
PAYLOAD_NAMES = ("collection", "field", "related_collection", "schema", "meta")
SCHEMA_NAMES = (
    "table",
    "column",
    "foreign_key_schema",
    "foreign_key_table",
    "foreign_key_column",
    "constraint_name",
    "on_update",
    "on_delete",
)
IGNORED_META = frozenset({"id", "system", "many_collection", "many_field", "one_collection"})


@dataclass(frozen=True, slots=True)
class RelationPayload:
    """What a payload says about a relation; a part that it leaves out is None."""

    collection: str | None
    field: str | None
    target: str | None
    meta: Mapping[str, Any]
    on_delete: str | None

    @classmethod
    def parse(cls, values: Any) -> "RelationPayload":
        """Return a checked payload.

        Raises:
            InvalidPayload: It isn't an object of known parts, or a value has another type than its part.
        """
        values = check_object(values, "value")
        check_names(values, PAYLOAD_NAMES, "")
        for name in ("collection", "field", "related_collection"):
            if not isinstance(values.get(name), str | None):
                raise InvalidPayload(f'"{name}" must be a string')
        return cls(
            values.get("collection"),
            values.get("field"),
            values.get("related_collection"),
            _parse_meta(values.get("meta")),
            _parse_on_delete(values.get("schema")),
        )

    def check_names_are(self, key: ColumnKey, target: str) -> None:
        """Raise InvalidPayload if the payload names another relation than that of a field."""
        named = (self.collection, self.field, self.target)
        if any(name not in (None, actual) for name, actual in zip(named, (*key, target), strict=True)):
            raise InvalidPayload("A relation keeps its fields and collections: drop it and create another one")


class RelationWriter(SchemaWriter):
    """Creates, changes and drops many-to-one relations of custom fields, with the names of their aliases.

    Raises:
        Forbidden: The caller is not an admin, or the collection does not exist.
        InvalidPayload: The payload is invalid, or the relation is built in.
        InvalidForeignKey: Existing values refer to rows that do not exist.
    """

    async def create(self, payload: Any) -> Entry:
        """Create the relation of an existing field and return it."""
        relation = RelationPayload.parse(payload)
        key = (_required(relation.collection, "collection"), _required(relation.field, "field"))

        async def work(transaction: SchemaTransaction) -> Entry:
            target = _check_new(transaction, key, _required(relation.target, "related_collection"))
            meta = dict(relation.meta)
            _check_alias(transaction.state, key, target, meta.get("one_field"))
            await _set_reference(transaction, key, ColumnReference(target, relation.on_delete or DEFAULT_ACTION))
            values = {"many_collection": key[0], "many_field": key[1], "one_collection": target}
            await transaction.insert_row(RELATION_ROWS, {**meta, **values})
            return relation_entry(await transaction.reload(), key)

        return await self.change(work)

    async def update(self, collection: str, field: str, payload: Any) -> Entry:
        """Change a relation and return it."""
        key, relation = (collection, field), RelationPayload.parse(payload)

        async def work(transaction: SchemaTransaction) -> Entry:
            row = _require_custom(transaction, key)
            relation.check_names_are(key, row["one_collection"])
            _check_alias(transaction.state, key, row["one_collection"], relation.meta.get("one_field"))
            if relation.on_delete is not None:
                await _set_reference(transaction, key, ColumnReference(row["one_collection"], relation.on_delete))
            await transaction.update_row(RELATION_ROWS, row["id"], relation.meta)
            return relation_entry(await transaction.reload(), key)

        return await self.change(work)

    async def drop(self, collection: str, field: str) -> None:
        """Drop a relation; its field stays, with its values."""
        key = (collection, field)

        async def work(transaction: SchemaTransaction) -> None:
            row = _require_custom(transaction, key)
            await _set_reference(transaction, key, None)
            await transaction.delete_rows(RELATION_ROWS, [row])

        await self.change(work)


def relation_entry(state: SchemaState, key: ColumnKey) -> Entry:
    """Return a custom relation as the system API describes it."""
    row = _row(state, key)
    target = row and row["one_collection"]
    schema = state.columns.keys.get(key)
    return {"collection": key[0], "field": key[1], "related_collection": target, "schema": schema, "meta": row}


def _row(state: SchemaState, key: ColumnKey) -> dict[str, Any] | None:
    return next((row for row in state.relation_rows if (row["many_collection"], row["many_field"]) == key), None)


def _check_new(transaction: SchemaTransaction, key: ColumnKey, target: str) -> str:
    """Return the target of a new relation, after checking that there can be one."""
    state, (collection, field) = transaction.state, key
    for name in (collection, target):
        if name not in state.registry:
            raise InvalidPayload(f'Collection "{name}" doesn\'t exist')
    transaction.collection(collection)
    column = state.columns.columns.get(key)
    if column is None:
        raise InvalidPayload(f'Field "{field}" doesn\'t exist in collection "{collection}"')
    built_in = BUILT_IN[collection].fields.get(field)
    if _row(state, key) is not None or key in state.columns.keys or (built_in is not None and built_in.relation):
        raise InvalidPayload(f'Field "{field}" in collection "{collection}" already has an associated relationship')
    if built_in is not None or key not in state.rows_by_field:
        raise InvalidPayload(f'Field "{field}" in collection "{collection}" cannot get a relation')
    kind, own = BUILT_IN[target].key.kind, stored_type(column, state.rows_by_field[key]["special"] or ())
    if own != kind:
        raise InvalidPayload(f'Field "{field}" is {own}, but the keys of collection "{target}" are {kind}')
    return target


def _check_alias(state: SchemaState, key: ColumnKey, target: str, alias: str | None) -> None:
    """Raise InvalidPayload for the name of an alias that the target has for something else."""
    if alias is None:
        return
    check_name(alias)
    taken = any(
        (row["one_collection"], row["one_field"]) == (target, alias)
        and (row["many_collection"], row["many_field"]) != key
        for row in state.relation_rows
    )
    if taken or alias in BUILT_IN[target].fields or (target, alias) in state.columns.columns:
        raise InvalidPayload(f'Field "{alias}" already exists in collection "{target}"')


async def _set_reference(transaction: SchemaTransaction, key: ColumnKey, reference: ColumnReference | None) -> None:
    """Give a column this foreign key, or none, in place of the one that it has."""
    old = transaction.definition(key)
    if reference is not None:
        if reference.on_delete == "SET NULL" and not old.nullable:
            raise InvalidPayload(f'Field "{key[1]}" is not nullable, so "schema.on_delete" cannot be SET NULL')
        await _check_references(transaction, key, reference.target)
    if old.reference == reference:
        return
    constraint = (transaction.state.columns.keys.get(key) or {}).get("constraint_name")
    new = replace(old, reference=reference)
    await transaction.run(ddl.set_reference(transaction.dialect, old, new, constraint))


async def _check_references(transaction: SchemaTransaction, key: ColumnKey, target: str) -> None:
    (table, name), other = map(quoted, key), quoted(target)
    missing = await transaction.fetch(
        f"SELECT count(*) FROM {table} AS one WHERE one.{name} IS NOT NULL "
        f"AND NOT EXISTS (SELECT 1 FROM {other} AS two WHERE two.id = one.{name})"
    )
    if missing[0][0]:
        raise InvalidForeignKey(*key, None)


def _require_custom(transaction: SchemaTransaction, key: ColumnKey) -> dict[str, Any]:
    """Return the row of a relation that a project added."""
    collection, field = key
    owner = transaction.state.registry.get(collection)
    if owner is None:
        raise Forbidden
    row = _row(transaction.state, key)
    if field in BUILT_IN[collection].fields:
        raise InvalidPayload(f'The relation of field "{field}" in collection "{collection}" is built in')
    if key not in transaction.state.columns.columns:
        raise InvalidPayload(f'Field "{field}" doesn\'t exist in collection "{collection}"')
    if row is None:
        raise InvalidPayload(f'Field "{field}" in collection "{collection}" doesn\'t have a relationship')
    return row


def _parse_meta(meta: Any) -> dict[str, Any]:
    if meta is None:
        return {}
    parsed = {}
    for name, value in check_object(meta, "meta").items():
        if name in IGNORED_META:
            continue
        if name not in RELATION_ROWS.c:
            raise InvalidPayload(f'"meta.{name}" is not allowed')
        parsed[name] = check_meta_value(RELATION_ROWS.c[name], value, f"meta.{name}")
    if parsed.get("one_deselect_action", "nullify") not in DESELECT_ACTIONS:
        raise InvalidPayload(f'"meta.one_deselect_action" must be one of [{", ".join(DESELECT_ACTIONS)}]')
    return parsed


def _parse_on_delete(schema: Any) -> str | None:
    if schema is None:
        return None
    check_names(check_object(schema, "schema"), SCHEMA_NAMES, "schema.")
    action = schema.get("on_delete")
    if action is not None and action not in ACTIONS:
        raise InvalidPayload(f'"schema.on_delete" must be one of [{", ".join(ACTIONS)}]')
    return None if action is None else str(action)


def _required(value: str | None, name: str) -> str:
    if not value:
        raise InvalidPayload(f'"{name}" is required')
    return value
