"""The command that writes rows of several collections in one transaction, in a given order."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from app.query.payload import Payload, parse_payload
from app.repositories.engine.unit_of_work import UnitOfWork

RowWriteKind = Literal["create", "update", "delete"]


@dataclass(frozen=True, slots=True)
class RowWrite:
    """A row of a collection, by its short or full name, to be created, updated or deleted."""

    kind: RowWriteKind
    collection: str
    key: Any = None
    values: Mapping[str, Any] = field(default_factory=dict)


async def write_row(work: UnitOfWork, change: RowWrite) -> None:
    """Write one change with the permissions of the caller.

    Raises:
        RollcallError: The values are invalid, or the caller may not write them.
    """
    registry = work.services.registry
    collection = registry.get(change.collection) or registry[f"directus_{change.collection}"]
    if change.kind == "delete":
        await work.delete(collection, [change.key])
        return
    payload: Payload = parse_payload(collection, change.values, work.services.limits.max_depth)
    if change.kind == "create":
        await work.create(payload)
    else:
        await work.update(collection, [change.key], payload)


@dataclass(frozen=True, slots=True)
class WriteRows:
    """Writes what `write` writes. No other write that may change access runs meanwhile, as for a deletion."""

    write: Callable[[UnitOfWork], Awaitable[None]]
    action: str = field(default="delete", init=False)

    def payloads(self) -> Iterable[Payload]:
        return ()

    async def apply(self, work: UnitOfWork) -> list[Any]:
        await self.write(work)
        return []
