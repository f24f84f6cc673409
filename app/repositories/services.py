"""Services: what the repositories of one process depend on."""

import asyncio
from dataclasses import dataclass, field

from app.core.clock import Clock, utc_now
from app.core.config import Settings
from app.db.database import Database
from app.passwords.hasher_pool import PasswordService
from app.passwords.hashers import PasswordHasher
from app.policy.access_cache import AccessCache, StatementReader
from app.policy.unreadable_rules import UnreadableRuleLog
from app.query.limits import QueryLimits
from app.ratelimit.limiter import RateLimiter
from app.repositories.last_access import LastAccessTracker
from app.storage.base import Storage
from app.storage.factory import open_storage


@dataclass(frozen=True, slots=True)
class UserLimits:
    """Active users of each kind at most: admins, those with app access, and all others; None for any number."""

    admins: int | None = None
    apps: int | None = None
    apis: int | None = None


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
    user_limits: UserLimits = field(default_factory=UserLimits)
    passwords: PasswordService = field(default_factory=PasswordService)
    utility_hasher: PasswordService = field(default_factory=lambda: PasswordService(threads=1))
    """For texts of anybody's: whoever signs in doesn't wait for them."""
    unreadable_rules: UnreadableRuleLog = field(default_factory=UnreadableRuleLog)
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
            default_rows=settings.query_limit_default,
            max_rows=settings.query_limit_max,
            max_depth=settings.max_relational_depth,
            max_tokens=settings.graphql_query_token_limit,
            introspection=settings.graphql_introspection,
            max_batch_size=settings.max_batch_mutation,
            legacy_fields=settings.compatibility is not None,
        )
        users = UserLimits(
            settings.users_admin_access_limit, settings.users_app_access_limit, settings.users_api_access_limit
        )
        presence = LastAccessTracker(database, clock)
        unreadable = UnreadableRuleLog()
        book = AccessCache(database.reader, presence, unreadable, clock)
        rates, passwords = RateLimiter.from_settings(settings, clock), PasswordService(settings.hash_cost, hasher)
        strangers = PasswordService(settings.hash_cost, hasher, threads=1)
        storage = open_storage(settings)
        return cls(
            database, book, limits, settings, rates, presence, storage, clock, users, passwords, strangers, unreadable
        )

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
