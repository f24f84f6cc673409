"""The ways in which access differs after an upgrade, and the text that explains each of them."""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from app.upgrade.inspection import ROLE_FLAGS


class Direction(Enum):
    """How access changes."""

    WIDER = "wider"
    NARROWER = "narrower"
    DIFFERENT = "different"


class DifferenceKind(Enum):
    """Why access changes."""

    DUPLICATE_PERMISSIONS = (
        Direction.WIDER,
        "Several permissions for one role, collection and action",
        "Directus 10 applied only the one stored first; Directus 11 applies all of them.",
    )
    NULL_RULE = (
        Direction.WIDER,
        "Null rules beside the app minimum",
        (
            "Beside the permissions that every role with app access has, Directus 10 read the rule `null` as no "
            "further rows; Directus 11 reads it as every row. `{}` means every row in both."
        ),
    )
    IP_ACCESS = (
        Direction.WIDER,
        "Roles limited to IP addresses",
        (
            "From other addresses Directus 10 refused every request (401). In Directus 11 the policy does not apply "
            "there, and users keep the little that needs no policy: their own id, and what /server/info returns."
        ),
    )
    BESIDE_APP_MINIMUM = (
        Direction.NARROWER,
        "Permissions beside the app minimum",
        (
            "Directus 10 returned the fields of both on the rows of both; Directus 11 returns on each row the fields "
            "of those that match that row, and the others are null."
        ),
    )
    REMOVED_COLUMNS = (
        Direction.NARROWER,
        "Rules on removed columns",
        "The permission no longer grants anything, or every request it decides fails. Rewrite it to use policies.",
    )
    REMOVED_FIELDS = (
        Direction.NARROWER,
        "Removed fields",
        "The permission lists fields that no longer exist; its other fields stay as they are.",
    )
    NO_FIELDS = (
        Direction.NARROWER,
        "Read permissions without fields",
        "Directus 10 returned the primary keys of the rows; Directus 11 refuses to read them (403).",
    )
    LATER_MIGRATIONS = (
        Direction.NARROWER,
        "Comments and webhooks",
        (
            "Directus' own later migrations move comments to directus_comments, to which these permissions do not "
            "apply, and remove webhooks."
        ),
    )
    UNSUPPORTED_RULE = (
        Direction.NARROWER,
        "Rules that Rollcall does not support",
        "In Rollcall the permission grants nothing; Directus may still apply it.",
    )
    TFA_SETUP_REQUIRED = (
        Direction.NARROWER,
        "Two-factor authentication is required, but not set up",
        (
            "Directus 10 enforced it in the app only. In Rollcall users who log in without it can do nothing but set "
            "it up; static tokens are not affected."
        ),
    )

    def __init__(self, direction: Direction, title: str, meaning: str) -> None:
        self.direction, self.title, self.meaning = direction, title, meaning


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference: its role and collection, and the first ids of the `count` permissions that cause it.

    A `role` of None is the public; a `collection` of None is every collection. `name` is the role's.
    """

    kind: DifferenceKind
    role: str | None
    name: str | None
    collection: str | None = None
    action: str | None = None
    ids: tuple[int, ...] = ()
    count: int = 0
    detail: str = ""


class GeneralDifference(NamedTuple):
    """A difference for every role, or for all roles with app access; empty `fields` mean all fields."""

    direction: Direction
    app_only: bool
    collection: str
    action: str
    fields: tuple[str, ...]
    meaning: str


GENERAL_DIFFERENCES = (
    GeneralDifference(
        Direction.NARROWER,
        False,
        "directus_roles",
        "read",
        tuple(ROLE_FLAGS),
        f"Roles no longer have {', '.join(ROLE_FLAGS)}: requests that name them fail, and responses lack them.",
    ),
    GeneralDifference(
        Direction.NARROWER,
        False,
        "directus_permissions",
        "read",
        ("role",),
        "Permissions have `policy` instead of `role`: requests that name `role` fail, and responses lack it.",
    ),
    GeneralDifference(
        Direction.NARROWER,
        True,
        "directus_permissions",
        "read",
        (),
        "App access no longer includes reading the permissions of one's own role: use /permissions/me.",
    ),
    GeneralDifference(
        Direction.NARROWER,
        True,
        "directus_activity",
        "create",
        (),
        "Comments are no longer stored as activity; Directus' own later migrations give them their own collection.",
    ),
    GeneralDifference(
        Direction.WIDER,
        True,
        "directus_users",
        "read",
        ("provider",),
        "App access also includes `provider` of one's own account.",
    ),
    GeneralDifference(
        Direction.DIFFERENT,
        False,
        "directus_permissions",
        "read",
        (),
        "Each permission is returned as a row of its own. Directus 10 merged those of one collection and action, and "
        "added the app minimum for users with app access.",
    ),
    GeneralDifference(
        Direction.DIFFERENT,
        False,
        "directus_users",
        "read",
        ("auth_data",),
        "Rollcall returns `auth_data` as asterisks to everyone, as it does with other secrets.",
    ),
)
"""Differences that do not depend on the permissions stored."""
