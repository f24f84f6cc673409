"""What must always hold for a collection, whoever writes to it and however."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.query.collection import Collection
from app.query.payload import Payload
from app.repositories.engine.context import RowValues, WriteContext
from app.repositories.services import Services


class CollectionRules:
    """Nothing beside what the tables themselves hold to; a collection with more overrides what it needs.

    Each is told before the row is written, may change the values that are, and raises where they can't stand.
    """

    async def prepare(self, payload: Payload, services: Services) -> None:
        """What takes long, before anybody has to wait for it; the payload is changed in place."""

    async def expand_legacy(self, work: WriteContext, payload: Payload, row: RowValues | None) -> Payload:
        """The payload with what Directus 10 spelled otherwise spelled as it is now; `row` is what it is written to."""
        return payload

    async def before_create(self, work: WriteContext, values: RowValues) -> None:
        """A row is to be made of these values."""

    async def before_update(self, work: WriteContext, row: RowValues, values: RowValues) -> None:
        """A row is to be given these values; those among them that it holds already are none of a change."""

    async def after_create(self, work: WriteContext, key: Any, values: RowValues) -> None:
        """A row was made."""

    async def before_delete(self, work: WriteContext, rows: dict[Any, RowValues]) -> None:
        """These rows are to go, by key."""


NO_RULES = CollectionRules()


@dataclass(frozen=True, slots=True)
class DirectoryRules:
    """The business rules of a unit of work: those of each collection, and the checks after the last write."""

    collections: Mapping[Collection, CollectionRules]
    checks: Sequence[Callable[[WriteContext], Awaitable[None]]]

    def of(self, collection: Collection) -> CollectionRules:
        """Return the rules of a collection."""
        return self.collections.get(collection, NO_RULES)
