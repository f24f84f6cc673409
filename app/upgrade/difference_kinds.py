"""Why rights differ after an upgrade, and what is told of each that does."""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from app.upgrade.inspection import FLAGS


class Direction(Enum):
    """What becomes of a right."""

    WIDER = "wider"
    NARROWER = "narrower"
    OTHERWISE = "otherwise"


class DifferenceKind(Enum):
    """Why a right differs afterwards."""

    SEVERAL = (
        Direction.WIDER,
        "Several permissions for one role, collection and action",
        "Directus 10 enforced one of them only, the one stored first; from 11 on they all count.",
    )
    UNRULED = (
        Direction.WIDER,
        "No rule beside the app's own",
        (
            "Beside what every role with app access may do, Directus 10 took `null` for no more rows than that; from "
            "11 on it is every row. `{}` is every row in both."
        ),
    )
    ADDRESS = (
        Direction.WIDER,
        "Only from certain addresses",
        (
            "From elsewhere Directus 10 refused every request (401). From 11 on the policy doesn't count there, so "
            "that those people get what little is left without it: their own id, and what /server/info tells."
        ),
    )
    BESIDE = (
        Direction.NARROWER,
        "Permissions beside the app's own",
        (
            "Directus 10 showed the fields of both on the rows of both; from 11 on a row shows the fields of those "
            "that reach that very row, and the others are null."
        ),
    )
    DROPPED = (
        Direction.NARROWER,
        "Rules on columns that go",
        "The permission grants nothing any more, or every request it decides about fails: write it anew, by policy.",
    )
    UNLISTED = (
        Direction.NARROWER,
        "Fields that go",
        "They are named, and are simply not there any more; the permission's other fields stay as they are.",
    )
    FIELDLESS = (
        Direction.NARROWER,
        "Reading without fields",
        "Directus 10 answered with the bare keys of the rows; from 11 on reading is refused (403).",
    )
    LATER = (
        Direction.NARROWER,
        "Comments and webhooks",
        (
            "Directus' own later migrations move comments to directus_comments, for which these permissions don't "
            "count, and take webhooks away."
        ),
    )
    UNREAD = (
        Direction.NARROWER,
        "Rules that Rollcall doesn't understand",
        "With Rollcall the permission grants nothing; Directus may see in it what it always did.",
    )
    ENROLLING = (
        Direction.NARROWER,
        "A second factor is enforced, and isn't set up",
        (
            "Directus 10 insisted on it in the app alone. With Rollcall whoever signs in without can do nothing but "
            "set it up; static tokens are left alone."
        ),
    )

    def __init__(self, way: Direction, title: str, meaning: str) -> None:
        self.way, self.title, self.meaning = way, title, meaning


@dataclass(frozen=True, slots=True)
class Difference:
    """One right that differs: whose, on what, the first of the `count` permissions that cause it, and how.

    A role of None is the public; a collection of None is everything.
    """

    kind: DifferenceKind
    role: str | None
    name: str | None
    collection: str | None = None
    action: str | None = None
    ids: tuple[int, ...] = ()
    count: int = 0
    detail: str = ""


class General(NamedTuple):
    """A right that differs for many at once: for everybody, or for all roles with app access.

    `fields` are those that it is about; none means all of them.
    """

    way: Direction
    app_only: bool
    collection: str
    action: str
    fields: tuple[str, ...]
    meaning: str


GENERAL = (
    General(
        Direction.NARROWER,
        False,
        "directus_roles",
        "read",
        tuple(FLAGS),
        f"{', '.join(FLAGS)} are no fields of roles any more: asking for them is refused, and answers lack them.",
    ),
    General(
        Direction.NARROWER,
        False,
        "directus_permissions",
        "read",
        ("role",),
        "`role` is no field of permissions any more: `policy` is. Asking for it is refused, and answers lack it.",
    ),
    General(
        Direction.NARROWER,
        True,
        "directus_permissions",
        "read",
        (),
        "Reading the permissions of one's own role isn't part of app access any more: ask /permissions/me.",
    ),
    General(
        Direction.NARROWER,
        True,
        "directus_activity",
        "create",
        (),
        "Comments are no activity any more; Directus' own later migrations give them a collection of their own.",
    ),
    General(
        Direction.WIDER,
        True,
        "directus_users",
        "read",
        ("provider",),
        "App access shows of one's own account the `provider` too.",
    ),
    General(
        Direction.OTHERWISE,
        False,
        "directus_permissions",
        "read",
        (),
        "Who may read permissions is told each row by itself. Directus 10 merged those of one collection and action, "
        "and for people with app access added the app's own.",
    ),
    General(
        Direction.OTHERWISE,
        False,
        "directus_users",
        "read",
        ("auth_data",),
        "Rollcall shows `auth_data` as asterisks to everybody, as it does with other secrets.",
    ),
)
"""What differs whatever the permissions are."""
