"""The statements that write rows, and those that read rows before and after a write."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Delete,
    Insert,
    Select,
    Table,
    Text,
    Update,
    case,
    delete,
    exists,
    false,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.types import TypeEngine

from app.core.bindings import BoundParameter
from app.db.statement import bind_param
from app.query import sql_functions as sql
from app.query.bind_types import ListParam
from app.query.collection import Collection, Field
from app.query.scoped import ScopedRows
from app.query.sql_expressions import condition_sql, stored_value

ACTIVITY_PREFIX, REVISION_PREFIX = "activity", "revision"
"""Prefixes of the parameter names in a statement that writes several rows."""
KEY_PARAMETER, KEYS_PARAMETER = "key", "keys"
"""The parameters for one key or several keys, in addition to those for the values of fields."""

ChangeSpec = tuple[Callable[..., Insert | Update], Collection, tuple[Field, ...]]
"""A change of one row: the function that builds the statement, the collection, and the fields with new values."""
InsertSpec = tuple[Collection, tuple[Field, ...]]
"""A row to insert: its collection and its fields."""


def parameter_name(field: Field, prefix: str = "") -> str:
    """Return the name of the parameter for a field's value; `prefix` distinguishes the rows of one statement."""
    return f"{prefix} {field.name}"


def insert_row(collection: Collection, fields: tuple[Field, ...], prefix: str = "") -> Insert:
    """Return a statement that inserts a row with these fields and returns its key."""
    return insert(collection.table).values(_parameters(fields, prefix)).returning(collection.key_column)


def insert_with_audit(change: ChangeSpec | None, activity: InsertSpec, revision: InsertSpec) -> Insert:
    """Return one statement for a change, its activity and its revision, which returns the revision's key.

    Only PostgreSQL supports it. The first of the revision's fields is the foreign key of its activity.
    """
    activity_row = insert_row(*activity, ACTIVITY_PREFIX).cte("told_of")
    table, (foreign_key, *fields) = revision[0].table, revision[1]
    values = [bind_param(parameter_name(field, REVISION_PREFIX), field.stored.type) for field in fields]
    names = [foreign_key.stored.name, *(field.stored.name for field in fields)]
    statement = insert(table).from_select(names, select(activity_row.c[activity[0].key.name], *values))
    if change is not None:
        build, collection, changed_fields = change
        statement = statement.add_cte(build(collection, changed_fields).cte("changed"))
    return statement.returning(revision[0].key_column)


def insert_child_row(collection: Collection, fields: tuple[Field, ...], prefix: str) -> Insert:
    """Return a statement for SQLite that inserts a row with these fields and returns its key.

    The first field is a foreign key and gets the key of the row that was inserted just before.
    """
    foreign_key, *others = fields
    values = {foreign_key.stored.name: func.last_insert_rowid(), **_parameters(others, prefix)}
    return insert(collection.table).values(values).returning(collection.key_column)


def update_row(collection: Collection, fields: tuple[Field, ...]) -> Update:
    """Return a statement that updates these fields of one row."""
    key = collection.key_column
    has_key = key == bind_param(KEY_PARAMETER, key.type)
    return update(collection.table).where(has_key).values(_parameters(fields))


def insert_side_row(field: Field) -> Insert:
    """Return a statement that inserts the value of a field into its side table."""
    side_key = _side_key(field)
    key = bind_param(KEY_PARAMETER, side_key.type)
    return insert(side_key.table).values({side_key.name: key, **_parameters((field,))}).returning(side_key)


def delete_side_row(field: Field) -> Delete:
    """Return a statement that deletes the value of a field from its side table."""
    side_key = _side_key(field)
    return delete(side_key.table).where(side_key == bind_param(KEY_PARAMETER, side_key.type))


def delete_rows(collection: Collection) -> Delete:
    """Return a statement that deletes rows by their keys."""
    return delete(collection.table).where(_in_keys(collection.key_column))


def select_rows(collection: Collection, for_update: bool) -> Select[Any]:
    """Return a statement that reads all columns of rows, in the order of `columns_of`; `for_update` locks the rows."""
    columns = [stored_value(field, collection.table) for field in columns_of(collection)]
    rows = select(*columns).where(_in_keys(collection.key_column)).order_by(collection.key_column)
    return rows.with_for_update() if for_update else rows


