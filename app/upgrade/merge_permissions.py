"""Several permissions of one role on one collection and action become the single one that Directus 10 knows.

The rules are those of Directus' own way back (11.0.1); what they do to rights, it doesn't say, and this does.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import zip_longest
from typing import Any

Json = Any
EVERYTHING: dict[str, Json] = {}
"""The rule that restricts nothing. So does none at all, null, but merging treats the two differently."""
WITH_FIELDS = {"create", "read", "update"}


@dataclass(frozen=True, slots=True)
class LegacyGrant:
    """What one permission says: two rules, presets, and fields as a list with commas between; each may be null."""

    permissions: Json = None
    validation: Json = None
    presets: Json = None
    fields: str | None = None


@dataclass(frozen=True, slots=True)
class Merged:
    """The grant that several became, and whether it allows less, or more, than they did together."""

    grant: LegacyGrant
    narrows: bool
    widens: bool


def merge(action: str, grants: Sequence[LegacyGrant]) -> Merged:
    """The one grant in place of `grants`, which stand in the order their policies count; one alone stays as it is."""
    if len(grants) == 1:
        return Merged(grants[0], narrows=False, widens=False)
    permissions = [grant.permissions for grant in grants]
    validation = [grant.validation for grant in grants]
    merged = LegacyGrant(
        permissions=reduce(either, permissions),
        validation=reduce(either, validation),
        presets=reduce(later_wins, [grant.presets for grant in grants]),
        fields=united(grant.fields for grant in grants),
    )
    narrows = restricts(permissions, merged.permissions) or restricts(validation, merged.validation)
    return Merged(merged, narrows, widens=_widens(action, grants))


def either(first: Json, second: Json) -> Json:
    """One rule for what either of two allows; null says nothing, so that the other rule is left alone with it."""
    if second is None:
        return first
    if first is None:
        return EVERYTHING if second == EVERYTHING else {"_or": [second]}
    if isinstance(first, dict) and list(first) == ["_or"] and isinstance(first["_or"], list):
        return {"_or": [*first["_or"], second]}
    return EVERYTHING if EVERYTHING in (first, second) else {"_or": [first, second]}


def restricts(rules: Iterable[Json], merged: Json) -> bool:
    """Whether one of `rules` restricted nothing and the one they became does, or may.

    An empty rule within an `_or` counts as lost: nobody promises that Directus 10 doesn't pass it over.
    """
    return any(map(free, rules)) and merged not in (None, EVERYTHING)


def free(rule: Json) -> bool:
    """Whether a rule restricts nothing: null, an empty one, and one of empty lists."""
    if isinstance(rule, dict):
        return all(key in ("_and", "_or") and value == [] for key, value in rule.items())
    return rule is None


def united(fields: Iterable[str | None]) -> str | None:
    """Every field of every list, in order and once; `*` swallows the others."""
    lists = [list_ for list_ in fields if list_ is not None]
    names = dict.fromkeys(name for list_ in lists for name in list_.split(",") if name)
    if "*" in names:
        return "*"
    return ",".join(names) if lists else None


def later_wins(first: Json, second: Json) -> Json:
    """Presets laid over presets: objects by key, arrays by index, and of two values the later."""
    if first is None or second is None:
        return first if second is None else second
    return _laid_over(first, second)


def _laid_over(below: Json, above: Json) -> Json:
    if isinstance(below, dict) and isinstance(above, dict):
        return below | {key: _laid_over(below[key], value) if key in below else value for key, value in above.items()}
    if isinstance(below, list) and isinstance(above, list):
        nothing = object()
        pairs = zip_longest(below, above, fillvalue=nothing)
        return [low if high is nothing else high if low is nothing else _laid_over(low, high) for low, high in pairs]
    return above


def _widens(action: str, grants: Sequence[LegacyGrant]) -> bool:
    """Whether what one of them allows comes together with what only another did: its fields on the other's rows.

    That can't be where they differ in nothing or in one thing alone, nor where one of them allowed everything there is.
    """
    rules = {_spelled(grant.permissions) for grant in grants}
    validations = {_spelled(grant.validation) for grant in grants}
    reaches = {_reach(grant.fields) if action in WITH_FIELDS else None for grant in grants}
    if sum(len(different) > 1 for different in (rules, validations, reaches)) <= 1:
        return False
    whole = _reach(united(grant.fields for grant in grants))
    unbound = [grant for grant in grants if free(grant.permissions) and free(grant.validation)]
    return not any(action not in WITH_FIELDS or _reach(grant.fields) == whole for grant in unbound)


def _reach(fields: str | None) -> frozenset[str]:
    return frozenset((united([fields]) or "").split(","))


def _spelled(rule: Json) -> str:
    # Compared as texts: to Python true equals 1. Null restricts nothing, as an empty rule does.
    return json.dumps(EVERYTHING if free(rule) else rule, sort_keys=True)
