"""Replaces the fields of Directus 10 in payloads: the flags of a role, and the role of a permission.

The flags are written to a policy that has the name of the role, and the permission to that policy.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import select

from app.core.errors import InvalidForeignKey, InvalidPayload
from app.query.collection import ACCESS, PERMISSIONS, POLICIES, ROLES, Field
from app.query.legacy_fields import LEGACY_FIELD_NAMES
from app.query.payload import FieldPath, Payload, RelatedChanges, ReplaceRelated, parse_payload, to_column_value
from app.repositories.engine.context import RowValues, WriteContext

NAME, PARENT, ROLE_POLICIES = (ROLES.fields[name] for name in ("name", "parent", "policies"))
POLICY_NAME, IP_ACCESS = POLICIES.fields["name"], POLICIES.fields["ip_access"]
POLICY, ROLE = ACCESS.fields["policy"], ACCESS.fields["role"]
FLAGS = tuple(POLICIES.fields[name] for name in LEGACY_FIELD_NAMES[ROLES.name])

AttachedPolicies = Mapping[Any, RowValues]
"""Policies by the key of the access row that attaches them."""


async def expand_role(work: WriteContext, payload: Payload, row: RowValues | None) -> Payload:
    """Return a role's payload with its flags, if any, moved to a policy; `row` is the stored role, None for a new one.

    Flags that already have their value on the role are dropped.

    Raises:
        InvalidPayload: A flag to unset is set by another policy of the role, or the payload has flags and policies.
    """
    if not payload.legacy:
        return payload
    flags = _flags(payload)
    expanded = replace(payload, legacy={}, to_many=dict(payload.to_many))
    attached = await _readable_policies(work, row[ROLES.key]) if row else {}
    all_policies = {**attached, **(await _inherited_policies(work, row) if row else {})}
    changed = {
        flag: value for flag, value in flags.items() if (value or None) != (_current_value(all_policies, flag) or None)
    }
    if not changed:
        return expanded
    if ROLE_POLICIES in payload.to_many:
        raise InvalidPayload("A role takes either policies or flags such as admin_access, not both at once")
    name = payload.values.get(NAME) or (row[NAME] if row else None)
    own = {access: policy for access, policy in attached.items() if policy[POLICY_NAME] == name}
    others = {access: policy for access, policy in all_policies.items() if access not in own}
    for flag, value in changed.items():
        if not value and _current_value(others, flag):
            raise InvalidPayload(f'"{flag.name}" comes from another policy of the role, and can only be changed there')
    expanded.to_many[ROLE_POLICIES] = _own_policy_changes(own, name, changed, payload.path)
    return expanded


async def expand_permission(work: WriteContext, payload: Payload) -> Payload:
    """Return a permission's payload with its `role`, if any, replaced by the policy of that role; null is the public.

    A role without a key is created.

    Raises:
        InvalidForeignKey: There is no such role.
        InvalidPayload: The payload changes an existing role, or there is no public policy.
    """
    if "role" not in payload.legacy:
        return payload
    value = payload.legacy["role"]
    policy_field = PERMISSIONS.fields["policy"]
    expanded = replace(payload, legacy={}, values=dict(payload.values), to_one=dict(payload.to_one))
    if value is None:
        expanded.values[policy_field] = await _public_policy(work)
        return expanded
    raw_role = value if isinstance(value, Mapping) else {ROLES.key.name: value}
    roles = work.services.registry.own(ROLES)
    role = parse_payload(roles, raw_role, work.services.limits.max_depth, (*payload.path, "role"))
    policy = None if role.key is None else await _own_policy(work, role)
    if policy is None:
        expanded.to_one[policy_field] = _new_own_policy(role)
    else:
        expanded.values[policy_field] = policy
    return expanded


def _own_policy_changes(own: AttachedPolicies, name: Any, flags: RowValues, path: FieldPath) -> RelatedChanges:
    """Return the changes to a role's policies that set flags on the one with its name, or create that one."""
    if own:
        access, policy = next(iter(own.items()))
        values = Payload(POLICIES, {POLICIES.key: policy[POLICIES.key], **flags}, path=path)
        return RelatedChanges((), (Payload(ACCESS, {ACCESS.key: access}, {POLICY: values}, path=path),), ())
    values = Payload(POLICIES, {POLICY_NAME: name, **flags}, path=path)
    return RelatedChanges((Payload(ACCESS, {}, {POLICY: values}, path=path),), (), ())


