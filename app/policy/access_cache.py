"""Reading a caller's access from the database, in one snapshot, and remembering it while it holds."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

import orjson
from sqlalchemy import Select

from app.core.bindings import Bindings
from app.core.cache import LRUCache
from app.core.caller import Caller
from app.core.clock import Clock, utc_now
from app.core.errors import InvalidCredentials
from app.core.ip_addresses import ip_matches
from app.policy.access_queries import (
    NOW,
    TFA_SETUP_REQUIRED,
    access_query,
    caller_bindings,
    caller_kind,
    parameterized_caller,
    read_access_state,
    with_access_state,
)
from app.policy.permission_summary import PermissionGrant
from app.policy.rules import APP_PERMISSIONS, APP_RULES, READ, Access, AccessShape, AccessState, Rule, rule

REMEMBERED = 4096
"""Callers whose access is kept at once."""
FORMS = 1024
"""Forms of access that are told apart at once."""

_SYSTEM = Access(AccessState(token=""), (), (), admin=True, app=True, enforce_tfa=False, rules={})


class StatementRunner(Protocol):
    """Whoever runs one compiled statement and gives back its one row: the reader, or a transaction that writes."""

    async def fetch_one(self, statement: Any, given: Bindings) -> Any:
        """The one row of a compiled statement, for the values given."""
        ...


class StatementReader(StatementRunner, Protocol):
    """Whoever runs any statement and gives back its one row."""

    def compile(self, clause: Select[Any]) -> Any:
        """A statement as the database's driver takes it."""
        ...

    async def fetch(self, clause: Select[Any], given: Bindings = ...) -> Any:
        """The one row of a statement, for the values given."""
        ...


class UserActivityObserver(Protocol):
    """Whoever wants to know which users ask something."""

    def record(self, user: str | None) -> None:
        """A user asks something."""
        ...

    def discard(self, user: str | None) -> None:
        """It wasn't that user after all."""
        ...


class AccessCache:
    """Who may do what, remembered by caller.

    What is remembered is never believed on its own: every statement reads the standing again, and whoever sees
    another one than he planned with calls `reload`.
    """

    def __init__(self, reader: StatementReader, noticed: UserActivityObserver, clock: Clock = utc_now) -> None:
        self._reader, self._noticed, self._clock = reader, noticed, clock
        self._known: LRUCache[Caller, Access] = LRUCache(REMEMBERED)
        self._forms: LRUCache[tuple[Any, ...], AccessShape] = LRUCache(FORMS)
        self._statements: dict[tuple[Any, ...], Any] = {}
        self._loading: dict[Caller, asyncio.Future[Access]] = {}

    def peek(self, caller: Caller) -> Access | None:
        """The caller's access if it is remembered."""
        known = self._known.get(caller, None)
        if known is not None:
            self._noticed.record(known.standing.user)
        return known

    def clear(self) -> None:
        """Forgets every caller, and the forms of their rights with all that was planned for those."""
        self._known, self._forms = LRUCache(REMEMBERED), LRUCache(FORMS)

    async def access(self, caller: Caller) -> Access:
        """The caller's access as last seen; InvalidCredentials where nobody active stands behind the claim."""
        if caller.system:
            return _SYSTEM
        return self.peek(caller) or await self.reload(caller)

    async def revalidate(self, caller: Caller, seen: Access) -> Access:
        """`seen` itself while it still holds, else the caller's access as it is now."""
        if caller.system:
            return _SYSTEM
        row = await self._ask("standing", caller, self._reader)
        return seen if read_access_state(row) == seen.standing else await self.reload(caller)

    async def reload(self, caller: Caller) -> Access:
        """The caller's access as the database has it now; InvalidCredentials as above."""
        access, _ = await self._load(caller)
        return access

    async def refresh(self, caller: Caller, stale: Access) -> Access:
        """Another access than `stale`, which many may find to be stale at once: one of them loads for all.

        It may be stale again: only a statement says that it isn't. InvalidCredentials as above.
        """
        known = self.peek(caller)
        if known is not None and known is not stale:
            return known
        if caller not in self._loading:
            self._loading[caller] = asyncio.ensure_future(self.reload(caller))
            self._loading[caller].add_done_callback(lambda _: self._loading.pop(caller, None))
        return await asyncio.shield(self._loading[caller])

    async def grants(self, caller: Caller) -> tuple[Access, tuple[PermissionGrant, ...]]:
        """The caller's access as the database has it now, and the permissions behind it as they are written down."""
        return await self._load(caller)

    async def is_current(self, caller: Caller, access: Access, transaction: StatementRunner) -> bool:
        """Whether a caller's access is still so within a transaction."""
        return caller.system or read_access_state(await self.fetch_state(caller, transaction)) == access.standing

    async def fetch_state(self, caller: Caller, transaction: StatementRunner) -> Any:
        """A row that holds the caller's standing within a transaction."""
        return await self._ask("standing", caller, transaction)

    async def _load(self, caller: Caller) -> tuple[Access, tuple[PermissionGrant, ...]]:
        try:
            access, grants = await self._read(caller, self._reader)
        except InvalidCredentials:
            if (known := self._known.get(caller, None)) is not None:
                self._noticed.discard(known.user)
            self._known.discard(caller)
            raise
        self._known.set(caller, access)
        self._noticed.record(access.user)
        return access, grants

    async def _read(self, caller: Caller, asked: StatementRunner) -> tuple[Access, tuple[PermissionGrant, ...]]:
        if "\0" in (caller.token or ""):
            raise InvalidCredentials
        row = await self._ask("behind", caller, asked)
        now = read_access_state(row)
        if not caller.anonymous and (now.user is None or now.status != "active" or not now.live):
            raise InvalidCredentials
        roles, policies, permissions = (orjson.loads(text) for text in row[5:])
        access = self._with_shape(caller, _access(caller, now, roles, policies, permissions))
        return access, tuple(_grants(access, permissions))

    async def _ask(self, what: str, caller: Caller, asked: StatementRunner) -> Any:
        key = (what, *caller_kind(caller))
        if key not in self._statements:
            make = access_query if what == "behind" else with_access_state
            self._statements[key] = self._reader.compile(make(parameterized_caller(caller), NOW))
        return await asked.fetch_one(self._statements[key], {**caller_bindings(caller), "now": self._clock()})

    def _with_shape(self, caller: Caller, access: Access) -> Access:
        """The same access, with the form it shares with others, and what is its own."""
        rules = tuple((place, *map(id, rules)) for place, rules in sorted(access.rules.items()))
        told = (access.admin, access.user is None, access.standing.role is None, not access.roles, not access.policies)
        key = (*told, caller_kind(caller), rules)
        form = self._forms.get(key, None) or self._forms.set(key, AccessShape(access.rules))
        own = {"role": access.standing.role, "roles": list(access.roles), "policies": list(access.policies)}
        return replace(access, form=form, bindings={**caller_bindings(caller), "me": access.user, **own})


