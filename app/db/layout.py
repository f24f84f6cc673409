"""Whether a database holds Directus' tables, and whether they are laid out as we read them."""

from sqlalchemy import Connection, inspect

from app.db.models import DIRECTUS_TABLES
from app.db.refusal import Refusal


def present(connection: Connection) -> bool:
    """Whether any of the Directus tables we read stands in the database."""
    return any(_columns(connection).values())


def check(connection: Connection) -> None:
    """Raise Refusal, with its name, for a table or column we read that a database with Directus' tables lacks."""
    found = _columns(connection)
    if not any(found.values()):
        return
    for table in DIRECTUS_TABLES:
        missing = [column.name for column in table.columns if column.name not in found[table.name]]
        if missing:
            name = f"{table.name}.{missing[0]}" if found[table.name] else table.name
            raise Refusal(
                f"{name} is missing: these tables are not laid out as Directus 11.17 does. "
                "Bring them there with Directus' own migrations, then try again."
            )


def unknown(connection: Connection) -> list[str]:
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
