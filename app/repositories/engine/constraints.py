"""Constraints on a row's values, checked before they are written: required, unique, foreign keys."""

from collections.abc import Sequence
from typing import Any

from app.core.errors import FailedValidation, InvalidForeignKey, MultipleErrors, RecordNotUnique
from app.db.transaction import WriteTransaction
from app.query.collection import USERS, Collection, target
from app.query.payload import Payload, required_fields
from app.repositories.engine.context import RowValues
from app.repositories.engine.table import RowStore

CASE_INSENSITIVE_FIELDS = frozenset({USERS.fields["email"]})
"""Fields whose values are unique regardless of case."""


def check_required(collection: Collection, values: RowValues, path: Sequence[str]) -> None:
    """Raise FailedValidation, or MultipleErrors, if required values of a new row are missing."""
    missing = [
        FailedValidation(field.name, "required", path) for field in required_fields(collection) if field not in values
    ]
    if missing:
        raise missing[0] if len(missing) == 1 else MultipleErrors(missing)


async def check_unique(
    writer: WriteTransaction, collection: Collection, values: RowValues, own_key: Any = None, *, has_email_index: bool
) -> None:
    """Raise RecordNotUnique if another row has the same value in a case-insensitive field.

    If the database has the email index, it does that check itself; SQLite does so for ASCII values only.
    """
    for field in CASE_INSENSITIVE_FIELDS.intersection(values):
        value = values[field]
        if value is None or (has_email_index and (writer.postgresql or str(value).isascii())):
            continue
        if any(key != own_key for key in await RowStore(writer, collection).keys_by_email(field, value)):
            raise RecordNotUnique(collection.name, field.name, f"[{value.lower()}]")


async def check_foreign_keys(writer: WriteTransaction, payload: Payload, values: RowValues) -> None:
    """Raise InvalidForeignKey if a reference has no row."""
    collection = payload.collection
    for field, value in values.items():
        if value is None or field in payload.to_one or not (field.relation and field.stored.foreign_keys):
            continue
        if field.link.target == collection.name and value == values.get(collection.key):
            continue  # a reference to itself; whether that is allowed is a rule of the collection
        if not await RowStore(writer, target(field)).existing([value]):
            raise InvalidForeignKey(collection.name, field.name, value)