def select_referencing(collection: Collection, field: Field) -> Select[Any]:
    """Return a statement for the keys of the rows whose `field` is one of the given keys."""
    return select(collection.key_column).where(_in_keys(collection.column(field))).order_by(collection.key_column)


def select_reference(foreign_key: Column[Any], target: Table) -> Select[Any]:
    """Return a statement for one of the given keys of `target` to which a row refers that is not one of theirs."""
    row_key = next(iter(foreign_key.table.primary_key))
    reference = select(foreign_key).where(_in_keys(foreign_key)).order_by(row_key).limit(1)
    return reference.where(~_in_keys(row_key)) if foreign_key.table is target else reference


def select_existing(collection: Collection, lock: bool = False) -> Select[Any]:
    """Return a statement for those of the given keys that exist; `lock` keeps their rows from being deleted."""
    rows = select(collection.key_column).where(_in_keys(collection.key_column))
    return rows.with_for_update(read=True, key_share=True) if lock else rows


def select_first_key(collection: Collection) -> Select[Any]:
    """Return a statement for the lowest key of a collection."""
    return select(collection.key_column).order_by(collection.key_column).limit(1)


def select_by_email(collection: Collection, field: Field) -> Select[Any]:
    """Return a statement for the keys of the users whose `field` is an email address, ignoring case."""
    key = collection.key_column
    return select(key).where(sql.EmailEquals(key, collection.column(field), bind_param(parameter_name(field), Text())))


def select_rule_matches(scoped: ScopedRows) -> Select[Any]:
    """Return a statement for the given keys that exist, each with 1 or 0 for every rule."""
    row = scoped.collection.table.alias()
    matches = [_as_flag(condition_sql(rule, row)).label(f"r{index}") for index, rule in enumerate(scoped.conditions)]
    key = row.c[scoped.collection.key.name]
    return select(key, *matches).select_from(row).where(_in_keys(key))


def rule_matches(scoped: ScopedRows, keys: Iterable[Any]) -> ColumnElement[str]:
    """Return an expression for the rows of `select_rule_matches` with these keys, as one JSON array of arrays."""
    row = scoped.collection.table.alias()
    key = row.c[scoped.collection.key.name]
    matches = [_as_flag(condition_sql(rule, row)) for rule in scoped.conditions]
    cells = select(sql.JSONArray(key, *matches).label("cells")).select_from(row).where(in_list(key, keys)).subquery()
    return select(sql.JSONRows(sql.NestedJSON(cells.c.cells))).scalar_subquery()


def rule_match(scoped: ScopedRows, key: Any) -> ColumnElement[int]:
    """Return an expression that is 1 if at least one rule matches the row with this key, else 0."""
    row = scoped.collection.table.alias()
    has_key = row.c[scoped.collection.key.name] == literal(key, scoped.collection.key.stored.type)
    matches = or_(false(), *(condition_sql(rule, row) for rule in scoped.conditions))
    return _as_flag(exists(select(1).select_from(row).where(has_key, matches)))


@lru_cache(maxsize=64)
def columns_of(collection: Collection) -> tuple[Field, ...]:
    """Return the fields that have a column, in the order of `select_rows`."""
    return tuple(field for field in collection.fields.values() if field.column is not None)


def in_list(column: ColumnElement[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """Return a condition that a column has one of the values, all bound as one parameter."""
    return sql.InList(column, literal(list(values), ListParam(_item_type(column))))


def _side_key(field: Field) -> Column[Any]:
    if field.side_key is None:
        raise TypeError(f"{field.name} has no side table")
    return field.side_key


def _parameters(fields: Iterable[Field], prefix: str = "") -> dict[str, BindParameter[Any]]:
    return {field.stored.name: bind_param(parameter_name(field, prefix), field.stored.type) for field in fields}


def _item_type(column: ColumnElement[Any]) -> TypeEngine[Any]:
    return Text() if isinstance(column.type, Text) else column.type


def _in_keys(column: ColumnElement[Any]) -> ColumnElement[bool]:
    keys = BoundParameter(KEYS_PARAMETER, (KEYS_PARAMETER,), [], itemgetter(KEYS_PARAMETER), is_list=True)
    return sql.InList(column, literal(keys, ListParam(_item_type(column))))


def _as_flag(condition: ColumnElement[bool]) -> ColumnElement[int]:
    """Return a condition as 1 or 0, which is 0 if the condition is NULL."""
    return case((condition, literal_column("1")), else_=literal_column("0"))
