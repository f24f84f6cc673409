"""Prevention of privilege escalation: whether the rights of a grantor cover what is being granted.

Rights are compared by what is certain without looking at rows. A filter is at least as strict as another if it contains
each of its parts, as text, in the same conjunction. IP rules are within others if each is within a single one of them.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson

from app.core.ip_addresses import ip_rules_within
from app.policy.permission_summary import PermissionGrant
from app.policy.rules import APP_PERMISSIONS, DELETE, EVERY_FIELD, READ
from app.policy.write_resolver import WILDCARD_EXCLUDED_FIELDS
from app.query.collection import USERS

CREATE, UPDATE = "create", "update"
CONDITIONAL_ACTIONS = (CREATE, UPDATE)
"""The actions of permissions that validate and preset values."""
WILDCARD_EXCLUDED_NAMES = frozenset(field.name for field in WILDCARD_EXCLUDED_FIELDS)

Bundle = Sequence["GrantedPolicy"]
"""The policies that one user, role or the public holds together."""


@dataclass(frozen=True, slots=True)
class GrantedPolicy:
    """A policy as it is stored: its flags, the IP rules under which it applies, and its permissions."""

    key: str
    admin: bool
    app: bool
    enforce_tfa: bool
    ip_access: tuple[str, ...]
    permissions: tuple[PermissionGrant, ...]
    until: datetime | None = None
    """When it ends for those who hold it; None if it lasts."""

    @property
    def flags(self) -> tuple[object, ...]:
        """All that decides, beside the permissions, what the policy grants."""
        return self.admin, self.app, self.enforce_tfa, self.ip_access

    @property
    def grants_anything(self) -> bool:
        """Whether the policy grants any right, and doesn't only impose conditions."""
        return self.admin or self.app or bool(self.permissions)


@dataclass(frozen=True, slots=True)
class GrantorRights:
    """The rights of the grantor: all policies attached to it, and the keys of those in force at its IP address."""

    policies: Bundle
    in_force: frozenset[str]

    def covers(self, granted: GrantedPolicy, bundle: Bundle) -> bool:
        """Return whether a policy that is held within a bundle grants nothing beyond the grantor's rights.

        One policy in force must have each right: app access, or a permission of the same rows and fields, under IP
        rules that are as wide, and for as long. Every condition of the grantor must apply to the bundle too: TFA,
        validations, presets.
        """
        if granted.admin:
            return False
        if granted.app and not any(own.app for own in self._policies_as_wide(granted)):
            return False
        has_tfa = not granted.grants_anything or all(
            not own.enforce_tfa or enforces_tfa(bundle, own, granted) for own in self.policies
        )
        return has_tfa and all(self._covers_permission(one, granted, bundle) for one in granted.permissions)

    def holds(self, policy: GrantedPolicy) -> bool:
        """Return whether a policy itself is in force for the grantor, for as long."""
        return any(own.key == policy.key and outlasts(own, policy) for own in self.policies if own.key in self.in_force)

    def _policies_as_wide(self, granted: GrantedPolicy) -> Iterator[GrantedPolicy]:
        """Yield the policies in force that apply as long as the granted one, at every IP address at which it does."""
        for own in self.policies:
            is_as_wide = ip_rules_within(granted.ip_access, own.ip_access)
            if own.key in self.in_force and is_as_wide and outlasts(own, granted):
                yield own

    def _covers_permission(self, granted: PermissionGrant, policy: GrantedPolicy, bundle: Bundle) -> bool:
        held = [(own, permission) for own in self._policies_as_wide(policy) for permission in _permissions(own)]
        is_held = any(own.key == policy.key and _fingerprint(one) == _fingerprint(granted) for own, one in held)
        own_permissions = [one for _, one in held if one.applies and one.target == granted.target]
        if not is_held and not any(_covers(own, granted, own_permissions) for own in own_permissions):
            return False
        conditions = ((own, one) for own in self.policies for one in conditional_permissions(own))
        return all(
            imposes(bundle, own, one, policy, granted) for own, one in conditions if one.target == granted.target
        )


def outlasts(one: GrantedPolicy, other: GrantedPolicy) -> bool:
    """Return whether a policy applies for as long as another one."""
    return one.until is None or (other.until is not None and one.until >= other.until)


def lost_conditions(before: Bundle, after: Bundle) -> tuple[bool, set[tuple[str, str]]]:
    """Return whether a bundle no longer requires TFA, and the targets of the validations and presets that it lost."""
    conditions = [(policy, one) for policy in before for one in conditional_permissions(policy)]
    changed = {target for target, *_ in _conditions(before) ^ _conditions(after)}
    targets = {
        one.target
        for policy, one in conditions
        if one.target in changed and not imposes(after, policy, one, policy, one)
    }
    return any(policy.enforce_tfa and not enforces_tfa(after, policy, policy) for policy in before), targets


def enforces_tfa(bundle: Bundle, condition: GrantedPolicy, granted: GrantedPolicy) -> bool:
    """Return whether a bundle enforces TFA wherever both `condition`, which does, and `granted` apply."""
    return any(one.enforce_tfa and _applies_with(one, condition, granted) for one in bundle)


