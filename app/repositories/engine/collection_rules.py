"""What must always hold for a collection, whoever writes to it and however."""

from typing import TYPE_CHECKING, Any

from app.query.collection import Field
from app.query.payload import Payload

if TYPE_CHECKING:
    from app.repositories.engine.reading import Services
    from app.repositories.engine.unit_of_work import Work

Stored = dict[Field, Any]


class Invariants:
    """Nothing beside what the tables themselves hold to; a collection with more overrides what it needs.

    Each is told before the row is written, may change the values that are, and raises where they can't stand.
    """

    async def prepare(self, payload: Payload, services: "Services") -> None:
        """What takes long, before anybody has to wait for it; the payload is changed in place."""

    async def spelled(self, work: "Work", payload: Payload, row: Stored | None) -> Payload:
        """The payload with what Directus 10 spelled otherwise spelled as it is now; `row` is what it is written to."""
        return payload

    async def creating(self, work: "Work", values: Stored) -> None:
        """A row is to be made of these values."""

    async def updating(self, work: "Work", row: Stored, values: Stored) -> None:
        """A row is to be given these values; those among them that it holds already are none of a change."""

    async def created(self, work: "Work", key: Any, values: Stored) -> None:
        """A row was made."""

    async def deleting(self, work: "Work", rows: dict[Any, Stored]) -> None:
        """These rows are to go, by key."""
