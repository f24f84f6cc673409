"""The cache of callers' access, which is loaded from the database in one snapshot and revalidated on each use."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from sqlalchemy import Select

from app.core.bindings import Bindings, BoundParameter
from app.core.cache import LRUCache
from app.core.caller import Caller
from app.core.clock import Clock, utc_now
from app.core.errors import InvalidCredentials, SchemaChanged
from app.core.ip_addresses import ip_matches
from app.core.values import is_storable
from app.policy.access_queries import (
    NOW,
    TFA_SETUP_REQUIRED,
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
from app.policy.permission_summary import PermissionGrant, may_grant, parse_grant
from app.policy.rules import (
    ANONYMOUS,
    APP_PERMISSIONS,
    READ,
    Access,
    AccessShape,
    AccessState,
    Rule,
    app_rules,
    parse_rule,
)
from app.policy.schema_rights import schema_rights
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
    """Observes which users make requests."""

    def record(self, user: str | None) -> None:
        """Note a request of a user."""
        ...

    def discard(self, user: str | None) -> None:
        """Revoke the note: the request turned out not to be authenticated as that user."""
        ...


class AccessCache:
    """Caches the access of callers.

    A cached access is never trusted on its own: every statement also reads the access state, and the code that runs
    it calls `reload` if that differs from the one it planned with.
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
    ) -> None:
        self._schema_token = schema_token
        self.is_outdated = False
        """Whether the fields of the directory have changed, as far as the last loaded access tells."""
        self._reader, self._activity, self._clock = reader, activity, clock
        self.registry = registry
        """The collections and fields that rules refer to."""
        self._system = Access(AccessState(token=""), (), (), True, True, False, {}, registry)
        self._unreadable_rules, self._limits = unreadable_rules, limits
        self._accesses: LRUCache[Caller, Access] = LRUCache(MAX_CALLERS)
        self._shapes: LRUCache[tuple[Any, ...], AccessShape] = LRUCache(MAX_SHAPES)
        self._statements: dict[tuple[Any, ...], Any] = {}
        self._loading: dict[Caller, asyncio.Future[Access]] = {}

    def peek(self, caller: Caller) -> Access | None:
        """Return the caller's cached access; None if there is none, or if one of its policies has expired since."""
        access = self._accesses.get(caller, None)
        if access is None or (access.expires is not None and access.has_expired(self._clock)):
            return None
        self._activity.record(access.state.user)
        return access

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
        access, _, permissions = await self._load(caller)
        return access, tuple(_grants(access, permissions))

    async def held_policies(self, caller: Caller) -> tuple[Access, tuple[GrantedPolicy, ...]]:
        """Load the caller's access from the database, with all policies attached to the caller, whatever its IP.

        Raises:
            InvalidCredentials: As `access`.
        """
        access, policies, permissions = await self._load(caller)
        return access, parse_policies(policies, permissions, self._limits, self.registry, access.ends)

    async def is_current(self, caller: Caller, access: Access, transaction: StatementRunner) -> bool:
        """Return whether a caller's access is still current within a transaction."""
        return caller.system or access.is_current(await self.fetch_state(caller, transaction), self._clock)

    async def fetch_state(self, caller: Caller, transaction: StatementRunner) -> Any:
        """Return a row with the caller's access state within a transaction, for `Access.is_current`."""
        return await self._fetch(with_access_state, caller, transaction)

    async def _load(self, caller: Caller) -> tuple[Access, list[Any], list[Any]]:
        """Load the caller's access into the cache; return it with the rows of its policies and permissions."""
        try:
            access, policies, permissions = await self._query(caller)
        except InvalidCredentials:
            if (cached := self._accesses.get(caller, None)) is not None:
                self._activity.discard(cached.user)
            self._accesses.discard(caller)
            raise
        self._accesses.set(caller, access)
        self._activity.record(access.user)
        return access, policies, permissions

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

    async def _query(self, caller: Caller) -> tuple[Access, list[Any], list[Any]]:
        if not is_storable((caller.token or "") + (caller.session or "")):
            raise InvalidCredentials
        rows = await self._query_rows(caller)
        state = rows.state
        if not caller.anonymous and (state.user is None or state.status != "active" or not state.live):
            raise InvalidCredentials
        return self._with_shape(caller, self.assemble(caller, rows)), rows.policies, rows.permissions

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
        state, policies, permissions = rows.state, rows.policies, rows.permissions
        if state.live == TFA_SETUP_REQUIRED:
            return Access(
                state,
                (),
                (),
                admin=False,
                app=False,
                enforce_tfa=True,
                rules={},
                registry=self.registry,
                tfa_setup_required=True,
            )
        in_force = [row for row in policies if not row[1] or ip_matches(caller.ip, row[1].split(","))]
        policy_ids = {row[0] for row in in_force}
        admin, app = (any(row[flag] for row in in_force) for flag in (2, 3))
        return Access(
            state=state,
            roles=tuple(row[0] for row in rows.roles),
            policies=tuple(sorted(policy_ids)),
            admin=admin,
            app=app,
            enforce_tfa=any(row[4] for row in in_force),
            rules=self._rules((row[1:] for row in permissions if row[0] in policy_ids), app=app),
            schema_rights=schema_rights(
                ((row[1], row[2]) for row in permissions if row[0] in policy_ids), everything=app or admin
            ),
            registry=self.registry,
            ends=rows.ends,
            expires=min(rows.ends.values(), default=None),
        )

    def _rules(self, permissions: Iterable[list[Any]], *, app: bool) -> Mapping[tuple[str, str], tuple[Rule, ...]]:
        by_key: dict[tuple[str, str], dict[Rule, None]] = {}
        for action, collection, *texts, permission_id in permissions:
            rule, problem = parse_rule(action, collection, *texts, limits=self._limits, registry=self.registry)
            if problem is not None:
                self._unreadable_rules.report(permission_id, collection, action, problem)
            if rule is not None:
                by_key.setdefault((action, collection), {})[rule] = None
        for key, rule in app_rules(self.registry).items() if app else ():
            by_key.setdefault(key, {})[rule] = None
        return {key: tuple(rules) for key, rules in by_key.items()}

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


def _grants(access: Access, permissions: Iterable[list[Any]]) -> Iterator[PermissionGrant]:
    for policy, action, collection, rule, fields, validation, presets, _ in permissions:
        if policy in access.policies and may_grant(action, rule, validation):
            yield parse_grant(action, collection, rule, fields, validation, presets)
    for collection, rule, fields in APP_PERMISSIONS if access.app else ():
        yield PermissionGrant(collection, READ, rule, tuple(fields.split(",")), {})
