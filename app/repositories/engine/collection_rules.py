"""Collection rules: hooks for the business rules of a collection, called by every write."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from app.core.request_budget import RequestBudget
from app.query.collection import Collection, Field
from app.query.payload import Payload
from app.repositories.engine.context import RowValues, WriteContext
from app.repositories.services import Services


@dataclass(frozen=True, slots=True)
class OwnPayloads:
    """The payloads, of those that are prepared, that update the row of a user who writes it without an API token."""

    user: str | None
    payloads: Sequence[Payload]

    def author_of(self, payload: Payload) -> str | None:
        """Return the user whose own row a payload updates; None if it is that of another user, or a new one."""
        return self.user if any(payload is one for one in self.payloads) else None


class CollectionRules:
    """Business rules of a collection: none by default; subclasses override the hooks they need.

    Hooks may change the values that are going to be written, and raise a RollcallError to reject the write.
    """

    slow_field: ClassVar[Field | None] = None
    """The field with values that `prepare` works on, if the collection has one."""

    async def prepare(
        self, payloads: Sequence[Payload], own: OwnPayloads, services: Services, budget: RequestBudget
    ) -> None:
        """Do slow work on payloads that contain the slow field, in place, before the transaction begins."""

    async def expand_legacy(self, work: WriteContext, payload: Payload, row: RowValues | None) -> Payload:
        """Return the payload with its Directus 10 fields replaced; `row` is the stored row, None for a new one."""
        return payload

    async def before_create(self, work: WriteContext, values: RowValues) -> None:
        """Check and complete the values of a new row."""

    async def before_update(self, work: WriteContext, row: RowValues, values: RowValues) -> None:
        """Check and complete new values of a stored row; values may repeat what is stored."""

    async def after_create(self, work: WriteContext, key: Any, values: RowValues) -> None:
        """React to a new row."""

    async def before_delete(self, work: WriteContext, rows: dict[Any, RowValues]) -> None:
        """Check, or prepare for, the deletion of rows, given by key."""


NO_RULES = CollectionRules()


@dataclass(frozen=True, slots=True)
class DirectoryRules:
    """The business rules of a unit of work: those of each collection, and what is checked or recorded in the end."""

    collections: Mapping[str, CollectionRules]
    """The rules by the name of the collection."""
    checks: Sequence[Callable[[WriteContext], Awaitable[None]]]

    def of(self, collection: Collection) -> CollectionRules:
        """Return the rules of a collection."""
        return self.collections.get(collection.name, NO_RULES)
