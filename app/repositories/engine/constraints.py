"""What a row's own values have to hold to, before they are written."""

from collections.abc import Sequence
from typing import Any

from app.core.errors import FailedValidation, InvalidForeignKey, MultipleErrors, RecordNotUnique
from app.db.transaction import WriteTransaction
from app.query.collection import USERS, Collection, target
from app.query.payload import Payload, required_fields
from app.repositories.engine.context import RowValues
from app.repositories.engine.table import RowStore

FOLDED = frozenset({USERS.fields["email"]})
"""Fields in which two values that differ in case alone are the same."""


def check_required(collection: Collection, values: RowValues, path: Sequence[str]) -> None:
    """Raises FailedValidation, or Several, for what a new row can't be without."""
    missing = [
        FailedValidation(member.name, "required", path)
        for member in required_fields(collection)
        if member not in values
    ]
    if missing:
        raise missing[0] if len(missing) == 1 else MultipleErrors(missing)


async def check_unique(
    writer: WriteTransaction, collection: Collection, values: RowValues, own: Any = None, *, apart: bool
) -> None:
    """Raises RecordNotUnique for a value that another row has but for its case.

    Where the database keeps such values `apart` it is left to that, as far as it folds what is written.
    """
    for member in FOLDED.intersection(values):
        value = values[member]
        if value is None or (apart and (writer.postgresql or str(value).isascii())):
            continue
        if any(key != own for key in await RowStore(writer, collection).by_email(member, value)):
            raise RecordNotUnique(collection.name, member.name, f"[{value.lower()}]")


async def check_foreign_keys(writer: WriteTransaction, payload: Payload, values: RowValues) -> None:
    """Raises InvalidForeignKey for a key that leads to no row."""
    collection = payload.collection
    for member, value in values.items():
        if value is None or member in payload.to_one or not (member.relation and member.stored.foreign_keys):
            continue
        if member.link.target == collection.name and value == values.get(collection.key):
            continue  # itself: whether it may is another question
        if not await RowStore(writer, target(member)).existing([value]):
            raise InvalidForeignKey(collection.name, member.name, value)
