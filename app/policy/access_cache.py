"""The cache of callers' access, which is loaded from the database in one snapshot and revalidated on each use."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol, TypeVar

from sqlalchemy import Select

from app.core.bindings import Bindings, BoundParameter
from app.core.cache import LRUCache
from app.core.caller import Caller
from app.core.clock import Clock, utc_now
from app.core.errors import APITokenExpired, InvalidCredentials, SchemaChanged
from app.core.values import is_storable
from app.metrics.instruments import EventCounter
from app.policy.access_builder import AccessBuilder
from app.policy.access_queries import (
    NOW,
    AccessRows,
    access_query,
    caller_bindings,
    caller_kind,
    parameterized_caller,
    parse_policies,
    role_access_query,
    with_access_state,
)
from app.policy.grantor_rights import GrantedPolicy
from app.policy.permission_summary import PermissionGrant
from app.policy.rules import (
    ANONYMOUS,
    Access,
    AccessShape,
    AccessState,
)
from app.policy.unreadable_rules import UnreadableRuleLog
from app.query.collection import BUILT_IN, Registry
from app.query.size import SizeLimits

MAX_CALLERS = 4096
"""Maximum number of callers whose access is cached."""
MAX_SHAPES = 1024
"""Maximum number of access shapes that are distinguished at the same time."""

QueryBuilder = Callable[[Caller, BoundParameter], Select[Any]]

T = TypeVar("T")


class StalePlan(Exception):
    """The access that a statement was planned with is no longer the caller's."""


class StatementRunner(Protocol):
    """Runs compiled statements that yield one row: the reader, or a write transaction."""

    async def fetch_one(self, statement: Any, bindings: Bindings) -> Any:
        """Return the row of a compiled statement."""
        ...


class StatementReader(StatementRunner, Protocol):
    """Compiles and runs statements that yield one row."""

    def compile(self, clause: Select[Any]) -> Any:
        """Compile a statement for the database driver."""
        ...

    async def fetch(self, clause: Select[Any], bindings: Bindings = ...) -> Any:
        """Return the row of a statement."""
        ...


class UserActivityObserver(Protocol):
    """Observes which users make requests, and with which API tokens."""

    def record(self, user: str | None) -> None:
        """Note a request of a user."""
        ...

    def record_token(self, token: str, ip: str | None) -> None:
        """Note a request with an API token, by its id, from an IP address."""
        ...

    def discard(self, user: str | None, token: str | None) -> None:
        """Revoke the notes: the request turned out not to be authenticated as that user, or with that API token."""
        ...


