"""Constraints on rows: checked before a row is written or deleted, and translated if the database finds a violation."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from sqlalchemy import Column
from sqlalchemy.exc import IntegrityError

from app.core.email_addresses import email_spellings
from app.core.errors import (
    FailedValidation,
    InvalidForeignKey,
    InvalidPayload,
    MultipleErrors,
    RecordNotUnique,
    RollcallError,
    UnprocessableContent,
    ValueOutOfRange,
)
from app.db.integrity import parse_integrity_error
from app.db.transaction import WriteTransaction
from app.query import sql_writes
from app.query.coercion import INTEGER_BOUNDS
from app.query.collection import USERS, Collection, Field
from app.query.payload import Payload, required_fields
from app.repositories.engine.context import RowValues
from app.repositories.engine.table import RowStore

CASE_INSENSITIVE_FIELDS = frozenset({USERS.fields["email"]})
"""Fields whose values are unique regardless of case."""


class RowRejected(Exception):
    """The database rejected a row that had passed the checks before; `error` is what the client receives.

    It is no RollcallError, because the transaction can run no other statement before it ends.
    """

    def __init__(self, error: RollcallError) -> None:
        self.error = error
        super().__init__(error.text)


@contextmanager
def rejecting_row(collection: Collection, values: Mapping[Field, Any]) -> Iterator[None]:
    """Raise RowRejected if the database rejects the row with these values that is written meanwhile."""
    try:
        yield
    except IntegrityError as error:
        raise RowRejected(violation_error(error, collection, values)) from None


def violation_error(
    error: IntegrityError, collection: Collection | None = None, values: Mapping[Field, Any] | None = None
) -> RollcallError:
    """Return the error for a constraint violation; `collection` and `values` are those of the row, if known."""
    violation = parse_integrity_error(error)
    table = violation.table or (collection.name if collection else "")
    field = collection.fields.get(violation.column) if collection and table == collection.name else None
    value = (values or {}).get(field) if field and not field.concealed else None
    match violation.kind:
        case "unique":
            return RecordNotUnique(table, violation.column, value)
        case "null":
            return FailedValidation(violation.column, "required")
        case "foreign":
            return InvalidForeignKey(table, violation.column, value)
        case "referenced":
            return UnprocessableContent("Rows of a table that is not served still refer to it")
        case _:
            return UnprocessableContent("It conflicts with stored rows")


def check_required(collection: Collection, values: RowValues, path: Sequence[str]) -> None:
    """Raise FailedValidation, or MultipleErrors, if required values of a new row are missing."""
    missing = [
        FailedValidation(field.name, "required", path) for field in required_fields(collection) if field not in values
    ]
    if missing:
        raise missing[0] if len(missing) == 1 else MultipleErrors(missing)


def check_same_key(payload: Payload, keys: Sequence[Any]) -> None:
    """Raise InvalidPayload if a payload would change the primary key of a row, whose key is the only one of `keys`."""
    if payload.key is not None and list(keys) != [payload.key]:
        raise InvalidPayload(f'"{payload.collection.key.name}" is the primary key and cannot be changed')


def check_generated_key(collection: Collection, key: Any) -> None:
    """Raise ValueOutOfRange if SQLite numbered a new row beyond the range that PostgreSQL and a client's key have."""
    bound = INTEGER_BOUNDS.get(collection.key.kind)
    if bound is not None and key >= bound:
        raise ValueOutOfRange(collection.name, collection.key.name, key)


async def check_unique(
    writer: WriteTransaction, collection: Collection, values: RowValues, own_key: Any = None, *, has_email_index: bool
) -> None:
    """Raise RecordNotUnique if another row has the same value in a case-insensitive field.

    If the database has the email index, it does that check itself; SQLite does so for ASCII values only, and neither
    does if the domain of the email has two spellings.
    """
    for field in CASE_INSENSITIVE_FIELDS.intersection(values):
        value = values[field]
        is_indexed = has_email_index and (writer.postgresql or str(value).isascii())
        if value is None or (is_indexed and len(email_spellings(value)) == 1):
            continue
        if any(key != own_key for key in await RowStore(writer, collection).keys_by_email(field, value)):
            raise RecordNotUnique(collection.name, field.name, value)


async def check_foreign_keys(writer: WriteTransaction, payload: Payload, values: RowValues) -> None:
    """Raise InvalidForeignKey if a reference has no row."""
    collection = payload.collection
    for field, value in values.items():
        if value is None or field in payload.to_one or not field.relation:
            continue
        if field.link.target == collection.name and value == values.get(collection.key):
            continue  # a reference to itself; whether that is allowed is a rule of the collection
        only_checked_here = not field.stored.foreign_keys  # Directus has no foreign key for avatars
        if not await RowStore(writer, collection.target_of(field)).existing([value], lock=only_checked_here):
            raise InvalidForeignKey(collection.name, field.name, value)


async def check_not_referenced(writer: WriteTransaction, collection: Collection, keys: Iterable[Any]) -> None:
    """Raise InvalidForeignKey if a row that is not deleted itself still refers to one of the rows to delete."""
    for column in _restricting_columns(collection):
        query = writer.prepare_cached(sql_writes.select_reference, column, collection.table)
        for row in await writer.rows(query, {sql_writes.KEYS_PARAMETER: list(keys)}):
            raise InvalidForeignKey(column.table.name, column.name, row[0])


@lru_cache(maxsize=64)
def _restricting_columns(collection: Collection) -> tuple[Column[Any], ...]:
    """Return the foreign keys that keep a row of the collection from being deleted."""
    return tuple(
        key.parent
        for _, table in sorted(collection.table.metadata.tables.items())  # their foreign keys may form a circle
        for key in sorted(table.foreign_keys, key=lambda key: key.parent.name)
        if key.column.table is collection.table and key.ondelete is None
    )
