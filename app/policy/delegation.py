"""No one hands out more than they have: whether what somebody grants is covered by what they hold themselves."""

from dataclasses import dataclass

from app.policy.permission_summary import PermissionGrant
from app.policy.rules import DELETE, EVERY_FIELD, READ
from app.policy.write_resolver import WILDCARD_EXCLUDED_FIELDS
from app.query.collection import USERS

RESERVED_NAMES = frozenset(field.name for field in WILDCARD_EXCLUDED_FIELDS)


@dataclass(frozen=True, slots=True)
class GrantedPolicy:
    """A policy as it would be handed out: its flags, and what it permits."""

    admin: bool
    app: bool
    grants: tuple[PermissionGrant, ...]


@dataclass(frozen=True, slots=True)
class GrantorRights:
    """What the one who hands out holds: the sum of its policies, whose ids those are, and what they permit."""

    admin: bool
    app: bool
    policies: frozenset[str]
    grants: tuple[PermissionGrant, ...]

    def covers(self, granted: GrantedPolicy) -> bool:
        """Whether nothing in a policy goes beyond what is held."""
        if self.admin:
            return True
        flags = not granted.admin and (self.app or not granted.app)
        return flags and all(map(self.covers_one, granted.grants))

    def covers_one(self, granted: PermissionGrant) -> bool:
        """Whether one permission goes no further than one that is held: on as many rows, fields and conditions."""
        return self.admin or any(_within(granted, own) for own in self.grants)


def _within(granted: PermissionGrant, own: PermissionGrant) -> bool:
    same = (granted.collection, granted.action) == (own.collection, own.action)
    rows = not own.rule or own.rule == granted.rule
    judged = not own.validation or own.validation == granted.validation
    filled = not granted.presets or granted.presets == own.presets
    return same and rows and judged and filled and (granted.action == DELETE or _as_many_fields(granted, own))


def _as_many_fields(granted: PermissionGrant, own: PermissionGrant) -> bool:
    wanted, held = set(granted.fields or ()), set(own.fields or ())
    unnamed = RESERVED_NAMES if granted.collection == USERS.name and granted.action != READ else frozenset()
    return wanted <= held or (EVERY_FIELD in held and not wanted & unnamed)
