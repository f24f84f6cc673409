"""What must always hold for a collection, whoever writes to it and however."""

from typing import TYPE_CHECKING, Any

from app.query.collection import Field
from app.query.payload import Payload

if TYPE_CHECKING:
    from app.repositories.engine.reading import Services
    from app.repositories.engine.unit_of_work import UnitOfWork

RowValues = dict[Field, Any]


class CollectionRules:
    """Nothing beside what the tables themselves hold to; a collection with more overrides what it needs.

    Each is told before the row is written, may change the values that are, and raises where they can't stand.
    """

    async def prepare(self, payload: Payload, services: "Services") -> None:
        """What takes long, before anybody has to wait for it; the payload is changed in place."""

    async def expand_legacy(self, work: "UnitOfWork", payload: Payload, row: RowValues | None) -> Payload:
        """The payload with what Directus 10 spelled otherwise spelled as it is now; `row` is what it is written to."""
        return payload

    async def before_create(self, work: "UnitOfWork", values: RowValues) -> None:
        """A row is to be made of these values."""

    async def before_update(self, work: "UnitOfWork", row: RowValues, values: RowValues) -> None:
        """A row is to be given these values; those among them that it holds already are none of a change."""

    async def after_create(self, work: "UnitOfWork", key: Any, values: RowValues) -> None:
        """A row was made."""

    async def before_delete(self, work: "UnitOfWork", rows: dict[Any, RowValues]) -> None:
        """These rows are to go, by key."""
