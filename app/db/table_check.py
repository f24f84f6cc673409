"""Whether a database holds Directus' tables, and whether they are laid out as we read them."""

from sqlalchemy import Connection, inspect

from app.core.errors import OperatorError
from app.db.models import DIRECTUS_TABLES

FLAG = "admin_access"
"""A column that roles have in Directus 10, and policies in Directus 11."""


def has_directus_tables(connection: Connection) -> bool:
    """Whether any of the Directus tables we read stands in the database."""
    return any(_columns(connection).values())


def check_tables(connection: Connection) -> None:
    """Raise Refusal for tables that aren't laid out as we read them; it names every table and column that is missing.

    A database of Directus 10 is called that, and led to `rollcall upgrade`.
    """
    found = _columns(connection)
    if not any(found.values()):
        return
    if FLAG in found["directus_roles"] and not found["directus_policies"]:
        raise OperatorError(
            "This is a Directus 10 database: its roles hold the rights, and there are no policies yet. "
            "`rollcall upgrade --dry-run` tells what an upgrade would do."
        )
    if missing := _lacking(found):
        listed = f"{', '.join(missing[:-1])} and {missing[-1]} are" if len(missing) > 1 else f"{missing[0]} is"
        raise OperatorError(
            f"{listed} missing: these tables are not laid out as Directus 11.17 does. "
            "Bring them there with Directus' own migrations, then try again."
        )


def missing_columns(connection: Connection) -> list[str]:
    """The tables and columns (`table.column`) that we read and the database doesn't have, in our order."""
    return _lacking(_columns(connection))


def _lacking(found: dict[str, set[str]]) -> list[str]:
    names = []
    for table in DIRECTUS_TABLES:
        missing = [f"{table.name}.{column.name}" for column in table.columns if column.name not in found[table.name]]
        names += missing if found[table.name] else [table.name]
    return names


def extra_columns(connection: Connection) -> list[str]:
    """The columns, `table.column`, that a project added to tables we read; nothing of ours reads or writes them."""
    found = _columns(connection)
    return [
        f"{table.name}.{name}"
        for table in DIRECTUS_TABLES
        for name in sorted(found[table.name] - {column.name for column in table.columns})
    ]


def _columns(connection: Connection) -> dict[str, set[str]]:
    names = [table.name for table in DIRECTUS_TABLES]
    found = inspect(connection).get_multi_columns(filter_names=names)
    return {name: {column["name"] for column in found.get((None, name), [])} for name in names}
