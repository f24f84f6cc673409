"""The generic queries: lists, by key, aggregated, and of the current user; each builds a query for a repository."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import strawberry
from graphql import FieldNode
from strawberry.types.field import StrawberryField

from app.core.errors import Forbidden, InvalidQuery
from app.graphql.documents.selection import Selection
from app.graphql.types.builder import LIST_ARGUMENTS, TypeBuilder, aggregate_arguments, aggregated_type
from app.policy.rules import Access
from app.policy.visibility import visibility_for
from app.query.aggregate import Aggregation
from app.query.collection import ROLES, USERS, Collection
from app.query.filter import MATCH_ALL, Filter, compare, conjunction
from app.query.read import Read
from app.query.results import Row
from app.query.size import SizeCounter
from app.repositories.directory import Directory

MAIN_VERSION = "main"
QUERY_BUILDER = "query_builder"
"""The key of a root field's `FieldQueryBuilder` in its metadata."""


@dataclass(frozen=True, slots=True)
class FinishedValue:
    """A resolved value that graphql-core returns without completing its sub-fields."""

    value: Any


class StaleAccess(Forbidden):
    """The caller's access changed after the document was validated; it must be validated again."""


@dataclass(frozen=True, slots=True)
class ResultAdapter:
    """Makes the value of a root field from the rows that were read, or from the JSON of their list."""

    from_rows: Callable[[list[Row]], Any]
    from_json: Callable[[str], str]


def _required_row(rows: list[Row]) -> Row:
    if not rows:
        raise Forbidden
    return rows[0]


def _required_row_json(text: str) -> str:
    if text == EMPTY_LIST_JSON:
        raise Forbidden
    return text[1:-1]


EMPTY_LIST_JSON = "[]"
ALL_ROWS = ResultAdapter(lambda rows: rows, lambda text: text)
REQUIRED_ROW = ResultAdapter(_required_row, _required_row_json)
"""The only row; Forbidden both if there is none and if the caller must not see it."""
OPTIONAL_ROW = ResultAdapter(
    lambda rows: rows[0] if rows else None, lambda text: "null" if text == EMPTY_LIST_JSON else text[1:-1]
)
"""The only row, or null."""


@dataclass(frozen=True, slots=True)
class FieldQuery:
    """The query of a root field, and the adapter of its result; without a query, the field has this `value`."""

    query: Read | Aggregation | None
    adapter: ResultAdapter = ALL_ROWS
    value: Any = None


@dataclass(frozen=True, slots=True)
class FieldRequest:
    """A root field in a document: the caller's access, the selected sub-fields and the arguments."""

    access: Access
    selection: Selection
    nodes: Iterable[FieldNode]
    arguments: Mapping[str, Any]

    def read(self, collection: Collection, arguments: Mapping[str, Any], condition: Filter = MATCH_ALL) -> Read:
        """Return the Read of the selected sub-fields for the rows that also match `condition`."""
        read = self.selection.read(collection, self.nodes, arguments)
        return replace(read, filter=conjunction((condition, read.filter)))

    def by_key(self, collection: Collection, key: Any) -> FieldQuery:
        """Return the query of the row with this key.

        Raises:
            Forbidden: The key is malformed.
        """
        try:
            condition = compare(collection.key, None, "_eq", key)
        except InvalidQuery:
            raise Forbidden from None
        return FieldQuery(replace(self.read(collection, {}, condition), limit=1), REQUIRED_ROW)


FieldQueryBuilder = Callable[[FieldRequest], FieldQuery]


@dataclass(slots=True)
class GraphQLContext:
    """What the resolvers of one request share: the caller's directory and access, and the reads in progress."""

    directory: Directory
    access: Access
    size: SizeCounter
    """Counts what the queries of the request select."""
    coerced_variables: Mapping[str, Any] = field(default_factory=dict)
    """The coerced values of the variables, if graphql-core would coerce them differently."""
    pending_reads: dict[Read | Aggregation, "asyncio.Future[list[Row]]"] = field(default_factory=dict)

    async def read(self, query: Read | Aggregation) -> list[Row]:
        """Return the rows of a query; equal queries, for example of aliased fields, share one statement.

        Raises:
            StaleAccess: The caller no longer sees the schema that the document was validated with.
        """
        if query not in self.pending_reads:
            self.pending_reads[query] = asyncio.ensure_future(self.directory[query.collection.name].read(query))
        pending = self.pending_reads[query]
        try:
            rows = await asyncio.shield(pending)
        except asyncio.CancelledError:  # then the whole request is cancelled, also the other fields of this read
            pending.cancel()
            raise
        except Forbidden:
            if await self.directory.access() is self.access:
                raise
            raise StaleAccess from None
        self._require_same_visibility(await self.directory.access())
        return rows

    async def fresh_access(self) -> Access:
        """Return the caller's access as it is in the database now, for fields that read no row.

        Raises:
            StaleAccess: The caller no longer sees the schema that the document was validated with.
            InvalidCredentials: The caller is no longer an active user, or its session has ended.
        """
        fresh = await self.directory.revalidate(self.access)
        self._require_same_visibility(fresh)
        return fresh

    def _require_same_visibility(self, fresh: Access) -> None:
        if fresh is not self.access and visibility_for(fresh) != visibility_for(self.access):
            raise StaleAccess


