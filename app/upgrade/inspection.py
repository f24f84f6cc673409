"""What stands in a database, of whatever edition: the columns of Directus' tables, and the migrations it records."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

STEP, STEP_NAME = "20240806A", "Permissions Policies"
"""The migration from Directus 10's roles to Directus 11's policies, as Directus records it."""
FLAGS = {
    "ip_access": "text",
    "enforce_tfa": "boolean NOT NULL DEFAULT false",
    "admin_access": "boolean NOT NULL DEFAULT false",
    "app_access": "boolean NOT NULL DEFAULT true",
}
"""The columns of Directus 10's roles that Directus 11's policies have instead."""

COLUMNS = """
    SELECT c.relname, a.attname,
        format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END,
        ' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE a.attnum > 0 AND NOT a.attisdropped AND c.oid = to_regclass(quote_ident(c.relname))
    AND (c.relname LIKE 'directus\\_%' OR c.relname = 'rollcall_version')
"""
RECORDED = "SELECT version FROM directus_migrations ORDER BY version"


@dataclass(frozen=True, slots=True)
class DatabaseColumns:
    """The columns of each table with their types, the defaults of some, `table.column`, and the migrations recorded."""

    columns: Mapping[str, Mapping[str, str]]
    recorded: tuple[str, ...]
    defaults: Mapping[str, str] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Whether there is a table, or `table.column`."""
        table, _, column = name.partition(".")
        return table in self.columns and (not column or column in self.columns[table])

    def declared(self, name: str) -> str | None:
        """A column's type and default, `boolean NOT NULL DEFAULT false`; None where there is no such `table.column`."""
        table, _, column = name.partition(".")
        kind = self.columns.get(table, {}).get(column)
        return kind and kind + self.defaults.get(name, "")


async def inspect_database(connection: AsyncConnection) -> DatabaseColumns:
    """What stands in a PostgreSQL database; nothing in it is changed."""
    columns: dict[str, dict[str, str]] = {}
    defaults: dict[str, str] = {}
    for table, column, kind, default in await connection.execute(text(COLUMNS)):
        columns.setdefault(table, {})[column] = kind
        if default:
            defaults[f"{table}.{column}"] = default
    recorded = await connection.execute(text(RECORDED)) if "directus_migrations" in columns else ()
    return DatabaseColumns(columns, tuple(row[0] for row in recorded), defaults)
