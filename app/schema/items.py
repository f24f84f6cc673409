"""The generic queries: list, by id, and the caller's own; each a resolver that asks a repository."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import strawberry
from strawberry.types.field import StrawberryField

from app.core.errors import Forbidden, InvalidQuery
from app.policy.rules import Access
from app.query.aggregate import Aggregation
from app.query.collection import COLLECTIONS, ROLES, USERS, Collection
from app.query.filter import EVERYTHING, Filter, compare, conjunction
from app.query.read import Read
from app.query.shape import Row
from app.repositories.directory import Directory
from app.schema import build
from app.schema.overlay import shown_to
from app.schema.selection import Selection

Resolver = Callable[..., Awaitable["Shaped | None"]]

MAIN_VERSION = "main"


@dataclass(frozen=True, slots=True)
class Shaped:
    """A finished answer, which graphql-core passes on without looking inside."""

    value: Any


class RightsChanged(Forbidden):
    """The caller's rights changed after its query was let in: it has to be judged anew."""


@dataclass(slots=True)
class Request:
    """What the resolvers of one request share: the caller's directory, and what was asked of it already."""

    directory: Directory
    access: Access
    asked: dict[Read | Aggregation, "asyncio.Future[list[Row]]"] = field(default_factory=dict)

    async def read(self, asked: Read | Aggregation) -> list[Row]:
        """The rows that a question is answered with; the same question, however often it is aliased, is one statement.

        Raises RightsChanged where the caller was let in by a schema that it no longer sees.
        """
        if asked not in self.asked:
            self.asked[asked] = asyncio.ensure_future(self.directory[asked.collection.name].read(asked))
        try:
            rows = await asyncio.shield(self.asked[asked])
        except Forbidden:
            if await self.directory.access() is self.access:
                raise
            raise RightsChanged from None
        now = await self.directory.access()
        if now is not self.access and shown_to(now) != shown_to(self.access):
            raise RightsChanged
        return rows


def queries() -> Iterator[StrawberryField]:
    """The root fields of every collection."""
    yield build.field("users_me", USERS.name, resolver=_me)
    yield build.field("roles_me", f"[{ROLES.name}]", resolver=_my_roles)
    for collection in COLLECTIONS.values():
        if collection.singleton:
            yield build.field(collection.short, collection.name, {"version": "String"}, _single(collection))
            continue
        listing = {"filter": f"{collection.name}_filter", **build.LISTING}
        yield build.field(collection.short, f"[{collection.name}!]!", listing, _lister(collection))
        by_id = {"id": "ID!", "version": "String"}
        yield build.field(f"{collection.short}_by_id", collection.name, by_id, _finder(collection))
        aggregated = f"[{build.aggregated_type(collection)}!]!"
        yield build.field(
            f"{collection.short}_aggregated", aggregated, build.grouping(collection), _counter(collection)
        )


def _lister(collection: Collection) -> Resolver:
    async def read(info: strawberry.Info, **asked: str) -> Shaped:
        return Shaped(await info.context.read(_read(info, collection, asked)))

    return read


def _counter(collection: Collection) -> Resolver:
    async def read(info: strawberry.Info, **asked: str) -> Shaped:
        raw: Any = info._raw_info  # noqa: SLF001  # as in _read
        return Shaped(await info.context.read(_selection(info).aggregation(collection, raw.field_nodes, asked)))

    return read


def _single(collection: Collection) -> Resolver:
    async def read(info: strawberry.Info, **asked: str) -> Shaped | None:
        _check_version(asked)
        rows = await info.context.read(_read(info, collection, {"limit": 1}))
        return Shaped(rows[0]) if rows else None

    return read


def _finder(collection: Collection) -> Resolver:
    async def read(info: strawberry.Info, **asked: str) -> Shaped:
        _check_version(asked)
        return Shaped(await _one(info, collection, asked["id"]))

    return read


def _check_version(asked: Mapping[str, Any]) -> None:
    """Raises Forbidden for another version of a row than the one there is."""
    if asked.get("version") not in (None, MAIN_VERSION):
        raise Forbidden


async def _me(info: strawberry.Info) -> Shaped | None:
    user = (await info.context.directory.access()).user
    return None if user is None else Shaped(await _one(info, USERS, user))


async def _my_roles(info: strawberry.Info) -> Shaped:
    roles = (await info.context.directory.access()).roles
    if not roles:
        return Shaped([])
    mine = compare(ROLES.key, None, "_in", list(roles))
    return Shaped(await info.context.read(_read(info, ROLES, {"limit": -1}, mine)))


async def _one(info: strawberry.Info, collection: Collection, key: str) -> Row:
    """The row with that key; a missing one and one out of reach answer alike."""
    try:
        wanted = compare(collection.key, None, "_eq", key)
    except InvalidQuery:
        raise Forbidden from None
    rows: list[Row] = await info.context.read(replace(_read(info, collection, {}, wanted), limit=1))
    if not rows:
        raise Forbidden
    return rows[0]


def _read(info: strawberry.Info, collection: Collection, asked: Mapping[str, Any], only: Filter = EVERYTHING) -> Read:
    raw: Any = info._raw_info  # noqa: SLF001  # Strawberry's own view of a selection keeps what @skip takes away
    read = _selection(info).read(collection, raw.field_nodes, asked)
    return replace(read, filter=conjunction((only, read.filter)))


def _selection(info: strawberry.Info) -> Selection:
    raw: Any = info._raw_info  # noqa: SLF001  # as above
    return Selection(raw.schema, raw.fragments, raw.variable_values, info.context.directory.services.limits)
