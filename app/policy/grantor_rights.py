"""Prevention of privilege escalation: whether granted policies are covered by the permissions of their grantor."""

from dataclasses import dataclass

from app.policy.permission_summary import PermissionGrant
from app.policy.rules import DELETE, EVERY_FIELD, READ
from app.policy.write_resolver import WILDCARD_EXCLUDED_FIELDS
from app.query.collection import USERS

WILDCARD_EXCLUDED_NAMES = frozenset(field.name for field in WILDCARD_EXCLUDED_FIELDS)


@dataclass(frozen=True, slots=True)
class GrantedPolicy:
    """A policy that is being granted: its flags and its permissions."""

    admin: bool
    app: bool
    grants: tuple[PermissionGrant, ...]


@dataclass(frozen=True, slots=True)
class GrantorRights:
    """The rights of the grantor: the combined flags of its policies, their ids, and their permissions."""

    admin: bool
    app: bool
    policies: frozenset[str]
    grants: tuple[PermissionGrant, ...]

    def covers(self, policy: GrantedPolicy) -> bool:
        """Return whether a policy grants nothing beyond the grantor's rights."""
        if self.admin:
            return True
        flags = not policy.admin and (self.app or not policy.app)
        return flags and all(map(self.covers_permission, policy.grants))

    def covers_permission(self, granted: PermissionGrant) -> bool:
        """Return whether one permission of the grantor covers a granted one in rows, fields, validation and presets."""
        return self.admin or any(_covers(own, granted) for own in self.grants)


def _covers(own: PermissionGrant, granted: PermissionGrant) -> bool:
    same_action = (own.collection, own.action) == (granted.collection, granted.action)
    rows = not own.rule or own.rule == granted.rule
    validation = not own.validation or own.validation == granted.validation
    presets = not granted.presets or granted.presets == own.presets
    fields = granted.action == DELETE or _covers_fields(own, granted)
    return same_action and rows and validation and presets and fields


def _covers_fields(own: PermissionGrant, granted: PermissionGrant) -> bool:
    granted_names, own_names = set(granted.fields or ()), set(own.fields or ())
    excluded = WILDCARD_EXCLUDED_NAMES if granted.collection == USERS.name and granted.action != READ else frozenset()
    return granted_names <= own_names or (EVERY_FIELD in own_names and not granted_names & excluded)
