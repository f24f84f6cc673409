"""What Directus 10 spelled otherwise: a role's flags, and the role that a permission belongs to.

Such a role has a policy of its own name with those flags, and such a permission belongs to that policy.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import select

from app.core.errors import InvalidForeignKey, InvalidPayload
from app.query.collection import ACCESS, PERMISSIONS, POLICIES, ROLES, Field
from app.query.legacy_fields import LEGACY_FIELD_NAMES
from app.query.payload import Payload, RelatedChanges, ReplaceRelated, parse_payload, to_column_value
from app.repositories.engine.context import WriteContext

NAME, ATTACHED = ROLES.fields["name"], ROLES.fields["policies"]
POLICY, ROLE = ACCESS.fields["policy"], ACCESS.fields["role"]
IP_ACCESS = POLICIES.fields["ip_access"]
PARENT, FLAGS = ROLES.fields["parent"], tuple(POLICIES.fields[name] for name in LEGACY_FIELD_NAMES[ROLES.name])

Row = Mapping[Field, Any]
Held = Mapping[Any, Row]
"""Policies by the access rows that attach them."""


async def expand_role(work: WriteContext, payload: Payload, row: Row | None) -> Payload:
    """A role's payload with its flags, where it has any, as a policy of its own; `row` is the role as it is stored.

    Where the flags are those that the role has already nothing is written. Raises InvalidPayload for a flag that
    another of the role's policies sets, so that it can't be unset here, and for flags beside policies.
    """
    if not payload.legacy:
        return payload
    flags = _flags(payload)
    plain = replace(payload, legacy={}, to_many=dict(payload.to_many))
    attached = await _known(work, row[ROLES.key]) if row else {}
    every = {**attached, **(await _inherited(work, row) if row else {})}
    changed = {flag: value for flag, value in flags.items() if (value or None) != (_current(every, flag) or None)}
    if not changed:
        return plain
    if ATTACHED in payload.to_many:
        raise InvalidPayload("A role takes either policies or flags such as admin_access, not both at once")
    name = payload.values.get(NAME) or (row[NAME] if row else None)
    own = {access: policy for access, policy in attached.items() if policy[POLICIES.fields["name"]] == name}
    others = {access: policy for access, policy in every.items() if access not in own}
    for flag, value in changed.items():
        if not value and _current(others, flag):
            raise InvalidPayload(f'"{flag.name}" comes from another policy of the role, and can only be changed there')
    if own:
        access, policy = next(iter(own.items()))
        inner = Payload(POLICIES, {POLICIES.key: policy[POLICIES.key], **changed}, path=payload.path)
        written = RelatedChanges((), (Payload(ACCESS, {ACCESS.key: access}, {POLICY: inner}, path=payload.path),), ())
    else:
        inner = Payload(POLICIES, {POLICIES.fields["name"]: name, **changed}, path=payload.path)
        written = RelatedChanges((Payload(ACCESS, {}, {POLICY: inner}, path=payload.path),), (), ())
    plain.to_many[ATTACHED] = written
    return plain


async def expand_permission(work: WriteContext, payload: Payload) -> Payload:
    """A permission's payload whose `role`, where it has one, is the policy of that role; null is everybody.

    A role without a key is made along with it. Raises InvalidForeignKey for a role that isn't there, InvalidPayload for
    one that is, and is told otherwise than it is.
    """
    if "role" not in payload.legacy:
        return payload
    given = payload.legacy["role"]
    belongs = PERMISSIONS.fields["policy"]
    plain = replace(payload, legacy={}, values=dict(payload.values), to_one=dict(payload.to_one))
    if given is None:
        plain.values[belongs] = await _everybodys(work)
        return plain
    named = given if isinstance(given, Mapping) else {ROLES.key.name: given}
    told = parse_payload(ROLES, named, work.services.limits.max_depth, (*payload.path, "role"))
    found = None if told.key is None else await _policy_of(work, told)
    if found is None:
        plain.to_one[belongs] = _held_by(told)
    else:
        plain.values[belongs] = found
    return plain


async def _policy_of(work: WriteContext, told: Payload) -> Any:
    """The policy of a role's own name, None where it has none; raises as `permission` does."""
    row = (await work.rows(ROLES).fetch([told.key])).get(told.key)
    if row is None:
        raise InvalidForeignKey(PERMISSIONS.name, "role", told.key)
    says_more = told.fields != {ROLES.key} or told.legacy
    if says_more and not await work.is_unchanged(told, row):
        raise InvalidPayload("A permission only says whose it is: what is to change of its role is said of the role")
    told.values[NAME] = row[NAME]
    attached = await _attached(work, told.key)
    own = (policy for policy in attached.values() if policy[POLICIES.fields["name"]] == row[NAME])
    return next((policy[POLICIES.key] for policy in own), None)


