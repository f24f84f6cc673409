"""What Directus 10 grants to every role with app access, and how that adds up with a row of the role's own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.policy.rules import EVERY_FIELD

OWN: dict[str, Any] = {"user": {"_eq": "$CURRENT_USER"}}
TO_ME: dict[str, Any] = {"recipient": {"_eq": "$CURRENT_USER"}}
MINE_OR_SHARED: dict[str, Any] = {
    "_or": [
        OWN,
        {"_and": [{"user": {"_null": True}}, {"role": {"_eq": "$CURRENT_ROLE"}}]},
        {"_and": [{"user": {"_null": True}}, {"role": {"_null": True}}]},
    ]
}
USER_FIELDS = (
    "id,first_name,last_name,last_page,email,password,location,title,description,tags,preferences_divider,avatar,"
    "language,appearance,theme_light,theme_dark,tfa_secret,status,role"
)
ALL = frozenset({EVERY_FIELD})


@dataclass(frozen=True, slots=True)
class RowAccess:
    """The rows a permission reaches, what is written by it has to hold to, and its fields; None says nothing."""

    rule: Mapping[str, Any] | None
    fields: frozenset[str] = ALL
    validation: Mapping[str, Any] | None = None

    def judged(self, action: str) -> Mapping[str, Any] | None:
        """What decides about an action: a new row is only validated."""
        return self.validation if action == "create" else self.rule


MINIMUM: Mapping[tuple[str, str], RowAccess] = {
    ("directus_collections", "read"): RowAccess({}),
    ("directus_fields", "read"): RowAccess({}),
    ("directus_permissions", "read"): RowAccess({"role": {"_eq": "$CURRENT_ROLE"}}),
    ("directus_relations", "read"): RowAccess({}),
    ("directus_activity", "read"): RowAccess(OWN),
    ("directus_activity", "create"): RowAccess({}, validation={"comment": {"_nnull": True}}),
    ("directus_presets", "read"): RowAccess(MINE_OR_SHARED),
    ("directus_presets", "create"): RowAccess({}, validation=OWN),
    ("directus_presets", "update"): RowAccess(OWN, validation=OWN),
    ("directus_presets", "delete"): RowAccess(OWN),
    ("directus_roles", "read"): RowAccess({"id": {"_eq": "$CURRENT_ROLE"}}),
    ("directus_settings", "read"): RowAccess({}),
    ("directus_translations", "read"): RowAccess({}),
    ("directus_notifications", "read"): RowAccess(TO_ME),
    ("directus_notifications", "update"): RowAccess(TO_ME, frozenset({"status"})),
    ("directus_shares", "read"): RowAccess({"user_created": {"_eq": "$CURRENT_USER"}}),
    ("directus_users", "read"): RowAccess({"id": {"_eq": "$CURRENT_USER"}}, frozenset(USER_FIELDS.split(","))),
}
"""As Directus 10.13 answers `GET /permissions` to a user with nothing else."""
GONE = frozenset({("directus_permissions", "read"), ("directus_activity", "create")})
"""What of it Directus 11 doesn't grant any more; the rest is the same but for one field of one's own, `provider`."""


def narrows(action: str, own: RowAccess, minimum: RowAccess) -> bool:
    """Whether Directus 11 shows less than 10 where a row of the role's own stands beside the minimum.

    10 took the rows of both, and all fields of both on each of them; 11 shows on a row the fields of those that
    reach that very row.
    """
    mine, theirs = own.judged(action), minimum.judged(action)
    if mine == theirs or action == "delete":
        return False
    beyond_theirs = mine is not None and bool(theirs) and not _covers(own.fields, minimum.fields)
    beyond_mine = bool(mine) and not _covers(minimum.fields, own.fields)
    return beyond_theirs or beyond_mine


def narrows_without(own: RowAccess, minimum: RowAccess) -> bool:
    """The same where Directus 11's minimum hasn't that place any more: all that is left is the own row."""
    return bool(own.rule) or bool(own.validation) or not _covers(own.fields, minimum.fields)


def widens(action: str, own: RowAccess, minimum: RowAccess) -> bool:
    """Whether it shows more: beside the minimum's rule 10 took none at all for no more rows, 11 takes it for all."""
    rows = own.judged(action) is None and bool(minimum.judged(action))
    values = action == "update" and own.validation is None and bool(minimum.validation)
    return (rows or values) and (bool(own.fields) or action == "delete")


def _covers(fields: frozenset[str], others: frozenset[str]) -> bool:
    return EVERY_FIELD in fields or others <= fields
