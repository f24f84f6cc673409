"""A repository: one collection, seen through one caller's policies."""

from dataclasses import dataclass

from app.core.caller import Caller
from app.core.clock import Clock, utc_now
from app.core.config import Settings
from app.core.errors import Forbidden, ServiceUnavailable
from app.db.session import Database
from app.policy.load import AccessBook, Reader, beside, standing
from app.policy.resolver import PolicyResolver
from app.policy.rules import Access
from app.query.aggregate import Aggregation
from app.query.collection import Collection
from app.query.limits import Limits, check_size
from app.query.read import Read
from app.query.render import render
from app.query.scoped import ScopedAggregation, ScopedRead
from app.query.shape import Row, shaper

ATTEMPTS = 5
"""How often a read is planned anew because somebody's rights changed under it."""


@dataclass(frozen=True, slots=True)
class Services:
    """What every repository works with, whoever asks."""

    reader: Reader
    book: AccessBook
    limits: Limits
    clock: Clock = utc_now
    dialect: str = ""
    public_url: str | None = None
    planned: bool = True

    @classmethod
    def over(cls, database: Database, settings: Settings, clock: Clock = utc_now) -> "Services":
        """The services of one process: its database, and the limits its settings give."""
        limits = Limits(
            default=settings.query_limit_default,
            most=settings.query_limit_max,
            depth=settings.max_relational_depth,
            tokens=settings.graphql_query_token_limit,
            introspection=settings.graphql_introspection,
        )
        return cls(
            database.reader,
            AccessBook(database.reader, clock),
            limits,
            clock,
            database.dialect,
            settings.public_url,
            settings.graphql_plans,
        )


class Repository:
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
        check_size(asked, self._services.limits.depth)
        access = await self._services.book.access(self._caller)
        for _ in range(ATTEMPTS):
            scoped = await self._scope(asked, access)
            row = await self._services.reader.fetch(beside(self._caller, self._services.clock(), render(scoped)))
            if self._caller.system or standing(row) == access.standing:
                return shaper(scoped)(row[-1])
            access = await self._services.book.reload(self._caller)
        raise ServiceUnavailable("Rights are changing too fast to answer, try again")

    async def _scope(self, asked: Read | Aggregation, access: Access) -> ScopedRead | ScopedAggregation:
        """What the policies let through; before it is refused, the rights are asked for once more."""
        now = self._services.clock()
        try:
            return PolicyResolver(access, now).scope(asked)
        except Forbidden:
            fresh = await self._services.book.confirm(self._caller, access)
            if fresh is access:
                raise
            return PolicyResolver(fresh, now).scope(asked)
