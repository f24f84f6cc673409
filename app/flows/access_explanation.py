"""Explains why a user may or may not do something, by the rules and predicates of the policy resolver itself."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import select

from app.core.caller import Caller
from app.core.errors import Forbidden, InvalidPayload
from app.core.values import is_storable
from app.flows.candidate_permissions import (
    AccessTarget,
    CandidatePermission,
    candidate_permissions,
    evaluated_filters,
    explained_permission,
)
from app.policy.explanation import (
    ExplainedPermission,
    ExplainedPolicy,
    Explanation,
    Origin,
    OriginKind,
    Subject,
    changes_that_would_allow,
    reasons,
)
from app.policy.policy_origins import origins_query
from app.policy.rules import Access
from app.policy.scopes import UnrestrictedScope
from app.query.collection import PREFIX
from app.query.payload import parse_key
from app.query.scoped import ScopedRows
from app.query.sql_writes import rule_matches
from app.repositories.directory import Directory
from app.repositories.rules.users import ACTIVE

ACTIONS = ("create", "read", "update", "delete")
MAX_CONDITIONS = 100
"""Comparisons of all rules together that are evaluated one by one; of more, only whole rules are evaluated."""
NO_SUCH_USER = "There is no user with this id"


@dataclass(frozen=True, slots=True)
class AccessQuestion:
    """A question: may this user, by default the caller, do something with a collection, an item, or a field of it?

    `ip` is the address that the user's requests come from, by default the caller's own for questions about itself.
    """

    collection: str
    action: str
    user: str | None = None
    item: Any = None
    field: str | None = None
    ip: str | None = None


class AccessExplainer:
    """Answers questions about access: admins about every user, other users about themselves."""

    def __init__(self, directory: Directory) -> None:
        self._directory, self._services = directory, directory.services

    async def explain(self, question: AccessQuestion) -> Explanation:
        """Return whether the user may do it, and why.

        Raises:
            Forbidden: The caller is anonymous, or no admin and asks about another user or an item it cannot see.
            InvalidPayload: The collection, the action, the field or the user does not exist.
        """
        asker = await self._directory.fresh_access()
        user = question.user or asker.user
        if not asker.admin and (user is None or user != asker.user):
            raise Forbidden
        if user is None:
            raise InvalidPayload('"user" is required')
        ip = question.ip or (self._directory.caller.ip if user == asker.user else None)
        if not is_storable(user):
            raise InvalidPayload(NO_SUCH_USER)
        access, policies, permissions = await self._services.access_cache.inspect(Caller(user=user, ip=ip))
        if access.user is None:
            raise InvalidPayload(NO_SUCH_USER)
        target = await self._target(question, access, asker)
        candidates = list(candidate_permissions(target, policies, permissions, self._services.limits.size))
        matches, exists = await self._matches(target, candidates)
        explained = [
            explained_permission(target, candidate, match, include_rules=asker.admin)
            for candidate, match in zip(candidates, matches, strict=True)
        ]
        by_policy = list(zip((candidate.policy for candidate in candidates), explained, strict=True))
        return _answer(target, await self._policies(target, policies, by_policy), ip, exists=exists)

    async def _target(self, question: AccessQuestion, access: Access, asker: Access) -> AccessTarget:
        if question.action not in ACTIONS:
            raise InvalidPayload(f'"action" must be one of {", ".join(ACTIONS)}')
        registry = self._services.registry
        collection = registry.get(question.collection) or registry.get(f"{PREFIX}{question.collection}")
        if collection is None:
            raise InvalidPayload(f'There is no collection "{question.collection}"')
        field = collection.fields.get(question.field) if question.field else None
        if question.field and field is None and asker.admin:
            raise InvalidPayload(f'"{question.field}" is no field of {collection.name}')
        key = None
        if question.item is not None and question.action != "create":
            key = parse_key(collection, question.item)
            if not asker.admin:  # a row that the caller cannot see must look like one that does not exist
                await self._directory[collection.name].read_one(key, {"fields": [collection.key.name]})
        return AccessTarget(collection, question.action, key, field, question.field, access, asker.owner)

    async def _matches(
        self, target: AccessTarget, candidates: Sequence[CandidatePermission]
    ) -> tuple[list[list[bool | None]], bool | None]:
        """Return, for each candidate, whether its rule and then each of its comparisons match the item.

        Also return whether the item exists; both are None without an item.
        """
        split = sum(len(candidate.conditions()) for candidate in candidates) <= MAX_CONDITIONS
        filters = [evaluated_filters(candidate, split=split) for candidate in candidates]
        if target.key is None:
            return [[None] * len(each) for each in filters], None
        scope = UnrestrictedScope(target.access, self._services.clock())
        conditions = [scope.condition(target.collection, filter_) for each in filters for filter_ in each]
        statement = select(rule_matches(ScopedRows(target.collection, tuple(conditions)), [target.key]))
        rows = orjson.loads((await self._services.database.reader.fetch(statement, owner=target.owner))[0])
        flags = iter(map(bool, rows[0][1:]) if rows else ())
        return [[next(flags, False) for _ in each] for each in filters], bool(rows)

    async def _policies(
        self,
        target: AccessTarget,
        policies: Iterable[Sequence[Any]],
        explained: Sequence[tuple[str, ExplainedPermission]],
    ) -> tuple[ExplainedPolicy, ...]:
        access = target.access
        statement = origins_query(access.user, access.roles)
        fetched = await self._services.database.reader.fetch(statement, owner=target.owner)
        origins = [(policy, name, _origin(access, *rest)) for policy, name, rest in _origin_rows(fetched[0])]
        names = {policy: name for policy, name, _ in origins}
        return tuple(
            ExplainedPolicy(
                key,
                names.get(key, key),
                tuple(origin for policy, _, origin in origins if policy == key),
                key in access.policies,
                tuple(ip_access.split(",")) if ip_access else (),
                bool(admin),
                bool(app),
                tuple(permission for policy, permission in explained if policy == key),
            )
            for key, ip_access, admin, app, _ in sorted(policies, key=lambda row: names.get(row[0], row[0]))
        )


def _answer(
    target: AccessTarget, policies: tuple[ExplainedPolicy, ...], ip: str | None, *, exists: bool | None
) -> Explanation:
    access, is_active = target.access, target.access.state.status == ACTIVE
    item = None if target.key is None else str(target.key)
    field = None if target.action == "delete" else target.field_name
    subject = Subject(target.action, target.collection.name, item, field)
    granted = access.admin or any(
        policy.in_force and any(permission.grants for permission in policy.permissions) for policy in policies
    )
    why, enough = list(reasons(subject, policies)), []
    if not is_active:
        why.insert(0, f"The user's status is {access.state.status}, so none of its requests is answered.")
        enough.append('Set the user\'s status to "active".')
    if exists is False:
        why.insert(0, "There is no such item.")
    elif not granted:
        enough += changes_that_would_allow(subject, policies)
    return Explanation(
        granted and is_active and exists is not False,
        access.user,
        access.state.status,
        subject.collection,
        subject.action,
        item,
        field,
        ip,
        tuple(why),
        tuple(enough),
        policies,
    )


def _origin_rows(text: str) -> Iterator[tuple[str, str, tuple[Any, ...]]]:
    """Yield the policy, its name, and access row, role, the role's name and user of each origin."""
    for access_row, policy, name, role, role_name, user in orjson.loads(text):
        yield policy, name, (access_row, role, role_name, user)


def _origin(access: Access, access_row: str, role: str | None, role_name: str | None, user: str | None) -> Origin:
    kind: OriginKind = "public"
    if user is not None:
        kind = "user"
    elif role is not None:
        kind = "role" if role == access.state.role else "ancestor"
    return Origin(kind, access_row, role, role_name)
