"""The content of a document: roles, policies with their permissions, and which policies are attached to what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.policy_files.located import Located, Position

ACTIONS = ("create", "read", "update", "delete", "share")
"""The actions of permissions. Nothing in Rollcall is shared, but Directus stores such permissions."""
ROLE_DEFAULTS: Mapping[str, Any] = {"icon": "supervised_user_circle", "description": None}
POLICY_DEFAULTS: Mapping[str, Any] = {
    "icon": "badge",
    "description": None,
    "ip_access": None,
    "enforce_tfa": False,
    "admin_access": False,
    "app_access": False,
}
RULES = ("permissions", "validation", "presets")
"""The parts of a permission that are JSON."""
PERMISSION_VALUES = ("fields", *RULES)


@dataclass(frozen=True, slots=True)
class EntryReference:
    """A role or a policy by its id, its name, or both; the id counts first."""

    id: str | None
    name: str | None
    at: Position

    def __str__(self) -> str:
        """Return the reference as errors name it."""
        return f'"{self.name}"' if self.name is not None else str(self.id)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A policy that is attached to a role or to the public, with its number among those attached to the same.

    `expires` is when it ends, in the format of responses; None for never.
    """

    policy: EntryReference
    sort: int | None = None
    expires: str | None = None

    @property
    def values(self) -> dict[str, Any]:
        """The values of its access row that are not references."""
        return {"sort": self.sort, "expires": self.expires}


@dataclass(frozen=True, slots=True)
class RoleEntry:
    """A role with everything that belongs to it. `values` has the keys of ROLE_DEFAULTS."""

    id: str | None
    name: str
    at: Position
    values: Mapping[str, Any]
    parent: EntryReference | None = None
    policies: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class PermissionEntry:
    """A permission of a policy. `values` has the keys of PERMISSION_VALUES; `located` those that the file has."""

    collection: str
    action: str
    values: Mapping[str, Any]
    at: Position
    located: Mapping[str, Located] = field(default_factory=dict, compare=False)

    def position_of(self, key: str) -> Position:
        """Return where a value is."""
        return self.located[key].at if key in self.located else self.at


@dataclass(frozen=True, slots=True)
class PolicyEntry:
    """A policy with all its permissions. `values` has the keys of POLICY_DEFAULTS."""

    id: str | None
    name: str
    at: Position
    values: Mapping[str, Any]
    permissions: tuple[PermissionEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """What files say about roles and policies. What a document does not contain, it does not describe.

    `public` are the policies attached to the public, None if they are not described; unless `public_is_complete`,
    others may be attached as well. `warnings` say what was left out.
    """

    roles: tuple[RoleEntry, ...] = ()
    policies: tuple[PolicyEntry, ...] = ()
    public: tuple[Attachment, ...] | None = None
    public_is_complete: bool = True
    tests: tuple[Located, ...] = ()
    warnings: tuple[str, ...] = ()
