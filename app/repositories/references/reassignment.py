"""Moves references from users to another one, and empties those that Directus empties."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Text, Update, cast, literal, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from app.core.errors import UnprocessableContent
from app.db.base import UUIDText
from app.db.engine import sqlstate
from app.db.transaction import WriteTransaction
from app.query.sql_writes import in_list
from app.repositories.engine.audit_log import AuditLog
from app.repositories.engine.constraints import RowRejected
from app.repositories.references.foreign_keys import ForeignKey
from app.repositories.references.user_references import RELEASED, is_movable

INSUFFICIENT_PRIVILEGE = "42501"
UNKNOWN_ITEM = "*"
"""The item in the audit log of rows whose table has no primary key of one column; there is one entry for all."""


async def move_references(
    writer: WriteTransaction, audit_log: AuditLog, keys: Iterable[ForeignKey], users: Sequence[str], target: str
) -> None:
    """Move the movable references by these foreign keys from users to the user `target`, and record each row.

    Raises:
        RowRejected: A row would break a constraint, such as a unique one that a row of the target occupies, or the
            database does not allow the change.
    """
    for key in filter(is_movable, keys):
        rows = key.table_clause()
        refers = in_list(rows.c[key.column], users)
        if key.key is not None:
            await audit_log.record_each("update", key.name, select(cast(rows.c[key.key], Text)).where(refers))
        elif await writer.execute(select(rows.c[key.column]).where(refers).limit(1)):
            await audit_log.record_in("update", key.name, UNKNOWN_ITEM)
        await _execute(writer, key, update(rows).where(refers).values({key.column: literal(target, UUIDText())}))


async def release_references(writer: WriteTransaction, keys: Iterable[ForeignKey], users: Sequence[str]) -> None:
    """Set the references to null that keep users from being deleted, but that Directus sets to null as well."""
    for key in keys:
        if (key.name, key.column) in RELEASED:
            rows = key.table_clause()
            await writer.execute(update(rows).where(in_list(rows.c[key.column], users)).values({key.column: None}))


async def _execute(writer: WriteTransaction, key: ForeignKey, statement: Update) -> None:
    """Run an update; raise RowRejected if it breaks a constraint, or if Rollcall may not change the table."""
    try:
        await writer.execute(statement)
    except IntegrityError:
        error = UnprocessableContent(
            f'"{key.name}"."{key.column}" can\'t be moved to the user of "reassign_to": a constraint of the table '
            "rejects it, for example because that user has such a row already. Change or delete those rows first"
        )
        raise RowRejected(error) from None
    except DBAPIError as error:
        if sqlstate(error) != INSUFFICIENT_PRIVILEGE:
            raise
        denied = UnprocessableContent(
            f'The database role of Rollcall may not change "{key.name}". Grant it UPDATE first'
        )
        raise RowRejected(denied) from None
