"""Describes changes for people: one line for each row, and one for each value that is updated."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.db.base import dump_json
from app.policy_files.changes import ChangeKind, RightsChange
from app.policy_files.policy_document import POLICY_DEFAULTS, ROLE_DEFAULTS
from app.policy_files.secret_presets import without_secrets
from app.query.collection import Registry

SIGNS: Mapping[ChangeKind, str] = {"create": "+", "update": "~", "delete": "-"}
DONE: Mapping[ChangeKind, str] = {"create": "created", "update": "updated", "delete": "deleted"}
DEFAULTS = {
    **{("roles", name): value for name, value in ROLE_DEFAULTS.items()},
    **{("policies", name): value for name, value in POLICY_DEFAULTS.items()},
}
LEFT_OUT = ("id", "policy", "role", "collection", "action", "name")
"""Values that the subject of a new row says already."""


def lines(changes: Iterable[RightsChange], registry: Registry) -> Iterator[str]:
    """Yield the lines that describe changes, without the presets of secret fields."""
    for change in changes:
        yield f"{SIGNS[change.kind]} {change.subject}"
        values, before = (_without_secrets(change, side, registry) for side in (change.values, change.before))
        for name, value in values.items():
            if change.kind == "update":
                yield f"    {name}: {_text(change, before[name])} -> {_text(change, value)}"
            elif name not in LEFT_OUT and value not in (None, False, [], DEFAULTS.get((change.collection, name))):
                yield f"    {name}: {_text(change, value)}"


def summary(changes: Iterable[RightsChange]) -> str:
    """Return how many rows are created, updated and deleted, as `2 created, 0 updated, 1 deleted`."""
    kinds = [change.kind for change in changes]
    return ", ".join(f"{kinds.count(kind)} {done}" for kind, done in DONE.items())


def _without_secrets(change: RightsChange, values: Mapping[str, Any], registry: Registry) -> Mapping[str, Any]:
    if change.entry is None or "presets" not in values:
        return values
    return {**values, "presets": without_secrets(values["presets"], change.entry.collection, registry)}


def _text(change: RightsChange, value: Any) -> str:
    return dump_json(change.names.get(value, value) if isinstance(value, str) else value)