def imposes(
    bundle: Bundle,
    policy: GrantedPolicy,
    condition: PermissionGrant,
    granted_policy: GrantedPolicy,
    granted: PermissionGrant,
) -> bool:
    """Return whether a bundle imposes a permission's validation and presets on all that `granted` allows.

    All permissions to create rows apply to each new row; to update, those whose rule matches the row. A preset that
    has another value in the bundle counts as missing, because the order of the permissions would decide.
    """
    candidates = [(holder, one) for holder in bundle for one in holder.permissions if one.applies]
    relevant = [(holder, one) for holder, one in candidates if one.target == condition.target]
    if any(
        name in one.presets and _text(one.presets[name]) != _text(value)
        for _, one in relevant
        for name, value in condition.presets.items()
    ):
        return False
    rows = _conjuncts(condition.rule) | _conjuncts(granted.rule)
    return any(
        _applies_with(holder, policy, granted_policy)
        and (one.action == CREATE or _conjuncts(one.rule) <= rows)
        and _conjuncts(condition.validation) <= _conjuncts(one.validation)
        and condition.presets.keys() <= one.presets.keys()
        for holder, one in relevant
    )


def conditional_permissions(policy: GrantedPolicy) -> Iterator[PermissionGrant]:
    """Yield the permissions that not only grant, but also validate or preset written values."""
    for one in policy.permissions:
        if one.applies and one.action in CONDITIONAL_ACTIONS and (one.validation or one.presets):
            yield one


def _conditions(bundle: Bundle) -> set[tuple[object, ...]]:
    return {
        (one.target, policy.ip_access, policy.until, _fingerprint(one))
        for policy in bundle
        for one in conditional_permissions(policy)
    }


def changed_part(before: GrantedPolicy | None, after: GrantedPolicy) -> GrantedPolicy:
    """Return the part of a policy that a write granted: its new and changed permissions.

    That is all of it if its flags changed, or if it lasts longer than before.
    """
    if before is None or before.flags != after.flags or not outlasts(before, after):
        return after
    known = set(map(_fingerprint, before.permissions))
    return replace(
        after,
        admin=False,
        app=False,
        permissions=tuple(one for one in after.permissions if _fingerprint(one) not in known),
    )


def part_of_targets(policy: GrantedPolicy, targets: Collection[tuple[str, str]]) -> GrantedPolicy:
    """Return the permissions of a policy for some collections and actions, as a policy.

    Admins aren't subject to validations and presets, so they gain nothing from losing one.
    """
    permissions = tuple(one for one in policy.permissions if one.target in targets)
    return replace(policy, admin=False, app=False, permissions=permissions)


def _applies_with(one: GrantedPolicy, condition: GrantedPolicy, granted: GrantedPolicy) -> bool:
    """Return whether a policy applies at every IP address at which two others both do, and as long as both do."""
    applies = any(ip_rules_within(other.ip_access, one.ip_access) for other in (granted, condition))
    return applies and any(outlasts(one, other) for other in (granted, condition))


def _permissions(policy: GrantedPolicy) -> Iterator[PermissionGrant]:
    """Yield a policy's permissions, and those that app access includes."""
    yield from policy.permissions
    for collection, rule, fields in APP_PERMISSIONS if policy.app else ():
        yield PermissionGrant(collection, READ, rule, tuple(fields.split(",")), {})


def _covers(own: PermissionGrant, granted: PermissionGrant, all_own: Iterable[PermissionGrant]) -> bool:
    """Return whether a permission covers another's rows and fields, and the values that it presets.

    A preset is covered if the grantor may write its field in every row, or if its own permissions preset the value too.
    """
    if not _conjuncts(own.rule) <= _conjuncts(granted.rule):
        return False
    if granted.action != DELETE and not _covers_fields(own, granted, granted.fields or ()):
        return False
    if granted.action not in CONDITIONAL_ACTIONS:
        return True
    return all(
        any(_covers_preset(one, granted, name, value) for one in all_own) for name, value in granted.presets.items()
    )


def _covers_preset(own: PermissionGrant, granted: PermissionGrant, name: str, value: Any) -> bool:
    """Return whether the grantor, by one permission, may or does write a value to all rows that a granted one writes.

    It must be all rows for a field that may be written: a row may match the permission no longer once it is written.
    """
    if not _conjuncts(own.rule) and _covers_fields(own, granted, (name,)):
        return True
    same_rows = own.action == CREATE or _conjuncts(own.rule) <= _conjuncts(granted.rule)
    return same_rows and name in own.presets and _text(own.presets[name]) == _text(value)


def _covers_fields(own: PermissionGrant, granted: PermissionGrant, names: Iterable[str]) -> bool:
    granted_names, own_names = set(names), set(own.fields or ())
    excluded = WILDCARD_EXCLUDED_NAMES if granted.collection == USERS.name and granted.action != READ else frozenset()
    return granted_names <= own_names or (EVERY_FIELD in own_names and not granted_names & excluded)


def _conjuncts(filter_: Mapping[str, Any]) -> frozenset[bytes]:
    """Return the parts of a filter, all of which a row must match, as canonical JSON."""
    parts: set[bytes] = set()
    for name, value in filter_.items():
        if name == "_and" and isinstance(value, list) and all(isinstance(part, Mapping) for part in value):
            parts.update(*map(_conjuncts, value))
        else:
            parts.add(_text({name: value}))
    return frozenset(parts)


def _fingerprint(permission: PermissionGrant) -> bytes:
    """Return a text that is equal only for permissions that grant the same."""
    parts = (permission.rule, permission.fields, permission.presets, permission.validation)
    return _text([*permission.target, *parts, permission.applies])


def _text(value: Any) -> bytes:
    """Return a value as canonical JSON, in which true is not 1."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
