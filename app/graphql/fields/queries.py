"""The generic queries: list, by id, aggregates, and the caller's own; each says what it asks of a repository."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import strawberry
from graphql import FieldNode
from strawberry.types.field import StrawberryField

from app.core.errors import Forbidden, InvalidQuery
from app.graphql.documents.selection import Selection
from app.graphql.types import builder
from app.policy.rules import Access
from app.policy.visibility import visibility_for
from app.query.aggregate import Aggregation
from app.query.collection import COLLECTIONS, ROLES, USERS, Collection
from app.query.filter import MATCH_ALL, Filter, compare, conjunction
from app.query.read import Read
from app.query.results import Row
from app.repositories.directory import Directory

MAIN_VERSION = "main"


@dataclass(frozen=True, slots=True)
class FinishedValue:
    """A finished answer, which graphql-core passes on without looking inside."""

    value: Any


class StaleAccess(Forbidden):
    """The caller's rights changed after its query was let in: it has to be judged anew."""


@dataclass(frozen=True, slots=True)
class ResultAdapter:
    """How a root field is answered with the rows found, whether they come as objects or as the JSON of a list."""

    of_rows: Callable[[list[Row]], Any]
    of_text: Callable[[str], str]


def _the_row(rows: list[Row]) -> Row:
    if not rows:
        raise Forbidden
    return rows[0]


def _its_text(text: str) -> str:
    if text == NO_ROWS:
        raise Forbidden
    return text[1:-1]


NO_ROWS = "[]"
ALL_ROWS = ResultAdapter(lambda rows: rows, lambda text: text)
THE_ROW = ResultAdapter(_the_row, _its_text)
"""The one row; a missing one and one out of reach answer alike, by Forbidden."""
THE_ROW_IF_ANY = ResultAdapter(
    lambda rows: rows[0] if rows else None, lambda text: "null" if text == NO_ROWS else text[1:-1]
)


@dataclass(frozen=True, slots=True)
class FieldQuery:
    """What a root field asks for, and how it is answered with the rows found; nothing asked is `known` already."""

    asked: Read | Aggregation | None
    answer: ResultAdapter = ALL_ROWS
    known: Any = None


@dataclass(frozen=True, slots=True)
class FieldRequest:
    """One root field as a document asks it: by whom, with which arguments, and for what."""

    access: Access
    selection: Selection
    nodes: Iterable[FieldNode]
    arguments: Mapping[str, Any]

    def read(self, collection: Collection, arguments: Mapping[str, Any], only: Filter = MATCH_ALL) -> Read:
        """The Read of this field's selection, of the rows that `only` leaves."""
        read = self.selection.read(collection, self.nodes, arguments)
        return replace(read, filter=conjunction((only, read.filter)))

    def one(self, collection: Collection, key: Any) -> FieldQuery:
        """The row with that key."""
        try:
            wanted = compare(collection.key, None, "_eq", key)
        except InvalidQuery:
            raise Forbidden from None
        return FieldQuery(replace(self.read(collection, {}, wanted), limit=1), THE_ROW)


Ask = Callable[[FieldRequest], FieldQuery]


@dataclass(slots=True)
class GraphQLContext:
    """What the resolvers of one request share: the caller's directory, and what was asked of it already."""

    directory: Directory
    access: Access
    written: Mapping[str, Any] = field(default_factory=dict)
    """Variables' coerced values, where the schema itself would coerce them otherwise."""
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
            raise StaleAccess from None
        self._check(await self.directory.access())
        return rows

    async def access_now(self) -> Access:
        """The caller's access as the database has it now, for answers that are read from no row.

        Raises RightsChanged as `read` does, InvalidCredentials where nobody active stands behind the caller any more.
        """
        now = await self.directory.revalidate(self.access)
        self._check(now)
        return now

    def _check(self, now: Access) -> None:
        if now is not self.access and visibility_for(now) != visibility_for(self.access):
            raise StaleAccess


def queries() -> Iterator[StrawberryField]:
    """The root fields of every collection."""
    yield _root("users_me", USERS.name, {}, _me)
    yield _root("roles_me", f"[{ROLES.name}]", {}, _my_roles)
    for collection in COLLECTIONS.values():
        name, version = collection.short_name, {"version": "String"}
        if collection.singleton:
            yield _root(name, collection.name, version, _single(collection))
            continue
        listing = {"filter": f"{collection.name}_filter", **builder.LISTING}
        yield _root(name, f"[{collection.name}!]!", listing, _list(collection))
        yield _root(f"{name}_by_id", collection.name, {"id": "ID!", **version}, _by_id(collection))
        aggregated = f"[{builder.aggregated_type(collection)}!]!"
        yield _root(f"{name}_aggregated", aggregated, builder.aggregate_arguments(collection), _aggregated(collection))


def _root(name: str, spec: str, arguments: Mapping[str, str], ask: Ask) -> StrawberryField:
    """A root field that asks a repository; its `ask` serves plans as well as this resolver."""
    return builder.field(name, spec, arguments, _resolver(ask), told={"ask": ask})


def _resolver(ask: Ask) -> Callable[..., Awaitable[FinishedValue | None]]:
    async def resolve(info: strawberry.Info[GraphQLContext, Any], **arguments: Any) -> FinishedValue | None:
        raw: Any = info._raw_info  # noqa: SLF001  # Strawberry's own view of a selection keeps what @skip takes away
        request = info.context
        selection = Selection(raw.schema, raw.fragments, raw.variable_values, request.directory.services.limits)
        access = await request.directory.access()
        question = ask(FieldRequest(access, selection, raw.field_nodes, arguments))
        if question.asked is None and await request.access_now() is not access:
            raise StaleAccess
        rows = None if question.asked is None else await request.read(question.asked)
        answer = question.known if rows is None else question.answer.of_rows(rows)
        return None if answer is None else FinishedValue(answer)

    return resolve


def _list(collection: Collection) -> Ask:
    return lambda asking: FieldQuery(asking.read(collection, asking.arguments))


def _aggregated(collection: Collection) -> Ask:
    return lambda asking: FieldQuery(asking.selection.aggregation(collection, asking.nodes, asking.arguments))


def _single(collection: Collection) -> Ask:
    def ask(asking: FieldRequest) -> FieldQuery:
        _check_version(asking.arguments)
        return FieldQuery(asking.read(collection, {"limit": 1}), THE_ROW_IF_ANY)

    return ask


def _by_id(collection: Collection) -> Ask:
    def ask(asking: FieldRequest) -> FieldQuery:
        _check_version(asking.arguments)
        return asking.one(collection, asking.arguments["id"])

    return ask


def _me(asking: FieldRequest) -> FieldQuery:
    user = asking.access.user
    return FieldQuery(None) if user is None else asking.one(USERS, user)


def _my_roles(asking: FieldRequest) -> FieldQuery:
    roles: Any = asking.access.roles
    if not roles:
        return FieldQuery(None, known=[])
    mine = compare(ROLES.key, None, "_in", roles)
    return FieldQuery(asking.read(ROLES, {"limit": -1}, mine))


def _check_version(arguments: Mapping[str, Any]) -> None:
    """Raises Forbidden for another version of a row than the one there is."""
    if arguments.get("version") not in (None, MAIN_VERSION):
        raise Forbidden
