"""What a caller's permissions add up to, told to the caller itself."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.policy.rules import EVERY_FIELD

ACTIONS = ("create", "read", "update", "delete", "share")

Summary = dict[str, dict[str, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class PermissionGrant:
    """One permission as it is written down, whether its collection is served here or not."""

    collection: str
    action: str
    rule: Mapping[str, Any]
    fields: tuple[str, ...] | None
    presets: Mapping[str, Any]
    validation: Mapping[str, Any] = field(default_factory=dict)


def summarize(grants: Iterable[PermissionGrant]) -> Summary:
    """For each collection with a grant, what every action comes to.

    `access` is "full" where some grant reaches every row, "partial" where all have a rule, "none" where there is no
    grant; `fields` are those that some grant names, `presets` what a new row is given.
    """
    held: dict[str, dict[str, list[PermissionGrant]]] = {}
    for grant in grants:
        held.setdefault(grant.collection, {}).setdefault(grant.action, []).append(grant)
    return {
        collection: {action: _sum(actions.get(action, [])) for action in ACTIONS}
        for collection, actions in held.items()
    }


def full_summary(collections: Iterable[str]) -> Summary:
    """The summary of one who may do everything."""
    full = {"access": "full", "fields": [EVERY_FIELD]}
    return {collection: {action: dict(full) for action in ACTIONS} for collection in collections}


def _sum(grants: list[PermissionGrant]) -> dict[str, Any]:
    if not grants:
        return {"access": "none"}
    told: dict[str, Any] = {"access": "partial" if all(grant.rule for grant in grants) else "full"}
    if any(grant.fields is not None for grant in grants):
        named = list(dict.fromkeys(field for grant in grants for field in grant.fields or ()))
        told["fields"] = [EVERY_FIELD] if EVERY_FIELD in named else named
    presets = {name: value for grant in grants for name, value in grant.presets.items()}
    return told | ({"presets": presets} if presets else {})
