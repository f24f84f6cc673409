"""Answers who may do something: which users, which roles, and whether everyone, by the rules of the policy resolver."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import orjson
from sqlalchemy import and_, select, true

from app.core.errors import Forbidden, InvalidPayload
from app.core.ip_addresses import ip_matches
from app.db.models import Permission
from app.flows.access.candidate_permissions import AccessTarget, candidate_permissions
from app.flows.access.explanation import AccessQuestion, parse_target
from app.policy.access_holders import Grant, HolderQuery, Scopes
from app.policy.access_queries import permission_rows, policy_rows
from app.policy.caller_parameters import parameterize_access
from app.policy.rules import Access, AccessState
from app.policy.scopes import UnrestrictedScope
from app.query.collection import Registry
from app.query.filter import MATCH_ALL, Filter
from app.repositories.directory import Directory

SAMPLE = "00000000-0000-4000-8000-000000000000"
"""Stands for the ids of users, roles and policies while a statement is built."""
DEFAULT_LIMIT, MAX_LIMIT, MAX_OFFSET = 100, 1000, 2**31
_PERMISSIONS = Permission.__table__


@dataclass(frozen=True, slots=True)
class HoldersQuestion:
    """A question: who may do something with a collection, an item, or a field of it?

    `ip` is the address of their requests; without one, policies that apply at some addresses only count as well. The
    answer has at most `limit` users, after the first `offset`, or on `page`, from 1.
    """

    collection: str
    action: str
    item: Any = None
    field: str | None = None
    ip: str | None = None
    limit: int = DEFAULT_LIMIT
    offset: int | None = None
    page: int | None = None


@dataclass(frozen=True, slots=True)
class AllowedUser:
    """A user who may do it; `everywhere` is whether that is so at every address, or at that of the question."""

    id: str
    email: str | None
    first_name: str | None
    last_name: str | None
    role: str | None
    everywhere: bool


@dataclass(frozen=True, slots=True)
class AllowedRole:
    """A role whose users may do it: every one of them, or those that a rule matches, or at some addresses."""

    id: str
    name: str
    every_user: bool


@dataclass(frozen=True, slots=True)
class Holders:
    """Who may do something: a page of the users by email address, `total` of them, the roles, and the public."""

    collection: str
    action: str
    item: str | None
    field: str | None
    ip: str | None
    public: bool
    """Whether callers who have not signed in may do it."""
    total: int
    users: tuple[AllowedUser, ...]
    roles: tuple[AllowedRole, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the answer as JSON values."""
        return asdict(self)


class AccessHolders:
    """Answers for admins who may do something."""

    def __init__(self, directory: Directory) -> None:
        self._directory, self._services = directory, directory.services

    async def find(self, question: HoldersQuestion) -> Holders:
        """Return who may do it. One statement decides about all users.

        Raises:
            Forbidden: The caller is not an admin.
            InvalidPayload: The collection, the action or the field does not exist, or the page is out of range.
        """
        asker = await self._directory.fresh_access()
        if not asker.admin:
            raise Forbidden
        offset = _offset(question)
        target = self._target(question, asker)
        policies, permissions = await self._stored_rights(target)
        query = self._query(target, question.ip, policies, permissions)
        statement = query.select(question.limit, offset)
        row = await self._services.database.reader.fetch(statement, owner=asker.owner)
        return Holders(
            target.collection.name,
            target.action,
            None if target.key is None else str(target.key),
            target.field_name,
            question.ip,
            bool(row[3]),
            int(row[0]),
            tuple(map(_user, orjson.loads(row[1]))),
            tuple(AllowedRole(role, name, bool(every_user)) for role, name, every_user in orjson.loads(row[2])),
        )

    def _target(self, question: HoldersQuestion, asker: Access) -> AccessTarget:
        of_any_user = AccessQuestion(question.collection, question.action, item=question.item, field=question.field)
        return parse_target(of_any_user, _sample_access(self._services.registry), asker, self._services.registry)

    async def _stored_rights(self, target: AccessTarget) -> tuple[list[Any], list[Any]]:
        """Return the rows of all policies, and those of their permissions for the collection and the action."""
        is_named = and_(_PERMISSIONS.c.collection == target.collection.name, _PERMISSIONS.c.action == target.action)
        columns = (policy_rows(lambda _: true()), permission_rows(lambda _: is_named))
        policies, permissions = await self._services.database.reader.fetch(select(*columns), owner=target.owner)
        return orjson.loads(policies), orjson.loads(permissions)

    def _query(self, target: AccessTarget, ip: str | None, policies: list[Any], permissions: list[Any]) -> HolderQuery:
        at_address = {row[0] for row in policies if not row[1] or ip_matches(ip, row[1].split(","))}
        in_force = frozenset(row[0] for row in policies) if ip is None else frozenset(at_address)
        candidates = candidate_permissions(target, policies, permissions, self._services.limits.size)
        granted = [
            *((row[0], MATCH_ALL, False) for row in policies if row[2]),
            *_granted(target, ((one.policy, one.rule) for one in candidates if one.problem is None)),
        ]
        grants = [
            Grant(keys & in_force, filter_ if target.key is not None else MATCH_ALL, self_only)
            for (filter_, self_only), keys in _by_rule(granted).items()
        ]
        now, registry = self._services.clock(), self._services.registry
        return HolderQuery(
            target.collection,
            target.key,
            [grant for grant in grants if grant.policies],
            frozenset(at_address),
            in_force,
            Scopes(
                UnrestrictedScope(_sample_access(registry), now),
                UnrestrictedScope(_sample_access(registry, role=None), now),
                UnrestrictedScope(_sample_access(registry, user=None, role=None), now),
            ),
            now,
        )