def queries(types: TypeBuilder) -> Iterator[StrawberryField]:
    """Yield the root fields that read collections."""
    yield _root_field(types, "users_me", USERS.name, {}, _current_user)
    yield _root_field(types, "roles_me", f"[{ROLES.name}]", {}, _current_roles)
    for collection in types.registry.values():
        name, version = collection.short_name, {"version": "String"}
        if collection.singleton:
            yield _root_field(types, name, collection.name, version, _singleton(collection))
            continue
        arguments = {"filter": f"{collection.name}_filter", **LIST_ARGUMENTS}
        yield _root_field(types, name, f"[{collection.name}!]!", arguments, _list(collection))
        yield _root_field(types, f"{name}_by_id", collection.name, {"id": "ID!", **version}, _by_id(collection))
        type_ = f"[{aggregated_type(collection)}!]!"
        yield _root_field(types, f"{name}_aggregated", type_, aggregate_arguments(collection), _aggregated(collection))


def _root_field(
    types: TypeBuilder, name: str, spec: str, arguments: Mapping[str, str], build_query: FieldQueryBuilder
) -> StrawberryField:
    """Return a root field that reads a repository; plans use the same query builder as its resolver."""
    return types.field(name, spec, arguments, _resolver(build_query), extra_metadata={QUERY_BUILDER: build_query})


def _resolver(build_query: FieldQueryBuilder) -> Callable[..., Awaitable[FinishedValue | None]]:
    async def resolve(info: strawberry.Info[GraphQLContext, Any], **arguments: Any) -> FinishedValue | None:
        raw: Any = info._raw_info  # noqa: SLF001  # Strawberry's `selected_fields` ignores @skip and @include
        context = info.context
        limits = context.directory.services.limits
        selection = Selection(raw.schema, raw.fragments, raw.variable_values, limits, context.size)
        access = await context.directory.access()
        field_query = build_query(FieldRequest(access, selection, raw.field_nodes, arguments))
        if field_query.query is None and await context.fresh_access() is not access:
            raise StaleAccess
        rows = None if field_query.query is None else await context.read(field_query.query)
        value = field_query.value if rows is None else field_query.adapter.from_rows(rows)
        return None if value is None else FinishedValue(value)

    return resolve


def _list(collection: Collection) -> FieldQueryBuilder:
    return lambda request: FieldQuery(request.read(collection, request.arguments))


def _aggregated(collection: Collection) -> FieldQueryBuilder:
    return lambda request: FieldQuery(request.selection.aggregation(collection, request.nodes, request.arguments))


def _singleton(collection: Collection) -> FieldQueryBuilder:
    def build_query(request: FieldRequest) -> FieldQuery:
        _require_main_version(request.arguments)
        return FieldQuery(request.read(collection, {"limit": 1}), OPTIONAL_ROW)

    return build_query


def _by_id(collection: Collection) -> FieldQueryBuilder:
    def build_query(request: FieldRequest) -> FieldQuery:
        _require_main_version(request.arguments)
        return request.by_key(collection, request.arguments["id"])

    return build_query


def _current_user(request: FieldRequest) -> FieldQuery:
    user = request.access.user
    return FieldQuery(None) if user is None else request.by_key(request.access.registry.own(USERS), user)


def _current_roles(request: FieldRequest) -> FieldQuery:
    roles: Any = request.access.roles
    if not roles:
        return FieldQuery(None, value=None if request.access.user is None else [])
    condition = compare(ROLES.key, None, "_in", roles)
    return FieldQuery(request.read(request.access.registry.own(ROLES), {"limit": -1}, condition))


def _require_main_version(arguments: Mapping[str, Any]) -> None:
    """Raise Forbidden if a version of a row is requested that does not exist: there is only the main one."""
    if arguments.get("version") not in (None, MAIN_VERSION):
        raise Forbidden
