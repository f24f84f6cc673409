"""Write commands: what a transaction does to the rows of a collection."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from app.core.errors import InvalidPayload
from app.policy.rules import Access, AccessVersion
from app.query.collection import Collection
from app.query.payload import Payload
from app.query.read import Read
from app.repositories.engine.access_changes import changes_access
from app.repositories.engine.unit_of_work import UnitOfWork

RawValues = Mapping[str, Any]
KeyQuery = Callable[[Access], Read]
"""Builds the query for the keys of rows for the caller's access."""


@dataclass(frozen=True, slots=True)
class SelectedKeys:
    """The keys that a query selected before the transaction, and the version of the access with which it did."""

    keys: Sequence[Any]
    version: AccessVersion


Keys = Sequence[Any] | KeyQuery | SelectedKeys
"""The keys of rows, or what selects them. A transaction takes keys only, so that no query of a client runs in it."""


class StaleKeys(Exception):
    """The caller's access has changed since the keys were selected: select them again."""


class WriteCommand(Protocol):
    """A write to be done; `action` is the permission it needs first."""

    @property
    def action(self) -> str:
        """Return the action that must be permitted."""
        ...

    def payloads(self) -> Iterable[Payload]:
        """Return the payloads that are written, if any."""
        ...

    async def apply(self, work: UnitOfWork) -> list[Any]:
        """Perform the write and return the keys of its rows."""
        ...


@runtime_checkable
class UpdatesKnownRows(Protocol):
    """A write command of a flow that updates the rows with these keys; `payloads` are their values."""

    @property
    def updated_keys(self) -> Sequence[Any]:
        """Return the keys of the rows."""
        ...


def requires_exclusive_lock(command: WriteCommand) -> bool:
    """Return whether a command must not run beside other writes: it changes access, or deletes rows."""
    if command.action == "delete":
        return True
    return any(changes_access(command.action, payload) for payload in command.payloads())


@dataclass(frozen=True, slots=True)
class Create:
    """Creates rows."""

    rows: Sequence[Payload]
    action: str = field(default="create", init=False)

    def payloads(self) -> Iterable[Payload]:
        return self.rows

    async def apply(self, work: UnitOfWork) -> list[Any]:
        return [await work.create(payload) for payload in self.rows]


@dataclass(frozen=True, slots=True)
class Update:
    """Updates rows with the same values."""

    collection: Collection
    keys: Keys
    values: Payload
    action: str = field(default="update", init=False)

    def payloads(self) -> Iterable[Payload]:
        return (self.values,)

    async def apply(self, work: UnitOfWork) -> list[Any]:
        keys = await current_keys(work, self.collection, self.keys)
        if keys:
            await work.update(self.collection, keys, self.values)
        return keys


@dataclass(frozen=True, slots=True)
class UpdateEach:
    """Updates each row with values of its own; each payload contains its key."""

    rows: Sequence[Payload]
    action: str = field(default="update", init=False)

    def payloads(self) -> Iterable[Payload]:
        return self.rows

    async def apply(self, work: UnitOfWork) -> list[Any]:
        for payload in self.rows:
            await work.update(payload.collection, [payload.key], payload)
        return [payload.key for payload in self.rows]


@dataclass(frozen=True, slots=True)
class Upsert:
    """Updates the rows that exist, and creates the others."""

    rows: Sequence[Payload]
    action: str = field(default="update", init=False)

    def payloads(self) -> Iterable[Payload]:
        return self.rows

    async def apply(self, work: UnitOfWork) -> list[Any]:
        return [await self._upsert(work, payload) for payload in self.rows]

    @staticmethod
    async def _upsert(work: UnitOfWork, payload: Payload) -> Any:
        exists = payload.key is not None and await work.rows(payload.collection).existing([payload.key])
        if not exists:
            return await work.create(payload)
        await work.update(payload.collection, [payload.key], payload)
        return payload.key


@dataclass(frozen=True, slots=True)
class Delete:
    """Deletes rows."""

    collection: Collection
    keys: Keys
    action: str = field(default="delete", init=False)

    def payloads(self) -> Iterable[Payload]:
        return ()

    async def apply(self, work: UnitOfWork) -> list[Any]:
        keys = await current_keys(work, self.collection, self.keys)
        if keys:
            await work.delete(self.collection, keys)
        return keys


@dataclass(frozen=True, slots=True)
class UpdateSingleton:
    """Updates the only row of a singleton, or creates it."""

    values: Payload
    action: str = field(default="update", init=False)

    def payloads(self) -> Iterable[Payload]:
        return (self.values,)

    async def apply(self, work: UnitOfWork) -> list[Any]:
        collection = self.values.collection
        key = await work.rows(collection).only_key()
        if key is None:
            return [await work.create(self.values)]
        await work.update(collection, [key], self.values)
        return [key]


def check_keys(payloads: Sequence[Payload]) -> None:
    """Raise InvalidPayload if a payload of a batch has no key."""
    if any(payload.key is None for payload in payloads):
        raise InvalidPayload("Item in update misses primary key")


async def current_keys(work: UnitOfWork, collection: Collection, keys: Keys) -> list[Any]:
    """Return the keys; those that a query selected are locked, and left out if their rows are gone meanwhile.

    Raises:
        StaleKeys: They were selected with another access.
    """
    if not isinstance(keys, SelectedKeys):
        return list(keys)  # type: ignore[arg-type]  # queries were replaced by what they select
    if keys.version != work.access.version:
        raise StaleKeys
    return list(await work.rows(collection).fetch_for_update(keys.keys))


def check_count(count: int, max_count: int | None) -> None:
    """Raise InvalidPayload if a mutation would write more than `max_count` rows."""
    if max_count is not None and count > max_count:
        raise InvalidPayload(f"Exceeded max batch mutation limit of {max_count}")