def holders_lines(holders: Holders) -> Iterator[str]:
    """Yield the answer as lines of text."""
    if holders.public:
        yield "Everyone, also without signing in."
    for role in holders.roles:
        yield f'- role "{role.name}"' + ("" if role.every_user else ", but not every user, or not at every address")
    yield f"{holders.total} user{'' if holders.total == 1 else 's'}" + (
        f", of whom {len(holders.users)} follow:" if holders.users else "."
    )
    for user in holders.users:
        yield f"- {user.email or user.id}" + ("" if user.everywhere else " (at some addresses only)")


def _user(row: list[Any]) -> AllowedUser:
    user, email, first_name, last_name, role, everywhere = row
    return AllowedUser(user, email, first_name, last_name, role, bool(everywhere))


def _offset(question: HoldersQuestion) -> int:
    """Return how many users to skip."""
    if not 1 <= question.limit <= MAX_LIMIT:
        raise InvalidPayload(f'"limit" must be from 1 to {MAX_LIMIT}')
    if question.offset is not None and question.page is not None:
        raise InvalidPayload('Use either "offset" or "page"')
    offset = question.offset or 0 if question.page is None else (question.page - 1) * question.limit
    if not 0 <= offset <= MAX_OFFSET:
        raise InvalidPayload('"page" must be at least 1, and "offset" at least 0')
    return offset


def _granted(target: AccessTarget, rules: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Filter, bool]]:
    """Yield the policy, the rule, and whether it is on the user's own row only, of each permission that grants it."""
    own = replace(target, access=_sample_access(target.collection.registry, user=str(target.key)))
    for policy, rule in rules:
        if target.includes_field(rule) is not False:
            yield policy, rule.filter, False
        elif target.key is not None and own.includes_field(rule) is not False:
            yield policy, rule.filter, True


def _by_rule(granted: Iterable[tuple[str, Filter, bool]]) -> Mapping[tuple[Filter, bool], frozenset[str]]:
    keys: dict[tuple[Filter, bool], set[str]] = {}
    for policy, filter_, self_only in granted:
        keys.setdefault((filter_, self_only), set()).add(policy)
    return {rule: frozenset(policies) for rule, policies in keys.items()}


def _sample_access(registry: Registry, user: str | None = SAMPLE, role: str | None = SAMPLE) -> Access:
    """Return the access of some user, whose values are slots."""
    access = Access(
        AccessState("", user, "active", role),
        (SAMPLE,) if role else (),
        (SAMPLE,),
        admin=False,
        app=False,
        enforce_tfa=False,
        rules={},
        registry=registry,
    )
    return parameterize_access(access)
