"""Adds the custom columns of an import file to a database, in the transaction of its rows."""

from collections.abc import Iterable, Sequence

from sqlalchemy import ForeignKey
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.errors import OperatorError
from app.flows.existing_columns import custom_columns, portable_column, read_catalog
from app.flows.portable_columns import TABLE_NAMES, PortableColumn
from app.query.collection import Registry
from app.repositories.system.ddl import add_column


async def add_missing_columns(connection: AsyncConnection, columns: Iterable[PortableColumn]) -> list[PortableColumn]:
    """Add those columns that the database lacks, and return them.

    Raises:
        OperatorError: The database can't add a column; the message names it.
    """
    existing = (await read_catalog(connection)).columns if columns else {}
    missing = [column for column in columns if (column.table, column.column) not in existing]
    for column in missing:
        definition = column.definition(connection.dialect.name)
        try:
            for statement in add_column(connection.dialect.name, definition):
                await connection.exec_driver_sql(statement)
        except DBAPIError:
            raise OperatorError(f"{column}: {_reason(column)}.") from None
    return missing


async def check_columns(connection: AsyncConnection, registry: Registry, columns: Sequence[PortableColumn]) -> None:
    """Check that the columns of a file exist as it describes them, now that its descriptions are written.

    Raises:
        OperatorError: Nothing describes a column, or its type is another one.
    """
    if not columns:
        return
    catalog = await read_catalog(connection)
    existing = {
        (table, field.name): portable_column(table, field, catalog) for table, field in custom_columns(registry)
    }
    for column in columns:
        found = existing.get((column.table, column.column))
        if found is None:
            raise OperatorError(f"{column}: no row of directus_fields describes the column, or its type is unknown.")
        if not column.fits(found):
            raise OperatorError(
                f"{column}: the column has the type {found.describe_type()}, but the file's column has "
                f"{column.describe_type()}. Change the type of one of them, then try again."
            )


async def add_foreign_keys(connection: AsyncConnection, registry: Registry) -> None:
    """Add to the custom columns of a registry the foreign keys of the database that no relation describes."""
    fields = [(table, field.stored) for table, field in custom_columns(registry) if not field.stored.foreign_keys]
    keys = (await read_catalog(connection)).keys if fields else {}
    for table, column in fields:
        key = keys.get((table, column.name))
        if key is not None and key["foreign_key_table"] in TABLE_NAMES:
            column.append_foreign_key(ForeignKey(f"{key['foreign_key_table']}.{key['foreign_key_column']}"))


def _reason(column: PortableColumn) -> str:
    if column.nullable or column.default is not None:
        return "the database can't add the column as the file describes it"
    return (
        f"the column requires a value and has no default, so it can't be added while {column.table} has rows. "
        "Add it to the database first, or import into a new one"
    )
