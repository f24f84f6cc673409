"""ReadRepository: reads one collection through the policies of one caller."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, literal

from app.core.caller import Caller
from app.core.errors import Forbidden, ServiceUnavailable
from app.db.statement import EMPTY_BINDINGS, CompiledStatement
from app.policy.access_cache import StalePlan
from app.policy.access_queries import with_access_state
from app.policy.resolver import PolicyResolver
from app.policy.rules import Access, AccessState, AccessVersion
from app.policy.write_resolver import WriteResolver
from app.query.aggregate import Aggregation
from app.query.collection import Collection
from app.query.limits import check_complexity
from app.query.payload import parse_key
from app.query.read import Read
from app.query.results import Row, row_decoder
from app.query.scoped import ScopedAggregation, ScopedRead
from app.query.sql_select import build_select
from app.query.sql_writes import rule_match
from app.repositories.services import Services

T = TypeVar("T")
QueryBuilder = Callable[[Access], Read | Aggregation]
"""Builds the query for an access."""
ScopedQueryBuilder = Callable[[Access], ScopedRead | ScopedAggregation]
"""Builds the query for an access, already restricted to what the access allows."""
PreparedRead = tuple[CompiledStatement, Callable[[str], list[Row]]]
"""The statement of a read, and the decoder of its rows."""

ACCESS_CHANGED_TOO_OFTEN = "Permissions changed while the query ran; try again"
MAX_READ_ATTEMPTS = 5
"""How often a read is planned while the caller's access keeps changing."""


class CurrentReader:
    """Reads values for one caller, with the access that the caller has at that moment."""

    def __init__(self, caller: Caller, services: Services) -> None:
        self._caller, self._services = caller, services

    async def _with_current_access(self, attempt: Callable[[Access], Awaitable[T]]) -> T:
        cache = self._services.access_cache
        access = await cache.access(self._caller)
        try:
            return await cache.run_while_current(self._caller, access, attempt, MAX_READ_ATTEMPTS)
        except StalePlan:
            raise ServiceUnavailable(ACCESS_CHANGED_TOO_OFTEN) from None

    async def _fetch(self, column: ColumnElement[Any], access: Access) -> Any:
        """Return the value of one column; raise StalePlan if `access` is no longer the caller's."""
        return (await self._fetch_all((column,), access))[0]

    async def _fetch_all(self, columns: Iterable[ColumnElement[Any]], access: Access) -> Sequence[Any]:
        """Return the values of columns; raise StalePlan if `access` is no longer the caller's."""
        statement = with_access_state(self._caller, self._services.clock(), *columns)
        return self._checked(await self._services.reader.fetch(statement, owner=access.owner), access)

    def _checked(self, row: Sequence[Any], access: Access) -> Sequence[Any]:
        """Return the values behind the access state in a row; raise StalePlan if that is not the state of `access`."""
        if not (self._caller.system or access.is_current(row, self._services.clock)):
            raise StalePlan
        values: Sequence[Any] = row[len(AccessState._fields) :]
        return values


class ReadRepository(CurrentReader):
    """The rows of a collection that one caller can see."""

    def __init__(self, collection: Collection, caller: Caller, services: Services) -> None:
        super().__init__(caller, services)
        self.collection = collection

    async def read(self, query: Read | Aggregation) -> list[Row]:
        """Return the rows of a query under their response keys.

        Raises:
            Forbidden: The caller may not read a collection or field, or it does not exist.
            InvalidQuery: The query is invalid or exceeds a limit.
            InvalidCredentials: The credentials belong to no active user, or the session has ended.
            ServiceUnavailable: The database cannot be reached, or the caller's access keeps changing.
            SchemaChanged: The fields of the directory have changed, so that the request must be parsed again.
        """
        return await self.read_as(lambda _: query)

    async def read_as(self, build: QueryBuilder) -> list[Row]:
        """Return the rows of a query that depends on the caller's access; raises as `read` does."""
        return (await self.read_with_version(build))[0]

    async def read_with_version(self, build: QueryBuilder) -> tuple[list[Row], AccessVersion]:
        """Return the same, and the version of the access with which the rows were read."""

        def scope(access: Access) -> ScopedRead | ScopedAggregation:
            query = build(access)
            return self.resolver(query, access).scope(query)

        return await self._read_scoped(scope)

    async def read_scoped(self, build: ScopedQueryBuilder) -> list[Row]:
        """Return the rows of a query that the caller of this method scopes itself; raises as `read` does."""
        return (await self._read_scoped(build))[0]

    async def _read_scoped(self, build: ScopedQueryBuilder) -> tuple[list[Row], AccessVersion]:
        with self._services.tracer.span(f"read {self.collection.name}"):
            return await self._read_current(build)

    async def _read_current(self, build: ScopedQueryBuilder) -> tuple[list[Row], AccessVersion]:
        async def attempt(access: Access) -> tuple[list[Row], AccessVersion]:
            if not self._caller.system:
                self._services.access_cache.require_current_schema()
            statement, decode_rows = await self._prepare_read(build, access)
            row = await self._services.reader.fetch_one(statement, EMPTY_BINDINGS, access.owner)
            return decode_rows(self._checked(row, access)[0]), access.version

        return await self._with_current_access(attempt)

    def resolver(self, query: Read | Aggregation, access: Access) -> PolicyResolver:
        """Return the policy resolver for an access; raise InvalidQuery if the query exceeds a limit."""
        check_complexity(query, self._services.limits.max_depth)
        return PolicyResolver(access, self._services.clock())

    async def may(self, action: str, key: Any = None) -> bool:
        """Return whether the caller may perform an action on the row with a key or, without one, on any row at all.

        False for a row that does not exist. Raises as `read` does, except Forbidden.
        """

        async def attempt(access: Access) -> bool:
            if access.granted(action, self.collection):
                return bool(await self._fetch(self._rule_match(access, action, key), access))
            if await self._services.access_cache.revalidate(self._caller, access) is access:
                return False
            raise StalePlan

        return await self._with_current_access(attempt)

    async def _prepare_read(self, build: ScopedQueryBuilder, access: Access) -> PreparedRead:
        """Plan a query in a thread; before it is denied, reload the access: a new permission counts at once."""

        def prepare(access: Access) -> PreparedRead:
            scoped, services = build(access), self._services
            statement = with_access_state(self._caller, services.clock(), build_select(scoped))
            return services.reader.compile(statement), row_decoder(scoped)

        planning = self._services.planning
        try:
            return await planning.run(access.owner, partial(prepare, access))
        except Forbidden:
            current = await self._services.access_cache.revalidate(self._caller, access)
            if current is access:
                raise
            return await planning.run(access.owner, partial(prepare, current))

    def _rule_match(self, access: Access, action: str, key: Any) -> ColumnElement[Any]:
        if key is None:
            return literal(1)
        try:
            key = parse_key(self.collection, key)
        except Forbidden:
            return literal(0)
        return rule_match(WriteResolver(access, self._services.clock()).permitted(action, self.collection), key)
