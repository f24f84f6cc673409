"""Explains why a user may or may not do something, by the rules and predicates of the policy resolver itself."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import select

from app.core.caller import Caller
from app.core.errors import APITokenRefused, Forbidden, InvalidPayload
from app.core.timestamps import format_timestamp
from app.core.values import is_storable
from app.flows.access.candidate_permissions import (
    AccessTarget,
    CandidatePermission,
    candidate_permissions,
    evaluated_filters,
    explained_permission,
    without_matches_of,
)
from app.policy.access_expiry import has_ended
from app.policy.access_queries import permission_rows, policy_rows
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
from app.query.collection import PREFIX, Registry
from app.query.payload import parse_key
from app.query.scoped import ScopedRows
from app.query.sql_writes import in_list, rule_matches
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


class PolicyOrigin(NamedTuple):
    """An access row that attaches a policy to the user, with the name of the policy."""

    policy: str
    name: str
    origin: Origin


class AccessExplainer:
    """Answers questions about access: admins about every user, other users about themselves."""

    def __init__(self, directory: Directory) -> None:
        self._directory, self._services = directory, directory.services

    async def explain(self, question: AccessQuestion) -> Explanation:
        """Return whether the user may do it, and why.

        Raises:
            Forbidden: The caller is anonymous, or no admin and asks about another user or an item it cannot see.
            APITokenRefused: The caller is no admin and uses an API token that is limited to some policies: the answer
                names the others too.
            InvalidPayload: The collection, the action, the field or the user does not exist.
        """
        asker = await self._directory.fresh_access()
        user = question.user or asker.user
        if not asker.admin and (user is None or user != asker.user):
            raise Forbidden
        if asker.scope is not None and not asker.admin:
            raise APITokenRefused
        if user is None:
            raise InvalidPayload('"user" is required')
        ip = question.ip or (self._directory.caller.ip if user == asker.user else None)
        if not is_storable(user):
            raise InvalidPayload(NO_SUCH_USER)
        access, policies, permissions = await self._services.access_cache.inspect(Caller(user=user, ip=ip))
        if access.user is None:
            raise InvalidPayload(NO_SUCH_USER)
        target = await self._target(question, access, asker)
        origins = await self._origins(target)
        expired_policies, expired_permissions = await self._expired(target, origins)
        policies, permissions = [*policies, *expired_policies], [*permissions, *expired_permissions]
        candidates = list(candidate_permissions(target, policies, permissions, self._services.limits.size))
        matches, exists = await self._matches(target, candidates)
        if not asker.admin:
            matches = without_matches_of({row[0] for row in expired_policies}, candidates, matches)
        explained = [
            explained_permission(target, candidate, match, include_rules=asker.admin)
            for candidate, match in zip(candidates, matches, strict=True)
        ]
        by_policy = list(zip((candidate.policy for candidate in candidates), explained, strict=True))
        return _answer(target, _policies(access, origins, policies, by_policy), ip, exists=exists)

    async def _target(self, question: AccessQuestion, access: Access, asker: Access) -> AccessTarget:
        target = parse_target(question, access, asker, self._services.registry)
        if target.key is not None and not asker.admin:  # what the caller cannot see must look as if it did not exist
            collection = target.collection
            await self._directory[collection.name].read_one(target.key, {"fields": [collection.key.name]})
        return target

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

    async def _origins(self, target: AccessTarget) -> list[PolicyOrigin]:
        """Return where the policies of the user come from, those that have expired included."""
        statement = origins_query(target.access.user, target.access.roles)
        fetched = await self._services.database.reader.fetch(statement, owner=target.owner)
        return list(_parse_origins(target.access, fetched[0], self._services.clock()))

    async def _expired(self, target: AccessTarget, origins: Iterable[PolicyOrigin]) -> tuple[list[Any], list[Any]]:
        """Return the rows of the policies that the user holds no longer, and of their permissions."""
        valid = {one.policy for one in origins if not one.origin.expired}
        expired = sorted({one.policy for one in origins} - valid)
        if not expired:
            return [], []
        columns = (build(lambda key: in_list(key, expired)) for build in (policy_rows, permission_rows))
        fetched = await self._services.database.reader.fetch(select(*columns), owner=target.owner)
        return orjson.loads(fetched[0]), orjson.loads(fetched[1])


def parse_target(question: AccessQuestion, access: Access, asker: Access, registry: Registry) -> AccessTarget:
    """Return what a question is about; `access` is that of the user it is about, `asker` that of the caller.

    Raises:
        InvalidPayload: The collection, the action or, as far as the caller may know, the field does not exist.
        Forbidden: The item is no key of the collection.
    """
    if question.action not in ACTIONS:
        raise InvalidPayload(f'"action" must be one of {", ".join(ACTIONS)}')
    collection = registry.get(question.collection) or registry.get(f"{PREFIX}{question.collection}")
    if collection is None:
        raise InvalidPayload(f'There is no collection "{question.collection}"')
    field = collection.fields.get(question.field) if question.field else None
    if question.field and field is None and asker.admin:
        raise InvalidPayload(f'"{question.field}" is no field of {collection.name}')
    has_key = question.item is not None and question.action != "create"
    key = parse_key(collection, question.item) if has_key else None
    return AccessTarget(collection, question.action, key, field, question.field, access, asker.owner)


def _policies(
    access: Access,
    origins: Sequence[PolicyOrigin],
    policies: Iterable[Sequence[Any]],
    explained: Sequence[tuple[str, ExplainedPermission]],
) -> tuple[ExplainedPolicy, ...]:
    names = {one.policy: one.name for one in origins}
    return tuple(
        ExplainedPolicy(
            key,
            names.get(key, key),
            tuple(one.origin for one in origins if one.policy == key),
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


def _parse_origins(access: Access, text: str, now: datetime) -> Iterator[PolicyOrigin]:
    for access_row, policy, name, role, role_name, user, end in orjson.loads(text):
        kind: OriginKind = "public"
        if user is not None:
            kind = "user"
        elif role is not None:
            kind = "role" if role == access.state.role else "ancestor"
        expires = format_timestamp(end) if end else None
        expired = expires is not None and has_ended(end, now)
        yield PolicyOrigin(policy, name, Origin(kind, access_row, role, role_name, expires, expired))
