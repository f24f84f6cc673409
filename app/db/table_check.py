"""Checks whether a database holds Directus' tables, with every column that Rollcall reads."""

from sqlalchemy import Connection, inspect

from app.core.errors import OperatorError
from app.db.models import DIRECTUS_TABLES, SCHEMA_TABLES

ADMIN_FLAG = "admin_access"
"""A column of roles in Directus 10, and of policies in Directus 11."""

Columns = dict[str, set[str]]
"""The names of a database's columns by table; empty for a table that does not exist."""


def has_directus_tables(connection: Connection) -> bool:
    """Return whether the database holds any Directus table that Rollcall reads."""
    return any(_columns(connection).values())


def check_tables(connection: Connection) -> None:
    """Check that Directus' tables, if there are any, have every column that Rollcall reads.

    Raises:
        OperatorError: A table or column is missing; the message names each. For a Directus 10 database it says so and
            refers to `rollcall upgrade`.
    """
    columns = _columns(connection)
    if not any(columns.values()):
        return
    if ADMIN_FLAG in columns["directus_roles"] and not columns["directus_policies"]:
        raise OperatorError(
            "This is a Directus 10 database: its roles hold the rights, and there are no policies yet. "
            "Run `rollcall upgrade --dry-run` to see what an upgrade would do."
        )
    if missing := _missing(columns):
        names = f"{', '.join(missing[:-1])} and {missing[-1]} are" if len(missing) > 1 else f"{missing[0]} is"
        raise OperatorError(
            f"{names} missing: these tables are not those of Directus 11.17. "
            "Update them with Directus' own migrations, then try again."
        )


def missing_columns(connection: Connection) -> list[str]:
    """Return the tables and columns (`table.column`) that Rollcall reads and the database lacks, in model order."""
    return _missing(_columns(connection))


def _missing(columns: Columns) -> list[str]:
    names = []
    for table in DIRECTUS_TABLES:
        missing = [f"{table.name}.{column.name}" for column in table.columns if column.name not in columns[table.name]]
        if columns[table.name]:
            names += missing
        elif table.name not in SCHEMA_TABLES:  # a migration creates these where they are missing
            names.append(table.name)
    return names


def extra_columns(connection: Connection) -> list[str]:
    """Return the columns (`table.column`) that a project added to Directus' tables, also those that are not served."""
    columns = _columns(connection)
    return [
        f"{table.name}.{name}"
        for table in DIRECTUS_TABLES
        for name in sorted(columns[table.name] - {column.name for column in table.columns})
    ]


def _columns(connection: Connection) -> Columns:
    names = [table.name for table in DIRECTUS_TABLES]
    columns = inspect(connection).get_multi_columns(filter_names=names)
    return {name: {column["name"] for column in columns.get((None, name), [])} for name in names}
