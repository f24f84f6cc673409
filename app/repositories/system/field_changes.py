"""Changes a custom field: its row, and its column with the values in it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.core.errors import ContainsNullValues, InvalidPayload, RecordNotUnique
from app.query.collection import Collection
from app.repositories.system import ddl
from app.repositories.system.columns import ColumnKey
from app.repositories.system.ddl import ColumnDefinition, quoted
from app.repositories.system.default_values import default_literal
from app.repositories.system.field_input import FieldPayload, column_options
from app.repositories.system.field_types import ALIAS, TYPES, FieldType, stored_type
from app.repositories.system.rows import FIELD_ROWS
from app.repositories.system.schema_transaction import SchemaTransaction
from app.repositories.system.specials import check_special
from app.repositories.system.validations import check_validation


async def change_field(transaction: SchemaTransaction, owner: Collection, name: str, field: FieldPayload) -> None:
    """Change a custom field of a collection as a payload says.

    Raises:
        InvalidPayload: The field cannot be changed like this, or its values do not fit.
        ContainsNullValues: The field has no value in some row, and must have one.
        RecordNotUnique: Several rows have the same value, and must not.
    """
    key = (owner.name, name)
    if field.name not in (None, name):
        raise InvalidPayload("A field cannot be renamed: create another one")
    row, column = transaction.state.rows_by_field[key], transaction.state.columns.columns.get(key)
    meta = dict(field.meta or {})
    special = meta["special"] if "special" in meta else row["special"]
    old_type = ALIAS if column is None else stored_type(column, row["special"] or ())
    new_type = field.type or old_type
    if column is None:
        if new_type != ALIAS or field.column:
            raise InvalidPayload(f'Field "{key[1]}" has no column, and cannot get one')
    elif new_type == ALIAS or new_type not in TYPES:
        raise InvalidPayload(f'Field "{key[1]}" cannot get the type "{new_type}"')
    else:
        special = with_own_special(TYPES[new_type], _without_old_special(special, old_type, new_type))
        await _change_column(transaction, key, (old_type, new_type), field.column or {})
    check_special(special or (), new_type)
    check_validation(owner, name, new_type, meta.get("validation"))
    if special != row["special"]:
        meta["special"] = special
    await transaction.update_row(FIELD_ROWS, row["id"], meta)


def _without_old_special(special: Sequence[str] | None, old: str, new: str) -> Sequence[str] | None:
    """Return the specials without the one that marks fields of the old type, if the type changes."""
    mark = TYPES[old].special if old in TYPES and old != new else None
    return special and [name for name in special if name != mark]


async def _change_column(
    transaction: SchemaTransaction, key: ColumnKey, types: tuple[str, str], column: Mapping[str, Any]
) -> None:
    (old_type, new_type), stored = types, transaction.state.columns.columns[key]
    current = {name: stored[name] for name in ("max_length", "numeric_precision", "numeric_scale")}
    options = {**(current if old_type == new_type else {}), **column}
    old, dialect = transaction.definition(key), transaction.dialect
    default = column["default_value"] if "default_value" in column else stored["default_value"]
    new = replace(
        old,
        type=TYPES[new_type].column_type(dialect, column_options(TYPES[new_type], options)),
        nullable=old.nullable if column.get("is_nullable") is None else column["is_nullable"],
        default=default_literal(new_type, default, dialect),
    )
    new = with_indexes(new, column)
    if new == old:
        return
    await _check_values(transaction, old, new, types)
    await transaction.run(ddl.change_column(dialect, old, new, convert=_converts(*types)))


def _converts(old: str, new: str) -> bool:
    """Return whether the values of one type can be converted to another."""
    return old == new or (TYPES[old].group is not None and TYPES[old].group == TYPES[new].group)


async def _check_values(
    transaction: SchemaTransaction, old: ColumnDefinition, new: ColumnDefinition, types: tuple[str, str]
) -> None:
    """Raise an error if existing values do not fit the new definition of their column."""
    table, name = quoted(old.table), quoted(old.name)

    async def count(condition: str) -> int:
        rows = await transaction.fetch(f"SELECT count(*) FROM {table} WHERE {condition}")
        return int(rows[0][0])

    if old.nullable and not new.nullable:
        if new.default == "NULL":
            raise InvalidPayload('A field that is not nullable needs a "schema.default_value" for new rows')
        if await count(f"{name} IS NULL"):
            raise ContainsNullValues(old.table, old.name)
    if old.type != new.type:
        misfits = await count(f"{name} IS NOT NULL AND NOT ({_fits(name, new, types)})")
        if misfits:
            raise InvalidPayload(f'The type doesn\'t fit {misfits} of the existing values of field "{old.name}"')
    if new.unique and not old.unique:
        duplicates = f"{name} IN (SELECT {name} FROM {table} GROUP BY {name} HAVING count(*) > 1)"
        if await count(duplicates):
            raise RecordNotUnique(old.table, old.name, None)


def _fits(name: str, new: ColumnDefinition, types: tuple[str, str]) -> str:
    """Return a condition in SQL that a value fulfils if the new type can hold it."""
    old_type, new_type = types
    if not _converts(old_type, new_type):
        return "1 = 0"
    if new_type in ("string", "hash"):
        return f"length({name}) <= {new.type.rpartition('(')[2].rstrip(')')}"
    if new_type == "integer":
        return f"{name} BETWEEN {-(2**31)} AND {2**31 - 1} AND {name} = round({name})"
    if new_type == "bigInteger":
        return f"{name} BETWEEN {-(2**63)} AND {2**63 - 1} AND {name} = round({name})"
    if new_type == "decimal":
        precision, scale = (int(part) for part in new.type.rpartition("(")[2].rstrip(")").split(","))
        return f"abs({name}) < {10 ** (precision - scale)} AND {name} = round(CAST({name} AS numeric), {scale})"
    return "1 = 1"


def with_own_special(type_: FieldType, special: Sequence[str] | None) -> list[str] | None:
    """Return the specials with the one that marks fields of this type."""
    names = list(special or ())
    if type_.special is not None and type_.special not in names:
        names.append(type_.special)
    return names or None


def with_indexes(definition: ColumnDefinition, column: Mapping[str, Any]) -> ColumnDefinition:
    """Return a definition with the indexes that a payload asks for; what it leaves out stays."""
    unique = _index_name(column.get("is_unique"), definition.unique, definition.unique_name())
    indexed = _index_name(column.get("is_indexed"), definition.indexed, definition.index_name())
    return replace(definition, unique=unique, indexed=indexed)


def _index_name(wanted: bool | None, existing: str | None, new: str) -> str | None:
    return existing if wanted is None else (existing or new) if wanted else None
