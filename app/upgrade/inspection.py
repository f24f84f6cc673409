"""Reads the columns of Directus' tables and the migrations a database records, whichever Directus created it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

POLICIES_MIGRATION, POLICIES_MIGRATION_NAME = "20240806A", "Permissions Policies"
"""The migration from Directus 10's roles to Directus 11's policies, as Directus records it."""
ROLE_FLAGS = {
    "ip_access": "text",
    "enforce_tfa": "boolean NOT NULL DEFAULT false",
    "admin_access": "boolean NOT NULL DEFAULT false",
    "app_access": "boolean NOT NULL DEFAULT true",
}
"""The columns of Directus 10's roles that belong to policies in Directus 11."""

COLUMNS = """
    SELECT c.relname, a.attname,
        format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END,
        ' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE a.attnum > 0 AND NOT a.attisdropped AND c.oid = to_regclass(quote_ident(c.relname))
    AND (c.relname LIKE 'directus\\_%' OR c.relname = 'rollcall_version')
"""
MIGRATIONS = "SELECT version FROM directus_migrations ORDER BY version"


@dataclass(frozen=True, slots=True)
class DatabaseColumns:
    """The column types of each table, the recorded migrations, and the columns' defaults by `table.column`."""

    columns: Mapping[str, Mapping[str, str]]
    migrations: tuple[str, ...]
    defaults: Mapping[str, str] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Return whether a table or `table.column` exists."""
        table, _, column = name.partition(".")
        return table in self.columns and (not column or column in self.columns[table])

    def declaration(self, name: str) -> str | None:
        """Return the type and default of `table.column`, as `boolean NOT NULL DEFAULT false`; None if it is missing."""
        table, _, column = name.partition(".")
        column_type = self.columns.get(table, {}).get(column)
        return column_type and column_type + self.defaults.get(name, "")


async def inspect_database(connection: AsyncConnection) -> DatabaseColumns:
    """Read the columns and migrations of a PostgreSQL database."""
    columns: dict[str, dict[str, str]] = {}
    defaults: dict[str, str] = {}
    for table, column, column_type, default in await connection.execute(text(COLUMNS)):
        columns.setdefault(table, {})[column] = column_type
        if default:
            defaults[f"{table}.{column}"] = default
    migrations = await connection.execute(text(MIGRATIONS)) if "directus_migrations" in columns else ()
    return DatabaseColumns(columns, tuple(row[0] for row in migrations), defaults)