async def _own_policy(work: WriteContext, role: Payload) -> Any:
    """Return the key of the role's policy that has its name, None if there is none; raise as `expand_permission`."""
    row = (await work.rows(ROLES).fetch([role.key])).get(role.key)
    if row is None:
        raise InvalidForeignKey(PERMISSIONS.name, "role", role.key)
    has_more_than_key = role.fields != {ROLES.key} or role.legacy
    if has_more_than_key and not await work.is_unchanged(role, row):
        raise InvalidPayload('The "role" of a permission can\'t be changed along with it; update the role instead')
    role.values[NAME] = row[NAME]
    attached = await _attached_policies(work, role.key)
    own = (policy for policy in attached.values() if policy[POLICY_NAME] == row[NAME])
    return next((policy[POLICIES.key] for policy in own), None)


def _new_own_policy(role: Payload) -> Payload:
    """Return a new policy with the role's name and flags, attached to that role, which is created if it has no key."""
    values = {POLICY_NAME: role.values.get(NAME), **_flags(role)}
    existing_role = {ROLE: role.key} if role.key else {}
    new_role = {} if role.key else {ROLE: replace(role, legacy={})}
    access = ReplaceRelated((Payload(ACCESS, existing_role, new_role, path=role.path),))
    return Payload(POLICIES, values, to_many={POLICIES.fields["roles"]: access}, path=role.path)


def _flags(payload: Payload) -> dict[Field, Any]:
    """Return the flags in a role's payload as column values of a policy."""
    flags = ((POLICIES.fields[name], value) for name, value in payload.legacy.items())
    return {flag: to_column_value(POLICIES, flag, value, payload.path) for flag, value in flags}


async def _attached_policies(work: WriteContext, key: Any) -> AttachedPolicies:
    """Return the policies that are attached to the role itself."""
    rows = work.rows(ACCESS)
    access = await rows.fetch(await rows.referencing(ROLE, [key]))
    policies = await work.rows(POLICIES).fetch({row[POLICY] for row in access.values()})
    return {access_key: policies[row[POLICY]] for access_key, row in access.items()}


async def _readable_policies(work: WriteContext, key: Any) -> AttachedPolicies:
    """Return the attached policies that the caller may read; a dropped flag would reveal the value of any other."""
    return {
        access: policy
        for access, policy in (await _attached_policies(work, key)).items()
        if await work.readable(Payload(ACCESS, {ACCESS.key: access, ROLE: key, POLICY: policy[POLICIES.key]}))
        and await work.readable(Payload(POLICIES, {field: policy[field] for field in (POLICIES.key, *FLAGS)}))
    }


async def _inherited_policies(work: WriteContext, row: RowValues) -> AttachedPolicies:
    """Return the readable policies of a role's ancestors, if a role shows their flags combined with its own."""
    inherited: dict[Any, RowValues] = {}
    visited, current = {row[ROLES.key]}, row
    while work.services.limits.legacy_fields and current[PARENT] is not None and current[PARENT] not in visited:
        if not await work.readable(Payload(ROLES, {field: current[field] for field in (ROLES.key, PARENT)})):
            break
        visited.add(current[PARENT])
        current = (await work.rows(ROLES).fetch([current[PARENT]]))[current[PARENT]]
        inherited |= await _readable_policies(work, current[ROLES.key])
    return inherited


def _current_value(policies: AttachedPolicies, flag: Field) -> Any:
    """Return a flag as the role shows it: set if any policy sets it, or the IP rules of all policies."""
    values = [policy[flag] for policy in policies.values()]
    if flag is not IP_ACCESS:
        return any(values)
    rule_lists = sorted((value for value in values if value), key=",".join)
    return list(dict.fromkeys(rule for rules in rule_lists for rule in rules))


async def _public_policy(work: WriteContext) -> Any:
    access = ACCESS.table.c
    public = select(access.policy).where(access.role.is_(None), access.user.is_(None)).order_by(access.sort)
    rows = await work.writer.rows(work.writer.prepare(public))
    if not rows:
        raise InvalidPayload('There is no public policy; set "policy" instead of "role"')
    return rows[0][0]
