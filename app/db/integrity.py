"""What a write broke, read from the database's refusal without its words."""

import re
from dataclasses import dataclass
from typing import Literal

from sqlalchemy.exc import IntegrityError

from app.db.base import Base
from app.db.engine import sqlstate

Kind = Literal["unique", "foreign", "pointed", "null", "other"]
"""`pointed` where a table of a project's own, whose name is nobody's to know here, points at what was to go."""

_KINDS: dict[str, Kind] = {"23505": "unique", "23503": "foreign", "23502": "null"}
_SQLITE = re.compile(r"(UNIQUE|NOT NULL|FOREIGN KEY) constraint failed(?:: (?:index '(\w+)'|(\w+)\.(\w+)))?")
_SQLITE_KINDS: dict[str, Kind] = {"UNIQUE": "unique", "NOT NULL": "null", "FOREIGN KEY": "foreign"}
EMAILS = "rollcall_users_email_folded"
"""The index that keeps e-mail addresses apart whatever their case."""


@dataclass(frozen=True, slots=True)
class ConstraintViolation:
    """Which rule of the tables a write broke, and where, as far as the database says."""

    kind: Kind
    table: str = ""
    column: str = ""


def parse_integrity_error(error: IntegrityError) -> ConstraintViolation:
    """What the database refused."""
    told = error.orig
    if sqlstate(error):
        kind = _KINDS.get(sqlstate(error), "other")
        table = str(getattr(told, "table_name", None) or "")
        if kind == "foreign" and table not in Base.metadata.tables:
            return ConstraintViolation("pointed")
        column = getattr(told, "column_name", None)
        return ConstraintViolation(
            kind, table, str(column or _column(str(getattr(told, "constraint_name", "")), table))
        )
    found = _SQLITE.search(str(told))
    if found is None:
        return ConstraintViolation("other")
    if found[2]:
        return (
            ConstraintViolation("unique", "directus_users", "email")
            if found[2] == EMAILS
            else ConstraintViolation("unique")
        )
    return ConstraintViolation(_SQLITE_KINDS[found[1]], found[3] or "", found[4] or "")


def _column(constraint: str, table: str) -> str:
    """The column that a constraint's name speaks of, as Directus names them."""
    if constraint == EMAILS:
        return "email"
    known = Base.metadata.tables.get(table)
    if known is None:
        return ""
    if constraint == f"{table}_pkey":
        return "id"
    names = (column.name for column in known.columns)
    return next((name for name in names if constraint.startswith(f"{table}_{name}_")), "")
