"""What a database is, read from its columns: one of Directus 10, or one that has Directus 11's policies."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.base import POSTGRESQL
from app.db.refusal import Refusal

FLAGS = ("ip_access", "enforce_tfa", "admin_access", "app_access")
"""The columns of Directus 10's roles that Directus 11's policies have instead."""
MIGRATION = ("20240806A", "Permissions Policies")
"""What Directus calls the step from the one to the other."""
BEFORE = "20240716A"
"""The last migration of Directus 10.13.4."""

ROLES = {
    "id": "uuid NOT NULL",
    "name": "character varying(100) NOT NULL",
    "icon": "character varying(30) NOT NULL",
    "description": "text",
    "ip_access": "text",
    "enforce_tfa": "boolean NOT NULL",
    "admin_access": "boolean NOT NULL",
    "app_access": "boolean NOT NULL",
}
PERMISSIONS = {
    "id": "integer NOT NULL",
    "role": "uuid",
    "collection": "character varying(64) NOT NULL",
    "action": "character varying(10) NOT NULL",
    "permissions": "json",
    "validation": "json",
    "presets": "json",
    "fields": "text",
}
KNOWN = {"directus_roles": ROLES, "directus_permissions": PERMISSIONS, "directus_users": {"id": "uuid NOT NULL"}}
"""Directus 10.13's columns that an upgrade reads or takes away; others may stand beside them."""
NEW = ("directus_policies", "directus_access", "directus_roles.parent", "directus_permissions.policy")
OLD = (*(f"directus_roles.{flag}" for flag in FLAGS), "directus_permissions.role")
OURS = "rollcall_version"

COLUMNS = """
    SELECT c.relname, a.attname,
        format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE a.attnum > 0 AND NOT a.attisdropped AND c.oid = to_regclass(quote_ident(c.relname))
    AND (c.relname LIKE 'directus\\_%' OR c.relname = 'rollcall_version')
"""
RECORDED = "SELECT version FROM directus_migrations ORDER BY version"


class Form(Enum):
    """Which edition's tables stand in a database."""

    TEN = "Directus 10"
    ELEVEN = "Directus 11"


@dataclass(frozen=True, slots=True)
class Found:
    """What stands in a database: the columns of each table with their types, and the migrations it records."""

    columns: Mapping[str, Mapping[str, str]]
    recorded: tuple[str, ...]

    def has(self, name: str) -> bool:
        """Whether there is a table, or `table.column`."""
        table, _, column = name.partition(".")
        return table in self.columns and (not column or column in self.columns[table])


async def read_form(connection: AsyncConnection) -> Form:
    """Which edition a database is of; nothing in it is changed.

    Raises Refusal, which says what was found, for one that is of neither, that is older than Directus 10.13.4 or
    otherwise laid out, or that stands between the two.
    """
    if connection.dialect.name != POSTGRESQL:
        raise Refusal(
            "An upgrade is only done on PostgreSQL, and this is SQLite: let Directus 11 itself migrate the file "
            "(`npx directus database migrate:latest`), then run `rollcall bootstrap`."
        )
    return form_of(await _found(connection))


def form_of(found: Found) -> Form:
    """The same of what was found; raises Refusal as above."""
    new, old = [name for name in NEW if found.has(name)], [name for name in OLD if found.has(name)]
    if not new and not old:
        raise Refusal("This is not a Directus database: directus_roles, with its rights or with policies, isn't here.")
    if len(new) == len(NEW) and not old:
        return Form.ELEVEN
    if new or MIGRATION[0] in found.recorded:
        raise Refusal(_between(found, new, old))
    _check(found)
    return Form.TEN


async def _found(connection: AsyncConnection) -> Found:
    columns: dict[str, dict[str, str]] = {}
    for table, column, kind in await connection.execute(text(COLUMNS)):
        columns.setdefault(table, {})[column] = kind
    recorded = await connection.execute(text(RECORDED)) if "directus_migrations" in columns else ()
    return Found(columns, tuple(row[0] for row in recorded))


def _between(found: Found, new: list[str], old: list[str]) -> str:
    record = f"records {MIGRATION[0]}" if MIGRATION[0] in found.recorded else f"doesn't record {MIGRATION[0]}"
    return (
        f"This database stands between Directus 10 and 11. Of 11 it has {_listed(new)}; of 10 it still has "
        f"{_listed(old)}; directus_migrations {record}. Go back to a copy from before, and upgrade that."
    )


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "nothing"


def _check(found: Found) -> None:
    """Raise Refusal for a database of Directus 10 that isn't laid out as 10.13 does."""
    if BEFORE not in found.recorded:
        newest = found.recorded[-1] if found.recorded else "none"
        raise Refusal(
            f"This is a Directus database older than 10.13.4: the newest migration it records is {newest}, and not yet "
            f"{BEFORE}. Bring it to the last Directus 10 with Directus' own migrations first."
        )
    for table, columns in KNOWN.items():
        for name, kind in columns.items():
            there = found.columns.get(table, {}).get(name)
            if there != kind:
                told = f"is {there}" if there else "is missing"
                raise Refusal(f"{table}.{name} {told}, where Directus 10.13 has {kind}: what that means isn't known.")
    if found.has(OURS):
        raise Refusal(
            "Rollcall's own tables stand in this Directus 10 database, made for another: `rollcall migrate down base` "
            "takes them away, then upgrade."
        )
