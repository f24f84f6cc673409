"""Which constraint a write violated: read from the driver's error, without quoting its text."""

import re
from dataclasses import dataclass
from typing import Literal

from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.exc import DBAPIError

from app.db.base import Base
from app.db.engine import sqlstate

ViolationKind = Literal["unique", "foreign", "referenced", "null", "other"]
"""`referenced`: a table that a project added, and whose name clients must not learn, references the row to delete."""

_SQLSTATE_KINDS: dict[str, ViolationKind] = {"23505": "unique", "23503": "foreign", "23502": "null"}
_SQLITE_ERROR = re.compile(r"(UNIQUE|NOT NULL|FOREIGN KEY) constraint failed(?:: (?:index '(\w+)'|(\w+)\.(\w+)))?")
_SQLITE_KINDS: dict[str, ViolationKind] = {"UNIQUE": "unique", "NOT NULL": "null", "FOREIGN KEY": "foreign"}
EMAIL_INDEX = "rollcall_users_email_folded"
"""The index that keeps emails unique whatever their case."""


@dataclass(frozen=True, slots=True)
class ConstraintViolation:
    """The kind of a violated constraint, with its table and column as far as the database names them."""

    kind: ViolationKind
    table: str = ""
    column: str = ""


def parse_integrity_error(error: DBAPIError) -> ConstraintViolation:
    """Return which constraint a write violated."""
    return _parse_postgresql(error) if sqlstate(error) else _parse_sqlite(str(error.orig))


def _parse_postgresql(error: DBAPIError) -> ConstraintViolation:
    kind = _SQLSTATE_KINDS.get(sqlstate(error), "other")
    # SQLAlchemy's own exception, which replaces that of the driver if SQLAlchemy runs the statement, has no names
    driver_error = error.orig.__cause__ if isinstance(error.orig, AsyncAdapt_asyncpg_dbapi.Error) else error.orig
    table = str(getattr(driver_error, "table_name", None) or "")
    if kind == "foreign" and table not in Base.metadata.tables:
        return ConstraintViolation("referenced")
    column = getattr(driver_error, "column_name", None)
    constraint = str(getattr(driver_error, "constraint_name", ""))
    return ConstraintViolation(kind, table, str(column or _column_of(constraint, table)))


def _parse_sqlite(message: str) -> ConstraintViolation:
    match = _SQLITE_ERROR.search(message)
    if match is None:
        return ConstraintViolation("other")
    constraint, index, table, column = match.groups()
    if index == EMAIL_INDEX:
        return ConstraintViolation("unique", "directus_users", "email")
    if index:
        return ConstraintViolation("unique")
    return ConstraintViolation(_SQLITE_KINDS[constraint], table or "", column or "")


def _column_of(constraint: str, table_name: str) -> str:
    """Return the column that a constraint's name contains, by Directus' naming convention; empty if unknown."""
    if constraint == EMAIL_INDEX:
        return "email"
    table = Base.metadata.tables.get(table_name)
    if table is None:
        return ""
    if constraint == f"{table_name}_pkey":
        return "id"
    names = (column.name for column in table.columns)
    return next((name for name in names if constraint.startswith(f"{table_name}_{name}_")), "")
