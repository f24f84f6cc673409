"""The custom columns that a database has, described for files."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import String
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine

from app.core.errors import InvalidPayload
from app.db.base import POSTGRESQL, ExactDecimal, Real
from app.db.models import DIRECTUS_TABLES
from app.db.table_check import extra_columns
from app.flows.portable_columns import CURRENT, SQLITE_NOW, TABLE_NAMES, PortableColumn, storage_default
from app.query.collection import BUILT_IN, Field, Registry
from app.query.custom_fields import CUSTOMIZABLE
from app.repositories.system.column_queries import columns_query
from app.repositories.system.columns import ColumnCatalog


async def describe_columns(connection: AsyncConnection, registry: Registry) -> tuple[list[PortableColumn], list[str]]:
    """Return the custom columns of a database, and what of them a file can't contain.

    That is `table.column` for columns that nothing describes or whose type is unknown, and for those that the database
    computes; `the default of table.column` for defaults that only one kind of database has.
    """
    extra = await connection.run_sync(extra_columns)
    if not extra:
        return [], []
    catalog = await read_catalog(connection)
    columns = [portable_column(table, field, catalog) for table, field in custom_columns(registry)]
    names = {str(column) for column in columns}
    omitted = [name for name in extra if name not in names]
    for column in columns:
        default = catalog.columns[(column.table, column.column)]["default_value"]
        if default is not None and column.default is None:
            omitted.append(f"the default of {column}")
    return columns, omitted


def custom_columns(registry: Registry) -> Iterator[tuple[str, Field]]:
    """Yield the table and the field of each custom column that is served, by table and then as they are described."""
    for table in DIRECTUS_TABLES:
        if table.name in CUSTOMIZABLE:
            for field in registry[table.name].fields.values():
                if field.name not in BUILT_IN[table.name].fields and field.column is not None:
                    yield table.name, field


async def read_catalog(connection: AsyncConnection) -> ColumnCatalog:
    """Return the columns, keys and indexes of the tables that may have custom columns."""
    query = columns_query(connection.dialect.name, CUSTOMIZABLE)
    return ColumnCatalog.parse((await connection.exec_driver_sql(query)).scalar_one())


def portable_column(table: str, field: Field, catalog: ColumnCatalog) -> PortableColumn:
    """Return the description of an existing column.

    A default that has no form in the other kind of database is left out, and so is a foreign key to a table of the
    project.
    """
    key = (table, field.name)
    schema, indexes, foreign = catalog.columns[key], catalog.indexes.get(key, {}), catalog.keys.get(key)
    type_ = _storage_type(field)
    portable = foreign is not None and foreign["foreign_key_table"] in TABLE_NAMES
    return PortableColumn(
        table,
        field.name,
        type_,
        **_sizes(field.stored.type),
        nullable=schema["is_nullable"],
        default=_portable_default(type_, schema["default_value"]),
        unique=True in indexes,
        indexed=False in indexes,
        references=foreign["foreign_key_table"] if portable and foreign else None,
        on_delete=foreign["on_delete"] if portable and foreign else None,
    )


def _storage_type(field: Field) -> str:
    type_ = field.stored.type
    if isinstance(type_, String):
        return "string" if type_.length else "text"
    if isinstance(type_, Real):
        return "double" if type_.double else "float"
    return "decimal" if isinstance(type_, ExactDecimal) else field.kind


def _sizes(type_: TypeEngine[Any]) -> dict[str, int]:
    if isinstance(type_, ExactDecimal):
        return {"precision": type_.precision, "scale": type_.scale}
    return {"length": type_.length} if isinstance(type_, String) and type_.length else {}


def _portable_default(type_: str, default: Any) -> Any:
    """Return a default in the form that is the same for both kinds of databases; None if there is none."""
    if default is None or (default == CURRENT and type_ in SQLITE_NOW):
        return default
    try:
        literal = storage_default(type_, default, POSTGRESQL)
    except InvalidPayload:  # an expression
        return None
    return literal[1:-1].replace("''", "'") if literal.startswith("'") else default
