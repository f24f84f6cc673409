"""The statements that write rows, and those that look at rows before and after."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Delete,
    Insert,
    Select,
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
from app.query.sql_expressions import condition_sql

ACTIVITY_PREFIX, REVISION_PREFIX = "activity", "revision"
"""Which row of a statement that writes several a value is for."""
KEY_PARAMETER, KEYS_PARAMETER = "key", "keys"
"""What the statements are given besides the values of fields: one key, or several."""


def parameter_name(field: Field, prefix: str = "") -> str:
    """The name under which a statement is given a field's value; `of` tells apart the rows of one statement."""
    return f"{prefix} {field.name}"


def insert_row(collection: Collection, fields: tuple[Field, ...], prefix: str = "") -> Insert:
    """Adds a row of these fields; answers its key."""
    values = {field.stored.name: bind_param(parameter_name(field, prefix), field.stored.type) for field in fields}
    return insert(collection.table).values(values).returning(collection.key.stored)


ChangeSpec = tuple[Callable[..., Insert | Update], Collection, tuple[Field, ...]]
"""What makes a change of one row, the collection, and which of its fields are given values."""
InsertSpec = tuple[Collection, tuple[Field, ...]]
"""A row that is added: its collection, and the fields it gets."""


def insert_with_audit(change: ChangeSpec | None, activity: InsertSpec, revision: InsertSpec) -> Insert:
    """A change, its activity and its revision in one statement, as only PostgreSQL can; answers the revision's key.

    Of the revision's fields the first is the activity it belongs to.
    """
    told_of = insert_row(*activity, ACTIVITY_PREFIX).cte("told_of")
    there, (belongs, *others) = revision[0].table, revision[1]
    values = [bind_param(parameter_name(field, REVISION_PREFIX), field.stored.type) for field in others]
    names = [belongs.stored.name, *(field.stored.name for field in others)]
    added = insert(there).from_select(names, select(told_of.c[activity[0].key.name], *values))
    if change is not None:
        make, collection, fields = change
        added = added.add_cte(make(collection, fields).cte("changed"))
    return added.returning(revision[0].key.stored)


def insert_child_row(collection: Collection, fields: tuple[Field, ...], prefix: str) -> Insert:
    """Adds a row of these fields on SQLite, the first of which is the key of the row that was added just before."""
    belongs, *others = fields
    values = {field.stored.name: bind_param(parameter_name(field, prefix), field.stored.type) for field in others}
    last = {belongs.stored.name: func.last_insert_rowid()}
    return insert(collection.table).values(last | values).returning(collection.key.stored)


def update_row(collection: Collection, fields: tuple[Field, ...]) -> Update:
    """Gives these fields of one row other values."""
    values = {field.stored.name: bind_param(parameter_name(field), field.stored.type) for field in fields}
    return update(collection.table).where(_is(collection.key, KEY_PARAMETER)).values(values)


def delete_rows(collection: Collection) -> Delete:
    """Takes rows away by their keys."""
    return delete(collection.table).where(_among(collection.key.stored, KEYS_PARAMETER))


def select_rows(collection: Collection, for_update: bool) -> Select[Any]:
    """Everything that is stored of some rows, in the order of the registry's columns; `held` until the end."""
    columns = [field.stored for field in columns_of(collection)]
    found = select(*columns).where(_among(collection.key.stored, KEYS_PARAMETER)).order_by(collection.key.stored)
    return found.with_for_update() if for_update else found


def select_referencing(collection: Collection, field: Field) -> Select[Any]:
    """The keys of the rows whose `field` is one of some keys."""
    return select(collection.key.stored).where(_among(field.stored, KEYS_PARAMETER)).order_by(collection.key.stored)


def select_existing(collection: Collection) -> Select[Any]:
    """Those of some keys that there is a row of."""
    return select(collection.key.stored).where(_among(collection.key.stored, KEYS_PARAMETER))


def select_first_key(collection: Collection) -> Select[Any]:
    """The first key there is."""
    return select(collection.key.stored).order_by(collection.key.stored).limit(1)


def select_by_email(collection: Collection, field: Field) -> Select[Any]:
    """The keys of the users whose `field`, an e-mail, is some address, whatever the case of either."""
    key = collection.key.stored
    return select(key).where(sql.EmailEquals(key, field.stored, bind_param(parameter_name(field), Text())))


def select_rule_matches(scoped: ScopedRows) -> Select[Any]:
    """The keys of some rows, each with whether the rules reach it."""
    row = scoped.collection.table.alias()
    verdicts = [_verdict(condition_sql(asked, row)).label(f"r{at}") for at, asked in enumerate(scoped.conditions)]
    key = row.c[scoped.collection.key.name]
    return select(key, *verdicts).select_from(row).where(_among(key, KEYS_PARAMETER))


def rule_match(scoped: ScopedRows, key: Any) -> ColumnElement[int]:
    """Whether at least one of the rules reaches the row with a key."""
    row = scoped.collection.table.alias()
    wanted = row.c[scoped.collection.key.name] == literal(key, scoped.collection.key.stored.type)
    reached_by = or_(false(), *(condition_sql(asked, row) for asked in scoped.conditions))
    return _verdict(exists(select(1).select_from(row).where(wanted, reached_by)))


@lru_cache(maxsize=64)
def columns_of(collection: Collection) -> tuple[Field, ...]:
    """The fields that are columns, in the order of `rows`."""
    return tuple(field for field in collection.fields.values() if field.column is not None)


def in_list(column: ColumnElement[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """Whether a column holds one of some values, all of them one parameter."""
    return sql.InList(column, literal(list(values), ListParam(_item(column))))


def _item(column: ColumnElement[Any]) -> TypeEngine[Any]:
    return Text() if isinstance(column.type, Text) else column.type


def _is(field: Field, name: str) -> ColumnElement[bool]:
    return field.stored == bind_param(name, field.stored.type)


def _among(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    return sql.InList(
        column, literal(BoundParameter(name, (name,), [], itemgetter(name), is_list=True), ListParam(_item(column)))
    )


def _verdict(holds: ColumnElement[bool]) -> ColumnElement[int]:
    """A condition as a plain answer: what can't be known doesn't hold."""
    return case((holds, literal_column("1")), else_=literal_column("0"))
