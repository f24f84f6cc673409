"""A repository: one collection, seen through one caller's policies."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, literal

from app.core.caller import Caller
from app.core.clock import Clock, utc_now
from app.core.config import Settings
from app.core.errors import Forbidden, ServiceUnavailable
from app.db.database import Database
from app.passwords.hasher_pool import PasswordService
from app.passwords.hashers import PasswordHasher
from app.policy.access_cache import AccessCache, StatementReader
from app.policy.access_queries import read_access_state, with_access_state
from app.policy.resolver import PolicyResolver
from app.policy.rules import Access
from app.policy.write_resolver import WriteResolver
from app.query.aggregate import Aggregation
from app.query.collection import Collection
from app.query.limits import QueryLimits, check_complexity
from app.query.payload import parse_key
from app.query.read import Read
from app.query.results import Row, row_decoder
from app.query.scoped import ScopedAggregation, ScopedRead
from app.query.sql_select import build_select
from app.query.sql_writes import rule_match
from app.ratelimit.limiter import RateLimiter
from app.repositories.last_access import LastAccessTracker
from app.repositories.rules.directory_limits import UserLimits
from app.storage.base import Storage
from app.storage.factory import open_storage

Ask = Callable[[Access], Read | Aggregation]
"""What somebody asks, with such rights."""
Scoping = Callable[[Access], ScopedRead | ScopedAggregation]
"""What such rights let through of it."""

ACCESS_CHANGED_TOO_OFTEN = "Rights are changing too fast to answer, try again"
MAX_READ_ATTEMPTS = 5
"""How often a read is planned anew because somebody's rights changed under it."""


@dataclass(frozen=True, slots=True)
class Services:
    """What every repository works with, whoever asks."""

    database: Database
    access_cache: AccessCache
    limits: QueryLimits
    settings: Settings
    rates: RateLimiter
    last_access: LastAccessTracker
    storage: Storage
    clock: Clock = utc_now
    users: UserLimits = field(default_factory=UserLimits)
    passwords: PasswordService = field(default_factory=PasswordService)
    utility_hasher: PasswordService = field(default_factory=lambda: PasswordService(lanes=1))
    """For texts of anybody's: whoever signs in doesn't wait for them."""
    mail_queued: asyncio.Event = field(default_factory=asyncio.Event)
    """Set where a mail was posted, for whoever sends them."""

    @classmethod
    def from_settings(
        cls, database: Database, settings: Settings, clock: Clock = utc_now, hasher: PasswordHasher | None = None
    ) -> "Services":
        """The services of one process: its database, and the limits its settings give.

        Passwords are hashed in threads unless a `hasher` does it. BadSettings as Rates, and for an unfit storage.
        """
        limits = QueryLimits(
            default=settings.query_limit_default,
            max_rows=settings.query_limit_max,
            depth=settings.max_relational_depth,
            tokens=settings.graphql_query_token_limit,
            introspection=settings.graphql_introspection,
            batch=settings.max_batch_mutation,
            legacy_fields=settings.compatibility is not None,
        )
        users = UserLimits(
            settings.users_admin_access_limit, settings.users_app_access_limit, settings.users_api_access_limit
        )
        presence = LastAccessTracker(database, clock)
        book = AccessCache(database.reader, presence, clock)
        rates, passwords = RateLimiter.from_settings(settings, clock), PasswordService(settings.hash_cost, hasher)
        strangers = PasswordService(settings.hash_cost, hasher, lanes=1)
        storage = open_storage(settings)
        return cls(database, book, limits, settings, rates, presence, storage, clock, users, passwords, strangers)

    @property
    def plans_enabled(self) -> bool:
        """Whether what was asked before is answered from plans."""
        return self.settings.graphql_plans

    @property
    def reader(self) -> StatementReader:
        """Whoever reads outside transactions."""
        return self.database.reader

    @property
    def dialect(self) -> str:
        """The kind of database."""
        return self.database.dialect

    def reading(self, collection: Collection, caller: Caller) -> "ReadRepository":
        """The rows of a collection as a caller may see them."""
        return ReadRepository(collection, caller, self)


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
            if self._caller.system or read_access_state(row) == access.standing:
                return row_decoder(scoped)(row[-1])
            access = await self._services.access_cache.reload(self._caller)
        raise ServiceUnavailable(ACCESS_CHANGED_TOO_OFTEN)

    def resolver(self, asked: Read | Aggregation, access: Access) -> PolicyResolver:
        """Whoever says what such rights let through of a question; InvalidQuery where that goes too far."""
        check_complexity(asked, self._services.limits.depth)
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
            if self._caller.system or read_access_state(row) == access.standing:
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