class AccessCache:
    """Caches the access of callers.

    A cached access is never trusted on its own: every statement also reads the access state, and the code that runs
    it calls `refresh` if that differs from the one it planned with. Then `note_stale` gets the owner of the statement.
    """

    def __init__(
        self,
        reader: StatementReader,
        activity: UserActivityObserver,
        unreadable_rules: UnreadableRuleLog,
        limits: SizeLimits,
        clock: Clock = utc_now,
        registry: Registry = BUILT_IN,
        schema_token: str | None = None,
        loads: EventCounter | None = None,
        note_stale: Callable[[str | None], None] | None = None,
    ) -> None:
        self._note_stale = note_stale
        self._schema_token, self._load_counter = schema_token, loads or EventCounter()
        self.is_outdated = False
        """Whether the fields of the directory have changed, as far as the last loaded access tells."""
        self._reader, self._activity, self._clock = reader, activity, clock
        self.registry = registry
        """The collections and fields that rules refer to."""
        self._system = Access(AccessState(token=""), (), (), True, True, False, {}, registry)
        self._limits, self._builder = limits, AccessBuilder(registry, limits, unreadable_rules)
        self._accesses: LRUCache[Caller, Access] = LRUCache(MAX_CALLERS)
        self._shapes: LRUCache[tuple[Any, ...], AccessShape] = LRUCache(MAX_SHAPES)
        self._statements: dict[tuple[Any, ...], Any] = {}
        self._loading: dict[Caller, asyncio.Future[Access]] = {}

    def peek(self, caller: Caller) -> Access | None:
        """Return the caller's cached access; None if there is none, or if one of its policies has expired since."""
        access = self._accesses.get(caller, None)
        if access is None or (access.expires is not None and access.has_expired(self._clock)):
            return None
        if access.api_token is None:
            self._activity.record(access.state.user)
        else:
            self._record(caller, access)
        return access

    def _record(self, caller: Caller, access: Access) -> None:
        self._activity.record(access.state.user)
        if access.api_token is not None:
            self._activity.record_token(access.api_token, caller.ip)

    def clear(self) -> None:
        """Evict every caller and every shape, so that no plan made for a shape is found again."""
        self._accesses, self._shapes = LRUCache(MAX_CALLERS), LRUCache(MAX_SHAPES)

    async def access(self, caller: Caller) -> Access:
        """Return the caller's access, from the cache if it is there.

        Raises:
            InvalidCredentials: The credentials belong to no active user, or the session has ended.
        """
        if caller.system:
            return self._system
        return self.peek(caller) or await self.reload(caller)

    async def revalidate(self, caller: Caller, access: Access) -> Access:
        """Return `access` itself if it is still current, else the caller's reloaded access.

        Raises:
            InvalidCredentials: As `access`.
        """
        if caller.system:
            return self._system
        row = await self._fetch(with_access_state, caller, self._reader)
        return access if access.is_current(row, self._clock) else await self.reload(caller)

    async def reload(self, caller: Caller) -> Access:
        """Load the caller's access from the database into the cache.

        Raises:
            InvalidCredentials: As `access`.
        """
        access, *_ = await self._load(caller)
        return access

    async def refresh(self, caller: Caller, stale: Access) -> Access:
        """Return an access other than `stale`. Concurrent calls for one caller share a single load.

        The result may be stale as well; only a statement that reads the access state can tell.

        Raises:
            InvalidCredentials: As `access`.
        """
        if self._note_stale is not None:
            self._note_stale(stale.owner)
        access = self.peek(caller)
        if access is not None and access is not stale:
            return access
        if caller not in self._loading:
            self._loading[caller] = asyncio.ensure_future(self.reload(caller))
            self._loading[caller].add_done_callback(lambda _: self._loading.pop(caller, None))
        return await asyncio.shield(self._loading[caller])

    async def run_while_current(
        self, caller: Caller, access: Access, attempt: Callable[[Access], Awaitable[T]], max_attempts: int
    ) -> T:
        """Return what `attempt` returns for the caller's access, which is refreshed each time it raises StalePlan.

        Raises:
            StalePlan: The access was stale in each of `max_attempts` attempts.
            InvalidCredentials: As `access`.
        """
        for _ in range(max_attempts - 1):
            try:
                return await attempt(access)
            except StalePlan:
                access = await self.refresh(caller, access)
        return await attempt(access)

    def require_current_schema(self) -> None:
        """Check that the registry is the one that the database describes, as far as the last loaded access tells.

        Whatever can be parsed again checks this before it has written anything. Other code, such as that which signs
        users in, goes on with the registry that it began with.

        Raises:
            SchemaChanged: The fields of the directory have changed.
        """
        if self.is_outdated:
            raise SchemaChanged

    async def grants(self, caller: Caller) -> tuple[Access, tuple[PermissionGrant, ...]]:
        """Load the caller's access from the database, with the stored permissions that it is made of.

        Raises:
            InvalidCredentials: As `access`.
        """
        access, rows = await self._load(caller)
        return access, tuple(self._builder.grants(access, rows))

    async def held_policies(self, caller: Caller) -> tuple[Access, tuple[GrantedPolicy, ...]]:
        """Load the caller's access from the database, with all policies attached to the caller, whatever its IP.

        Raises:
            InvalidCredentials: As `access`.
        """
        access, rows = await self._load(caller)
        return access, parse_policies(rows.policies, rows.permissions, self._limits, self.registry, access.ends)

    async def is_current(self, caller: Caller, access: Access, transaction: StatementRunner) -> bool:
        """Return whether a caller's access is still current within a transaction."""
        return caller.system or access.is_current(await self.fetch_state(caller, transaction), self._clock)

    async def fetch_state(self, caller: Caller, transaction: StatementRunner) -> Any:
        """Return a row with the caller's access state within a transaction, for `Access.is_current`."""
        return await self._fetch(with_access_state, caller, transaction)

    async def _load(self, caller: Caller) -> tuple[Access, AccessRows]:
        """Load the caller's access into the cache; return it with the rows that it is built from."""
        self._load_counter.add("new" if self._accesses.get(caller, None) is None else "changed")
        try:
            access, rows = await self._query(caller)
        except InvalidCredentials:
            if (cached := self._accesses.get(caller, None)) is not None:
                self._activity.discard(cached.user, cached.api_token)
            self._accesses.discard(caller)
            raise
        self._accesses.set(caller, access)
        self._record(caller, access)
        return access, rows

    async def inspect(self, caller: Caller) -> tuple[Access, list[Any], list[Any]]:
        """Load what the policies of a caller add up to, whatever the caller's status, with their rows.

        Nothing is cached or recorded, because it is not the caller who makes the request.
        """
        rows = await self._query_rows(caller)
        return self.assemble(caller, rows), rows.policies, rows.permissions

    async def inspect_role(self, role: str, ip: str | None = None) -> Access:
        """Load what the policies of a role add up to for a user of it who is in no row; nothing is cached."""
        rows = AccessRows.parse(await self._reader.fetch(role_access_query(role, self._clock())))
        return self.assemble(Caller(ip=ip), rows._replace(state=rows.state._replace(role=role)))

    async def _query(self, caller: Caller) -> tuple[Access, AccessRows]:
        if not is_storable((caller.token or "") + (caller.session or "")):
            raise InvalidCredentials
        rows = await self._query_rows(caller)
        if not caller.anonymous:
            _check_usable(caller, rows, self._clock())
        return self._with_shape(caller, self.assemble(caller, rows)), rows

    async def _query_rows(self, caller: Caller) -> AccessRows:
        """Return the caller's access state, and the rows of its roles, policies and permissions."""
        rows = AccessRows.parse(await self._fetch(access_query, caller, self._reader))
        if self._schema_token not in (None, rows.schema_token):
            self.is_outdated = True
        return rows

    async def _fetch(self, build: QueryBuilder, caller: Caller, runner: StatementRunner) -> Any:
        key = (build, *caller_kind(caller))
        if key not in self._statements:
            self._statements[key] = self._reader.compile(build(parameterized_caller(caller), NOW))
        return await runner.fetch_one(self._statements[key], {**caller_bindings(caller), "now": self._clock()})

    def assemble(self, caller: Caller, rows: AccessRows) -> Access:
        """Return what the rows of a caller's roles, policies and permissions add up to. Nothing is cached."""
        return self._builder.build(rows, caller.ip)

    def _with_shape(self, caller: Caller, access: Access) -> Access:
        """Return the access with its shape, which it shares with others, and with its own bindings."""
        rule_ids = tuple((key, *map(id, rules)) for key, rules in sorted(access.rules.items()))
        flags = (access.admin, access.user is None, access.state.role is None, not access.roles, not access.policies)
        key = (*flags, caller_kind(caller), access.schema_rights, rule_ids)
        shape = self._shapes.get(key, None) or self._shapes.set(key, AccessShape(access.rules, access.schema_rights))
        bindings = {
            **caller_bindings(caller),
            "me": access.user,
            "role": access.state.role,
            "roles": list(access.roles),
            "policies": list(access.policies),
        }
        return replace(access, shape=shape, owner=access.user or ANONYMOUS, bindings=bindings)


def _check_usable(caller: Caller, rows: AccessRows, now: datetime) -> None:
    """Raise InvalidCredentials unless an active user may use the credentials at this address, and now.

    A caller who learns that an API token has expired holds it, and is at an address where it was valid.
    """
    state, scope = rows.state, rows.scope
    if state.user is None or state.status != "active" or not (scope is None or scope.is_usable_at(caller.ip)):
        raise InvalidCredentials
    if not state.live:
        raise InvalidCredentials
    if scope is not None and scope.expires is not None and now >= scope.expires:
        raise APITokenExpired
