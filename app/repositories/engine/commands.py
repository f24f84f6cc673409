"""What can be done to a collection in one go: rows made, changed, made or changed, and taken away."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from app.core.errors import InvalidPayload
from app.policy.rules import Access
from app.query.collection import USERS, Collection
from app.query.payload import Payload
from app.query.read import Read
from app.repositories.engine.unit_of_work import UnitOfWork

Raw = Mapping[str, Any]
Keys = Sequence[Any] | Callable[[Access], Read]
"""Rows by their keys, or those that are found with such rights by a Read of their key alone."""


class WriteCommand(Protocol):
    """One thing to be done; `action` is the right that it takes first of all."""

    @property
    def action(self) -> str:
        """The action that has to be granted."""
        ...

    def payloads(self) -> Iterable[Payload]:
        """What is written, where something is."""
        ...

    async def apply(self, work: UnitOfWork) -> list[Any]:
        """Does it; the keys of the rows it was done to."""
        ...


CONCURRENT_COLLECTIONS = {"directus_users", "directus_files", "directus_folders"}
"""Collections whose rows can be written while others write, if it is nobody's rights that change."""
RIGHTS = {USERS.fields["role"], USERS.fields["status"]}


def requires_exclusive_lock(change: WriteCommand) -> bool:
    """Whether nobody else may write meanwhile: where rights are changed, or rows go."""
    if change.action == "delete":
        return True
    return any(_changes_rights(change, inner) for payload in change.payloads() for inner in payload.walk())


def _changes_rights(change: WriteCommand, payload: Payload) -> bool:
    if payload.collection.name not in CONCURRENT_COLLECTIONS or payload.legacy:
        return True
    return bool(payload.to_many) or (change.action != "create" and bool(RIGHTS & payload.fields))


@dataclass(frozen=True, slots=True)
class Create:
    """New rows."""

    written: Sequence[Payload]
    action: str = field(default="create", init=False)

    def payloads(self) -> Iterable[Payload]:
        return self.written

    async def apply(self, work: UnitOfWork) -> list[Any]:
        return [await work.create(payload) for payload in self.written]


@dataclass(frozen=True, slots=True)
class Update:
    """The same change to some rows."""

    collection: Collection
    keys: Keys
    written: Payload
    action: str = field(default="update", init=False)

    def payloads(self) -> Iterable[Payload]:
        return (self.written,)

    async def apply(self, work: UnitOfWork) -> list[Any]:
        keys = await _keys(work, self.keys)
        if keys:
            await work.update(self.collection, keys, self.written)
        return keys


@dataclass(frozen=True, slots=True)
class UpdateEach:
    """To each row a change of its own; each names its row."""

    written: Sequence[Payload]
    action: str = field(default="update", init=False)

    def payloads(self) -> Iterable[Payload]:
        return self.written

    async def apply(self, work: UnitOfWork) -> list[Any]:
        for payload in self.written:
            await work.update(payload.collection, [payload.key], payload)
        return [payload.key for payload in self.written]


@dataclass(frozen=True, slots=True)
class Upsert:
    """Rows that are changed where they are there, and made where not."""

    written: Sequence[Payload]
    action: str = field(default="update", init=False)

    def payloads(self) -> Iterable[Payload]:
        return self.written

    async def apply(self, work: UnitOfWork) -> list[Any]:
        return [await self._one(work, payload) for payload in self.written]

    @staticmethod
    async def _one(work: UnitOfWork, payload: Payload) -> Any:
        there = payload.key is not None and await work.rows(payload.collection).existing([payload.key])
        if not there:
            return await work.create(payload)
        await work.update(payload.collection, [payload.key], payload)
        return payload.key


@dataclass(frozen=True, slots=True)
class Delete:
    """Rows that go."""

    collection: Collection
    keys: Keys
    action: str = field(default="delete", init=False)

    def payloads(self) -> Iterable[Payload]:
        return ()

    async def apply(self, work: UnitOfWork) -> list[Any]:
        keys = await _keys(work, self.keys)
        if keys:
            await work.remove(self.collection, keys)
        return keys


@dataclass(frozen=True, slots=True)
class UpdateSingleton:
    """A change to the one row of a collection that has no more; it is made where it isn't there yet."""

    written: Payload
    action: str = field(default="update", init=False)

    def payloads(self) -> Iterable[Payload]:
        return (self.written,)

    async def apply(self, work: UnitOfWork) -> list[Any]:
        collection = self.written.collection
        key = await work.rows(collection).only()
        if key is None:
            return [await work.create(self.written)]
        await work.update(collection, [key], self.written)
        return [key]


def check_keys(written: Sequence[Payload]) -> None:
    """Raises InvalidPayload where a row of a batch isn't named."""
    if any(payload.key is None for payload in written):
        raise InvalidPayload("Item in update misses primary key")


async def _keys(work: UnitOfWork, keys: Keys) -> list[Any]:
    if not callable(keys):
        return list(keys)
    found = list(_first(await work.read(keys(work.access))))
    check_count(len(found), work.services.limits.max_batch_size)
    return found


def check_count(count: int, most: int | None) -> None:
    """Raises InvalidPayload where more rows are to be written than one mutation may."""
    if most is not None and count > most:
        raise InvalidPayload(f"Exceeded max batch mutation limit of {most}")


def _first(rows: Iterable[Mapping[str, Any]]) -> Iterator[Any]:
    return (next(iter(row.values())) for row in rows)
