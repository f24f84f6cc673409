"""What the permissions of a policy allow, with their conditions in words."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from app.core.errors import RollcallError
from app.query.collection import Collection, Registry
from app.query.filter import MATCH_ALL, OrFilter, parse_filter
from app.studio.policy_editor.rule_words import RuleWords

UNREADABLE = "?"
"""The condition of a permission whose filter cannot be read, or whose collection Rollcall does not serve."""


@dataclass(frozen=True, slots=True)
class ActionGrant:
    """An action that a policy allows, for rows that match a condition, with values that match another one.

    Conditions are empty if there is none.
    """

    action: str
    rows: str
    values: str


def grants_by_collection(
    registry: Registry, permissions: Iterable[Mapping[str, Any]], words: RuleWords
) -> dict[str, list[ActionGrant]]:
    """Return what permissions allow, by collection. Several for one action allow what one of them does."""
    rows: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for row in permissions:
        rows.setdefault(row["collection"], {}).setdefault(row["action"], []).append(row)
    return {
        name: [_grant(registry.get(name), action, same, words) for action, same in by_action.items()]
        for name, by_action in rows.items()
    }


def _grant(
    collection: Collection | None, action: str, permissions: Iterable[Mapping[str, Any]], words: RuleWords
) -> ActionGrant:
    rows = [row.get("permissions") for row in permissions] if action != "create" else []
    values = [row.get("validation") for row in permissions] if action in ("create", "update") else []
    return ActionGrant(
        action, _condition(collection, rows, words), _condition(collection, values, words, for_payload=True)
    )


def _condition(
    collection: Collection | None, rules: Iterable[Any], words: RuleWords, *, for_payload: bool = False
) -> str:
    rules = list(rules)
    if not all(rules):  # a permission without a condition allows everything
        return ""
    if collection is None:
        return UNREADABLE
    try:
        filters = tuple(parse_filter(collection, rule, stored=True, for_payload=for_payload) for rule in rules)
    except RollcallError:
        return UNREADABLE
    if MATCH_ALL in filters or not filters:
        return ""
    return words.text(collection, filters[0] if len(filters) == 1 else OrFilter(filters))
