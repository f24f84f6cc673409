"""The app minimum: what Directus 10 grants to every role with app access, and its effect beside stored permissions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.policy.rules import EVERY_FIELD

OWN_ROWS: dict[str, Any] = {"user": {"_eq": "$CURRENT_USER"}}
OWN_NOTIFICATIONS: dict[str, Any] = {"recipient": {"_eq": "$CURRENT_USER"}}
OWN_OR_SHARED_PRESETS: dict[str, Any] = {
    "_or": [
        OWN_ROWS,
        {"_and": [{"user": {"_null": True}}, {"role": {"_eq": "$CURRENT_ROLE"}}]},
        {"_and": [{"user": {"_null": True}}, {"role": {"_null": True}}]},
    ]
}
USER_FIELDS = (
    "id,first_name,last_name,last_page,email,password,location,title,description,tags,preferences_divider,avatar,"
    "language,appearance,theme_light,theme_dark,tfa_secret,status,role"
)
ALL_FIELDS = frozenset({EVERY_FIELD})


@dataclass(frozen=True, slots=True)
class RowAccess:
    """A permission's rule for rows, fields, and rule for written values; a rule may be null."""

    rule: Mapping[str, Any] | None
    fields: frozenset[str] = ALL_FIELDS
    validation: Mapping[str, Any] | None = None

    def condition(self, action: str) -> Mapping[str, Any] | None:
        """Return the rule that decides an action: for create the validation, because there is no row to select."""
        return self.validation if action == "create" else self.rule


APP_MINIMUM: Mapping[tuple[str, str], RowAccess] = {
    ("directus_collections", "read"): RowAccess({}),
    ("directus_fields", "read"): RowAccess({}),
    ("directus_permissions", "read"): RowAccess({"role": {"_eq": "$CURRENT_ROLE"}}),
    ("directus_relations", "read"): RowAccess({}),
    ("directus_activity", "read"): RowAccess(OWN_ROWS),
    ("directus_activity", "create"): RowAccess({}, validation={"comment": {"_nnull": True}}),
    ("directus_presets", "read"): RowAccess(OWN_OR_SHARED_PRESETS),
    ("directus_presets", "create"): RowAccess({}, validation=OWN_ROWS),
    ("directus_presets", "update"): RowAccess(OWN_ROWS, validation=OWN_ROWS),
    ("directus_presets", "delete"): RowAccess(OWN_ROWS),
    ("directus_roles", "read"): RowAccess({"id": {"_eq": "$CURRENT_ROLE"}}),
    ("directus_settings", "read"): RowAccess({}),
    ("directus_translations", "read"): RowAccess({}),
    ("directus_notifications", "read"): RowAccess(OWN_NOTIFICATIONS),
    ("directus_notifications", "update"): RowAccess(OWN_NOTIFICATIONS, frozenset({"status"})),
    ("directus_shares", "read"): RowAccess({"user_created": {"_eq": "$CURRENT_USER"}}),
    ("directus_users", "read"): RowAccess({"id": {"_eq": "$CURRENT_USER"}}, frozenset(USER_FIELDS.split(","))),
}
"""Directus 10.13's response to `GET /permissions` for a user of a role without stored permissions."""
REMOVED_FROM_MINIMUM = frozenset({("directus_permissions", "read"), ("directus_activity", "create")})
"""What Directus 11 no longer grants. The rest is the same, except that users also see their own `provider`."""


def narrows(action: str, stored: RowAccess, minimum: RowAccess) -> bool:
    """Return whether Directus 11 returns less than 10 for a stored permission beside the minimum.

    Directus 10 returned the rows of both, each with the fields of both. Directus 11 returns on a row only the fields of
    the permissions that match that row.
    """
    stored_rule, minimum_rule = stored.condition(action), minimum.condition(action)
    if stored_rule == minimum_rule or action == "delete":
        return False
    loses_minimum_fields = stored_rule is not None and bool(minimum_rule) and not _covers(stored.fields, minimum.fields)
    loses_stored_fields = bool(stored_rule) and not _covers(minimum.fields, stored.fields)
    return loses_minimum_fields or loses_stored_fields


def narrows_without_minimum(stored: RowAccess, minimum: RowAccess) -> bool:
    """Return the same where Directus 11 has dropped the minimum, so that only the stored permission is left."""
    return bool(stored.rule) or bool(stored.validation) or not _covers(stored.fields, minimum.fields)


def widens(action: str, stored: RowAccess, minimum: RowAccess) -> bool:
    """Return whether Directus 11 returns more: it reads a null rule as every row, 10 as no row beyond the minimum."""
    more_rows = stored.condition(action) is None and bool(minimum.condition(action))
    more_values = action == "update" and stored.validation is None and bool(minimum.validation)
    return (more_rows or more_values) and (bool(stored.fields) or action == "delete")


def _covers(fields: frozenset[str], others: frozenset[str]) -> bool:
    return EVERY_FIELD in fields or others <= fields
