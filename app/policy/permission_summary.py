"""Summaries of a caller's permissions, for the caller itself (`/permissions/me`)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.policy.rules import EVERY_FIELD, READ

ACTIONS = ("create", "read", "update", "delete", "share")

Summary = dict[str, dict[str, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class PermissionGrant:
    """One permission as it is stored, whether or not Rollcall serves its collection."""

    collection: str
    action: str
    rule: Mapping[str, Any]
    fields: tuple[str, ...] | None
    presets: Mapping[str, Any]
    validation: Mapping[str, Any] = field(default_factory=dict)
    applies: bool = True
    """Whether it has any effect: a permission with a filter that can't be read, or without any field, doesn't."""

    @property
    def target(self) -> tuple[str, str]:
        """The collection and the action."""
        return self.collection, self.action


def summarize(grants: Iterable[PermissionGrant]) -> Summary:
    """Return a summary per action for each collection with a grant.

    `access` is "full" if a grant has no rule and so matches every row, "partial" if every grant has a rule, "none" if
    there is no grant. `fields` are those that some grant lists; `presets` are the grants' combined presets.
    """
    by_collection: dict[str, dict[str, list[PermissionGrant]]] = {}
    for grant in grants:
        by_collection.setdefault(grant.collection, {}).setdefault(grant.action, []).append(grant)
    return {
        collection: {action: _summarize_action(actions.get(action, [])) for action in ACTIONS}
        for collection, actions in by_collection.items()
    }


def full_summary(collections: Iterable[str]) -> Summary:
    """Return the summary of a caller who may do everything."""
    full = {"access": "full", "fields": [EVERY_FIELD]}
    return {collection: {action: dict(full) for action in ACTIONS} for collection in collections}


def _summarize_action(grants: list[PermissionGrant]) -> dict[str, Any]:
    if not grants:
        return {"access": "none"}
    summary: dict[str, Any] = {"access": "partial" if all(grant.rule for grant in grants) else "full"}
    if any(grant.fields is not None for grant in grants):
        names = list(dict.fromkeys(name for grant in grants for name in grant.fields or ()))
        summary["fields"] = [EVERY_FIELD] if EVERY_FIELD in names else names
    presets = {name: value for grant in grants for name, value in grant.presets.items()}
    return summary | ({"presets": presets} if presets else {})


def parse_grant(
    action: str, collection: str, rule: str | None, fields: str | None, validation: str | None, presets: str | None
) -> PermissionGrant:
    """Parse a permission row's texts without interpreting them. A text that isn't a JSON object counts as an empty one.

    So a permission that is being granted with an unreadable rule counts as one without a rule, the widest.
    """
    names = None if fields is None else tuple(fields.split(","))
    rule_, presets_, validation_ = (_object(text) or {} for text in (rule, presets, validation))
    return PermissionGrant(collection, action, rule_, names, presets_, validation_)


def may_grant(action: str, rule: str | None, validation: str | None) -> bool:
    """Return whether a permission row's filters are objects: it grants nothing otherwise."""
    return _object(rule) is not None and (action == READ or _object(validation) is not None)


def _object(text: str | None) -> dict[str, Any] | None:
    """Return a stored JSON object, empty if the text is; None for anything else."""
    try:
        value = orjson.loads(text or "{}") or {}
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
