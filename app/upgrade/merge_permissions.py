"""Merges several permissions of one role, collection and action into the single one that Directus 10 supports.

The rules are those of Directus' own revert (11.0.1). It does not say how they change access; this module does.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import zip_longest
from typing import Any

Json = Any
EMPTY_RULE: dict[str, Json] = {}
"""The rule that restricts nothing. Null restricts nothing either, but is merged differently."""
ACTIONS_WITH_FIELDS = {"create", "read", "update"}


@dataclass(frozen=True, slots=True)
class LegacyGrant:
    """What one permission grants: two rules, presets, and fields as a comma-separated list; each may be null."""

    permissions: Json = None
    validation: Json = None
    presets: Json = None
    fields: str | None = None


@dataclass(frozen=True, slots=True)
class MergedGrant:
    """The result of a merge, and whether it allows less, or more, than the merged grants did together."""

    grant: LegacyGrant
    narrows: bool
    widens: bool


def merge(action: str, grants: Sequence[LegacyGrant]) -> MergedGrant:
    """Merge grants, which are in the order of their policies; a single one is returned unchanged."""
    if len(grants) == 1:
        return MergedGrant(grants[0], narrows=False, widens=False)
    permissions = [grant.permissions for grant in grants]
    validations = [grant.validation for grant in grants]
    merged = LegacyGrant(
        permissions=reduce(merge_rules, permissions),
        validation=reduce(merge_rules, validations),
        presets=reduce(merge_presets, [grant.presets for grant in grants]),
        fields=merge_fields(grant.fields for grant in grants),
    )
    narrows = loses_unrestricted_rule(permissions, merged.permissions) or loses_unrestricted_rule(
        validations, merged.validation
    )
    return MergedGrant(merged, narrows, widens=_widens(action, grants))


def merge_rules(first: Json, second: Json) -> Json:
    """Return a rule for what either rule allows; merged with null, a rule keeps its meaning."""
    if second is None:
        return first
    if first is None:
        return EMPTY_RULE if second == EMPTY_RULE else {"_or": [second]}
    if isinstance(first, dict) and list(first) == ["_or"] and isinstance(first["_or"], list):
        return {"_or": [*first["_or"], second]}
    return EMPTY_RULE if EMPTY_RULE in (first, second) else {"_or": [first, second]}


def loses_unrestricted_rule(rules: Iterable[Json], merged: Json) -> bool:
    """Return whether one of `rules` was unrestricted and the merged rule may not be.

    An empty rule within an `_or` counts as lost: Directus 10 may ignore it.
    """
    return any(map(is_unrestricted, rules)) and merged not in (None, EMPTY_RULE)


def is_unrestricted(rule: Json) -> bool:
    """Return whether a rule restricts nothing: it is null, empty, or consists of empty lists."""
    if isinstance(rule, dict):
        return all(key in ("_and", "_or") and value == [] for key, value in rule.items())
    return rule is None


def merge_fields(fields: Iterable[str | None]) -> str | None:
    """Return the union of field lists in order, without duplicates; `*` replaces all others."""
    lists = [names for names in fields if names is not None]
    union = dict.fromkeys(name for names in lists for name in names.split(",") if name)
    if "*" in union:
        return "*"
    return ",".join(union) if lists else None


def merge_presets(first: Json, second: Json) -> Json:
    """Merge presets deeply: objects by key, arrays by index, and of two other values the second wins."""
    if first is None or second is None:
        return first if second is None else second
    return _merge_deeply(first, second)


def _merge_deeply(first: Json, second: Json) -> Json:
    if isinstance(first, dict) and isinstance(second, dict):
        return first | {
            key: _merge_deeply(first[key], value) if key in first else value for key, value in second.items()
        }
    if isinstance(first, list) and isinstance(second, list):
        missing = object()
        pairs = zip_longest(first, second, fillvalue=missing)
        return [old if new is missing else new if old is missing else _merge_deeply(old, new) for old, new in pairs]
    return second


def _widens(action: str, grants: Sequence[LegacyGrant]) -> bool:
    """Return whether the merge may combine parts of different grants, as the fields of one on the rows of another.

    It can't if they differ in at most one part, or if one of them already allowed everything the merge does.
    """
    rules = {_canonical(grant.permissions) for grant in grants}
    validations = {_canonical(grant.validation) for grant in grants}
    field_sets = {_field_set(grant.fields) if action in ACTIONS_WITH_FIELDS else None for grant in grants}
    if sum(len(variants) > 1 for variants in (rules, validations, field_sets)) <= 1:
        return False
    all_fields = _field_set(merge_fields(grant.fields for grant in grants))
    unrestricted = [
        grant for grant in grants if is_unrestricted(grant.permissions) and is_unrestricted(grant.validation)
    ]
    return not any(
        action not in ACTIONS_WITH_FIELDS or _field_set(grant.fields) == all_fields for grant in unrestricted
    )


def _field_set(fields: str | None) -> frozenset[str]:
    return frozenset((merge_fields([fields]) or "").split(","))


def _canonical(rule: Json) -> str:
    # Compared as text, because to Python True equals 1. Null restricts nothing, as an empty rule does.
    return json.dumps(EMPTY_RULE if is_unrestricted(rule) else rule, sort_keys=True)
