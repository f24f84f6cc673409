"""The permissions that may decide a question about access, and what each of them contributes to the answer."""

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import orjson

from app.policy.explanation import Condition, ExplainedPermission
from app.policy.filter_leaves import filter_text, leaves
from app.policy.rules import APP_PERMISSIONS, READ, Access, Rule, parse_rule
from app.policy.write_resolver import is_writable
from app.query.collection import USERS, Collection, Field
from app.query.filter import MATCH_ALL, Filter
from app.query.size import SizeLimits


@dataclass(frozen=True, slots=True)
class AccessTarget:
    """What a question is about: `key` is that of the item, `access` what the policies of the user add up to.

    `owner` is the caller as the owner of the statements.
    """

    collection: Collection
    action: str
    key: Any
    field: Field | None
    field_name: str | None
    access: Access
    owner: str | None

    def includes_field(self, rule: Rule | None) -> bool | None:
        """Return whether a rule lists the field of the question, None if there is none."""
        if self.field_name is None or self.action == "delete":
            return None
        if rule is None or self.field is None:
            return False
        if self.action == READ:
            return self.field in rule.fields or self._is_derived()
        is_self = self.collection.is_same(USERS) and self.key == self.access.user
        return self.field in rule.fields and (self.action == "create" or is_writable(rule, self.field, is_self=is_self))

    def _is_derived(self) -> bool:
        return self.field in self.collection.derived and self.field in self.access.fields(READ, self.collection)


@dataclass(frozen=True, slots=True)
class CandidatePermission:
    """A permission of one policy for the collection and the action; `id` is None for one that app access includes."""

    policy: str
    id: Any
    texts: Sequence[str | None]
    """Rule, fields, validation and presets as stored."""
    rule: Rule | None
    problem: str | None

    def conditions(self) -> list[Filter]:
        """Return the comparisons of the rule."""
        return list(leaves(self.rule.filter)) if self.rule else []


def candidate_permissions(
    target: AccessTarget, policies: Iterable[Sequence[Any]], permissions: Iterable[Sequence[Any]], limits: SizeLimits
) -> Iterator[CandidatePermission]:
    """Yield the stored permissions for the collection and the action, and those that app access includes."""
    registry, name = target.collection.registry, target.collection.name
    for policy, action, collection, *texts, key in permissions:
        if (action, collection) == (target.action, name):
            rule, problem = parse_rule(action, collection, *texts, limits=limits, registry=registry)
            missing = None if rule else "it names no field of the collection"
            yield CandidatePermission(policy, key, texts, rule, problem or missing)
    for collection, raw, fields in APP_PERMISSIONS if target.action == READ else ():
        texts = [orjson.dumps(raw).decode(), fields, None, None]
        for policy in (row[0] for row in policies if row[3] and collection == name):
            rule = parse_rule(READ, collection, *texts, registry=registry).rule
            yield CandidatePermission(policy, None, texts, rule, None)


def evaluated_filters(candidate: CandidatePermission, *, split: bool) -> list[Filter]:
    """Return the filters to evaluate for a permission: its whole rule and, with `split`, each of its comparisons."""
    whole = candidate.rule.filter if candidate.rule else MATCH_ALL
    return [whole, *(candidate.conditions() if split else ())]


def without_matches_of(
    expired: AbstractSet[str], candidates: Iterable[CandidatePermission], matches: Iterable[list[bool | None]]
) -> list[list[bool | None]]:
    """Return the matches, unknown for expired policies: what their rules match would tell users what they lost."""
    return [
        [None] * len(match) if candidate.policy in expired else match
        for candidate, match in zip(candidates, matches, strict=True)
    ]


def explained_permission(
    target: AccessTarget, candidate: CandidatePermission, matches: Sequence[bool | None], *, include_rules: bool
) -> ExplainedPermission:
    """Return a permission with what it contributes; `matches` are the results of its `evaluated_filters`."""
    rule, fields, validation, presets = candidate.texts
    whole, *parts = matches
    conditions = zip(candidate.conditions(), parts, strict=False)
    return ExplainedPermission(
        candidate.id,
        tuple(fields.split(",")) if fields else (),
        target.includes_field(candidate.rule),
        whole,
        candidate.problem,
        target.action in ("create", "update") and bool(candidate.conditions()),
        tuple(Condition(filter_text(leaf), match) for leaf, match in conditions) if include_rules else (),
        *((_json(text) for text in (rule, validation, presets)) if include_rules else ()),
    )


def _json(text: str | None) -> Any:
    """Return a stored JSON text as a value, or as it is if it cannot be read."""
    try:
        return orjson.loads(text) if text else None
    except orjson.JSONDecodeError:
        return text