def _held_by(told: Payload) -> Payload:
    """A new policy of a role's own name, for that role alone, which is made too where it has no key."""
    values = {POLICIES.fields["name"]: told.values.get(NAME), **_flags(told)}
    role = {ROLE: told.key} if told.key else {}
    made = {} if told.key else {ROLE: replace(told, legacy={})}
    holder = ReplaceRelated((Payload(ACCESS, role, made, path=told.path),))
    return Payload(POLICIES, values, to_many={POLICIES.fields["roles"]: holder}, path=told.path)


def _flags(payload: Payload) -> dict[Field, Any]:
    """What a role's payload says of its flags."""
    given = ((POLICIES.fields[name], value) for name, value in payload.legacy.items())
    return {flag: to_column_value(POLICIES, flag, value, payload.path) for flag, value in given}


async def _attached(work: WriteContext, key: Any) -> Held:
    """The policies attached to a role itself, by their access rows."""
    rows = work.rows(ACCESS)
    access = await rows.fetch(await rows.referencing(ROLE, [key]))
    policies = await work.rows(POLICIES).fetch({row[POLICY] for row in access.values()})
    return {key: policies[row[POLICY]] for key, row in access.items()}


async def _known(work: WriteContext, key: Any) -> Held:
    """The same, as far as the caller may know of them: what it needn't write would tell it otherwise what they are."""
    return {
        access: policy
        for access, policy in (await _attached(work, key)).items()
        if await work.readable(Payload(ACCESS, {ACCESS.key: access, ROLE: key, POLICY: policy[POLICIES.key]}))
        and await work.readable(Payload(POLICIES, {field: policy[field] for field in (POLICIES.key, *FLAGS)}))
    }


async def _inherited(work: WriteContext, row: Row) -> Held:
    """The same of a role's ancestors, where a role tells their flags beside its own."""
    found: dict[Any, Row] = {}
    seen, here = {row[ROLES.key]}, row
    while work.services.limits.legacy_fields and here[PARENT] is not None and here[PARENT] not in seen:
        if not await work.readable(Payload(ROLES, {field: here[field] for field in (ROLES.key, PARENT)})):
            break
        seen.add(here[PARENT])
        here = (await work.rows(ROLES).fetch([here[PARENT]]))[here[PARENT]]
        found |= await _known(work, here[ROLES.key])
    return found


def _current(held: Held, flag: Field) -> Any:
    values = [policy[flag] for policy in held.values()]
    if flag is not IP_ACCESS:
        return any(values)
    told = sorted((value for value in values if value), key=",".join)
    return list(dict.fromkeys(word for value in told for word in value))


async def _everybodys(work: WriteContext) -> Any:
    access = ACCESS.table.c
    everybodys = select(access.policy).where(access.role.is_(None), access.user.is_(None)).order_by(access.sort)
    rows = await work.writer.rows(work.writer.prepare(everybodys))
    if not rows:
        raise InvalidPayload("There is no policy that everybody has: name the policy")
    return rows[0][0]