def _access(caller: Caller, now: AccessState, roles: list[Any], policies: list[Any], permissions: list[Any]) -> Access:
    if now.live == TFA_SETUP_REQUIRED:
        return Access(now, (), (), admin=False, app=False, enforce_tfa=True, rules={}, tfa_setup_required=True)
    in_force = [row for row in policies if not row[1] or ip_matches(caller.ip, row[1].split(","))]
    held = {row[0] for row in in_force}
    app = any(row[3] for row in in_force)
    return Access(
        standing=now,
        roles=tuple(row[0] for row in roles),
        policies=tuple(sorted(held)),
        admin=any(row[2] for row in in_force),
        app=app,
        enforce_tfa=any(row[4] for row in in_force),
        rules=_rules((row[1:] for row in permissions if row[0] in held), app=app),
    )


def _grants(access: Access, permissions: Iterable[list[Any]]) -> Iterator[PermissionGrant]:
    for policy, *permission in permissions:
        if policy in access.policies:
            yield grant(*permission)
    for collection, minimum, fields in APP_PERMISSIONS if access.app else ():
        yield PermissionGrant(collection, READ, minimum, tuple(fields.split(",")), {})


def grant(
    action: str, collection: str, rule_: str | None, fields: str | None, validation: str | None, presets: str | None
) -> PermissionGrant:
    """A permission row's texts -> the permission as it is written down."""
    named = None if fields is None else tuple(fields.split(","))
    return PermissionGrant(collection, action, _object(rule_), named, _object(presets), _object(validation))


def _object(text: str | None) -> dict[str, Any]:
    """A JSON object out of the database; anything else there says nothing."""
    try:
        found = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _rules(granted: Iterable[tuple[Any, ...]], *, app: bool) -> Mapping[tuple[str, str], tuple[Rule, ...]]:
    found: dict[tuple[str, str], dict[Rule, None]] = {}
    for action, collection, permissions, fields, validation, presets in granted:
        if made := rule(action, collection, permissions, fields, validation, presets):
            found.setdefault((action, collection), {})[made] = None
    for place, minimum in APP_RULES.items() if app else ():
        found.setdefault(place, {})[minimum] = None
    return {place: tuple(rules) for place, rules in found.items()}
