"""Services: the dependencies that all repositories of a process share."""

import asyncio
from dataclasses import dataclass, field, replace

from app.core.clock import Clock, utc_now
from app.core.config import Settings
from app.core.lifecycle import Lifecycle
from app.core.regex_matcher import RegexMatcher
from app.core.request_budget import RequestBudget
from app.db.database import Database
from app.db.planning_thread import PlanningThread
from app.db.read_pool import ReadPool
from app.identity_providers.providers import IdentityProviders
from app.metrics.metrics import Metrics
from app.passwords.hasher_pool import PasswordService
from app.passwords.hashers import PasswordHasher
from app.policy.access_cache import AccessCache
from app.policy.expectations import PolicyTest
from app.policy.root_fields import RootField
from app.policy.unreadable_rules import UnreadableRuleLog
from app.query.collection import BUILT_IN, Registry
from app.query.limits import QueryLimits
from app.query.size import SizeLimits
from app.ratelimit.limiter import RateLimiter
from app.repositories.hooks import Hooks
from app.repositories.last_access import LastAccessTracker
from app.storage.base import Storage
from app.storage.factory import open_storage
from app.tracing.tracer import NO_TRACER, Tracer


@dataclass(frozen=True, slots=True)
class UserLimits:
    """Maximum numbers of active users: admins, other users with app access, and all others; None for no limit."""

    admins: int | None = None
    apps: int | None = None
    apis: int | None = None


@dataclass(frozen=True, slots=True)
class Services:
    """The dependencies of repositories and flows, which do not depend on the caller."""

    database: Database
    access_cache: AccessCache
    registry: Registry
    limits: QueryLimits
    settings: Settings
    rates: RateLimiter
    last_access: LastAccessTracker
    storage: Storage
    clock: Clock = utc_now
    user_limits: UserLimits = field(default_factory=UserLimits)
    passwords: PasswordService = field(default_factory=PasswordService)
    metrics: Metrics = field(default_factory=Metrics)
    tracer: Tracer = NO_TRACER
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    utility_hasher: PasswordService = field(default_factory=lambda: PasswordService(threads=1))
    """Hashes texts for any client in a thread of its own, so that logins do not wait for them."""
    identity_providers: IdentityProviders = field(default_factory=lambda: IdentityProviders({}))
    planning: PlanningThread = field(default_factory=PlanningThread)
    regexes: RegexMatcher = field(default_factory=RegexMatcher)
    unreadable_rules: UnreadableRuleLog = field(default_factory=UnreadableRuleLog)
    mail_queued: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a mail is queued, for the outbox worker."""
    access_changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a write may have changed access rights, for the Directus cache job."""
    simulations: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by the transaction of a simulation: a process runs one at a time."""
    policy_tests: tuple[PolicyTest, ...] = ()
    """Tests that must pass after every change of roles, policies, access rows and permissions."""
    hooks: Hooks | None = None
    """The hooks of extensions; None if there are none."""
    root_fields: tuple[RootField, ...] = ()
    """The root fields that extensions add to the GraphQL schema."""

    @classmethod
    def from_settings(
        cls,
        database: Database,
        settings: Settings,
        clock: Clock = utc_now,
        hasher: PasswordHasher | None = None,
        registry: Registry = BUILT_IN,
        hooks: Hooks | None = None,
        root_fields: tuple[RootField, ...] = (),
    ) -> "Services":
        """Create the services of a process. Passwords are hashed in threads unless there is a `hasher`.

        Raises:
            ConfigurationError: The settings of the rate limiter or of the storage are invalid.
        """
        limits = QueryLimits(
            default_rows=settings.query_limit_default,
            max_rows=settings.query_limit_max,
            max_depth=settings.max_relational_depth,
            max_tokens=settings.graphql_query_token_limit,
            introspection=settings.graphql_introspection,
            max_batch_size=settings.max_batch_mutation,
            legacy_fields=settings.compatibility is not None,
            size=SizeLimits(
                fields=settings.query_max_fields,
                filter_parts=settings.query_max_filter_parts,
                filter_depth=settings.query_max_filter_depth,
                sort_keys=settings.query_max_sort_keys,
                list_items=settings.query_max_list_items,
            ),
        )
        user_limits = UserLimits(
            settings.users_admin_access_limit, settings.users_app_access_limit, settings.users_api_access_limit
        )
        last_access, unreadable_rules, metrics = LastAccessTracker(database, clock), UnreadableRuleLog(), Metrics()
        access_cache = AccessCache(
            database.reader,
            last_access,
            unreadable_rules,
            limits.size,
            clock,
            registry,
            loads=metrics.access_loads,
            note_stale=database.reader.note_stale_access,
        )
        return cls(
            database=database,
            access_cache=access_cache,
            metrics=metrics,
            registry=registry,
            limits=limits,
            settings=settings,
            rates=RateLimiter.from_settings(settings, clock),
            last_access=last_access,
            storage=open_storage(settings),
            clock=clock,
            user_limits=user_limits,
            passwords=PasswordService(settings.hash_cost, hasher),
            utility_hasher=PasswordService(settings.hash_cost, hasher, threads=1),
            identity_providers=IdentityProviders.from_settings(settings, clock),
            unreadable_rules=unreadable_rules,
            hooks=hooks,
            root_fields=root_fields,
        )

    def with_registry(self, registry: Registry, schema_token: str | None = None) -> "Services":
        """Return services for another registry; they share everything but the cached access of callers.

        With a schema token, requests notice that the registry is outdated.
        """
        access_cache = AccessCache(
            self.database.reader,
            self.last_access,
            self.unreadable_rules,
            self.limits.size,
            self.clock,
            registry,
            schema_token,
            self.metrics.access_loads,
            self.database.reader.note_stale_access,
        )
        return replace(self, registry=registry, access_cache=access_cache)

    def new_budget(self) -> RequestBudget:
        """Return the budget of one request."""
        return RequestBudget(self.settings.max_passwords_per_request)

    @property
    def plans_enabled(self) -> bool:
        """Whether repeated requests are answered from plans."""
        return self.settings.graphql_plans

    @property
    def reader(self) -> ReadPool:
        """The pool that reads outside of transactions."""
        return self.database.reader

    @property
    def dialect(self) -> str:
        """The name of the database: `sqlite` or `postgresql`."""
        return self.database.dialect
