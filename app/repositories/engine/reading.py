"""A repository: one collection, seen through one caller's policies."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, literal

from app.core.caller import Caller
from app.core.errors import Forbidden, ServiceUnavailable
from app.policy.access_queries import read_access_state, with_access_state
from app.policy.resolver import PolicyResolver
from app.policy.rules import Access
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

Ask = Callable[[Access], Read | Aggregation]
"""What somebody asks, with such rights."""
Scoping = Callable[[Access], ScopedRead | ScopedAggregation]
"""What such rights let through of it."""

ACCESS_CHANGED_TOO_OFTEN = "Rights are changing too fast to answer, try again"
MAX_READ_ATTEMPTS = 5
"""How often a read is planned anew because somebody's rights changed under it."""


class ReadRepository:
    """The rows of a collection, as far as one caller may see them."""

    def __init__(self, collection: Collection, caller: Caller, services: Services) -> None:
        self.collection = collection
        self._caller, self._services = caller, services

    async def read(self, asked: Read | Aggregation) -> list[Row]:
        """The rows asked for, already under their response keys.

        Raises Forbidden for what the caller may not read or what isn't there, InvalidQuery for what can't be asked,
        InvalidCredentials where nobody active stands behind the caller, ServiceUnavailable where the database is
        away or rights change faster than they can be read.
        """
        return await self.read_as(lambda _: asked)

    async def read_as(self, ask: Ask) -> list[Row]:
        """The same for a question that depends on what the caller may read; it is asked anew where that has changed."""

        def scope(access: Access) -> ScopedRead | ScopedAggregation:
            asked = ask(access)
            return self.resolver(asked, access).scope(asked)

        return await self.read_scoped(scope)

    async def read_scoped(self, scope: Scoping) -> list[Row]:
        """The same for a question whose scope is the asker's own business."""
        access = await self._services.access_cache.access(self._caller)
        for _ in range(MAX_READ_ATTEMPTS):
            scoped = await self._confirmed(scope, access)
            row = await self._beside(build_select(scoped))
            if self._caller.system or read_access_state(row) == access.state:
                return row_decoder(scoped)(row[-1])
            access = await self._services.access_cache.reload(self._caller)
        raise ServiceUnavailable(ACCESS_CHANGED_TOO_OFTEN)

    def resolver(self, asked: Read | Aggregation, access: Access) -> PolicyResolver:
        """Whoever says what such rights let through of a question; InvalidQuery where that goes too far."""
        check_complexity(asked, self._services.limits.max_depth)
        return PolicyResolver(access, self._services.clock())

    async def may(self, action: str, key: Any = None) -> bool:
        """Whether the caller may do something to the row with a key, or, without one, to any row at all.

        A row that isn't there may be neither changed nor taken away. Raises as `read` does, but for what isn't there.
        """
        access = await self._services.access_cache.access(self._caller)
        for _ in range(MAX_READ_ATTEMPTS):
            if not access.granted(action, self.collection):
                fresh = await self._services.access_cache.revalidate(self._caller, access)
                if fresh is access:
                    return False
                access = fresh
                continue
            row = await self._beside(self._reaches(access, action, key))
            if self._caller.system or read_access_state(row) == access.state:
                return bool(row[-1])
            access = await self._services.access_cache.reload(self._caller)
        raise ServiceUnavailable(ACCESS_CHANGED_TOO_OFTEN)

    def _reaches(self, access: Access, action: str, key: Any) -> ColumnElement[Any]:
        if key is None:
            return literal(1)
        try:
            wanted = parse_key(self.collection, key)
        except Forbidden:
            return literal(0)
        return rule_match(WriteResolver(access, self._services.clock()).scope(action, self.collection), wanted)

    async def _beside(self, asked: ColumnElement[Any]) -> Any:
        """The caller's standing, and what is asked."""
        return await self._services.reader.fetch(with_access_state(self._caller, self._services.clock(), asked))

    async def _confirmed(self, scope: Scoping, access: Access) -> ScopedRead | ScopedAggregation:
        """What the policies let through; before it is refused, the rights are asked for once more."""
        try:
            return scope(access)
        except Forbidden:
            fresh = await self._services.access_cache.revalidate(self._caller, access)
            if fresh is access:
                raise
            return scope(fresh)
