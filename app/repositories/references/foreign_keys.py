"""The foreign keys of a database, read from its own catalog, so that the tables of a project are included."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import TableClause, column, table, text

from app.db.base import UUIDText
from app.db.transaction import WriteTransaction

OnDelete = Literal["CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT", "NO ACTION"]

# Keys of several columns are left out: none can refer to `directus_users`, whose key is one column. So are those of
# tables that the database role of Rollcall may not read.
POSTGRESQL_KEYS = text("""
SELECT NULLIF(namespace.nspname, current_schema()), one.relname, attribute.attname, target.relname,
    target_attribute.attname,
    CASE confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT'
        WHEN 'r' THEN 'RESTRICT' ELSE 'NO ACTION' END,
    (SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
        WHERE indrelid = one.oid AND indisprimary AND indnatts = 1),
    NULLIF(target_namespace.nspname, current_schema())
FROM pg_constraint
JOIN pg_class AS one ON one.oid = conrelid
JOIN pg_namespace AS namespace ON namespace.oid = one.relnamespace
JOIN pg_class AS target ON target.oid = confrelid
JOIN pg_namespace AS target_namespace ON target_namespace.oid = target.relnamespace
JOIN pg_attribute AS attribute ON attribute.attrelid = conrelid AND attribute.attnum = conkey[1]
JOIN pg_attribute AS target_attribute ON target_attribute.attrelid = confrelid AND target_attribute.attnum = confkey[1]
WHERE contype = 'f' AND array_length(conkey, 1) = 1 AND conparentid = 0 AND has_table_privilege(conrelid, 'SELECT')
    AND has_schema_privilege(one.relnamespace, 'USAGE')
ORDER BY 1 NULLS FIRST, 2, 3
""")
SQLITE_KEYS = text("""
SELECT NULL, one.name, min(link."from"), link."table",
    coalesce(link."to", (SELECT min(info.name) FROM pragma_table_info(link."table") AS info WHERE info.pk = 1)),
    link.on_delete,
    (SELECT CASE count(*) WHEN 1 THEN min(info.name) END FROM pragma_table_info(one.name) AS info WHERE info.pk > 0),
    NULL
FROM sqlite_master AS one JOIN pragma_foreign_key_list(one.name) AS link
WHERE one.type = 'table'
GROUP BY one.name, link.id HAVING count(*) = 1
ORDER BY one.name, min(link."from")
""")


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key of one column. `key` is the primary key of its table, None unless that is a single column.

    A `schema` is named only if it is not the one that unqualified names refer to.
    """

    schema: str | None
    table: str
    column: str
    target: str
    target_column: str
    on_delete: OnDelete
    key: str | None
    target_schema: str | None = None

    @property
    def name(self) -> str:
        """The name of its table, with its schema if that must be named."""
        return qualified(self.schema, self.table)

    @property
    def target_name(self) -> str:
        """The name of the table that it refers to, in the form of `name`."""
        return qualified(self.target_schema, self.target)

    def table_clause(self) -> TableClause:
        """Return its table with the columns that are known of it."""
        return table_clause(self.schema, self.table, self.column, self.key)


def qualified(schema: str | None, name: str) -> str:
    """Return the name of a table, with its schema if there is one."""
    return name if schema is None else f"{schema}.{name}"


def table_clause(schema: str | None, name: str, *columns: str | None) -> TableClause:
    """Return a table with these columns; those that refer to users are compared as their keys are."""
    names = dict.fromkeys(filter(None, columns))
    return table(name, *(column(each, UUIDText()) for each in names), schema=schema)


async def read_foreign_keys(writer: WriteTransaction) -> Sequence[ForeignKey]:
    """Return every foreign key of one column, by table and column, as the transaction sees them.

    They are not cached: a project may add a table at any time, and deletions are rare.
    """
    rows: Sequence[Any] = await writer.execute(POSTGRESQL_KEYS if writer.postgresql else SQLITE_KEYS)
    return [ForeignKey(*row) for row in rows]
