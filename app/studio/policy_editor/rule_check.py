"""Finds the part of a permission's filter that is wrong, so that a form can name its line."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.policy.unreadable_rules import PARSE_ERRORS, unreadable_reason
from app.query.collection import Collection
from app.query.filter import LOGICAL_NAMES, QUANTIFIER_NAMES, UnknownField, parse_filter
from app.query.operators import OPERATORS
from app.studio.policy_editor.json_text import JsonPath


@dataclass(frozen=True, slots=True)
class RuleProblem:
    """What is wrong with a filter, and the path to the part it is wrong with."""

    path: JsonPath
    reason: str


@dataclass(frozen=True, slots=True)
class RuleCheck:
    """Checks filters as permissions store them; those `for_payload` are evaluated on written values."""

    for_payload: bool = False

    def problem(self, collection: Collection, raw: Any, path: JsonPath = ()) -> RuleProblem | None:
        """Return the first problem of a filter; None if it can be read."""
        reason = self._reason(collection, raw)
        if reason is None:
            return None
        if isinstance(raw, Mapping):
            for name, value in raw.items():
                if self._reason(collection, {name: value}) is not None:
                    return self._problem_of_entry(collection, name, value, (*path, name))
        return RuleProblem(path, reason)

    def _problem_of_entry(self, collection: Collection, name: str, value: Any, path: JsonPath) -> RuleProblem:
        """Return the problem of one entry of a filter, which has one."""
        for problem in self._inner_problems(collection, name, value, path):
            if problem is not None:
                return problem
        return RuleProblem(path, self._reason(collection, {name: value}) or "")

    def _inner_problems(
        self, collection: Collection, name: str, value: Any, path: JsonPath
    ) -> Iterator[RuleProblem | None]:
        if name in LOGICAL_NAMES and isinstance(value, list):
            for index, part in enumerate(value):
                yield self.problem(collection, part, (*path, index))
        if not isinstance(value, Mapping):
            return
        if isinstance(self._error(collection, {name: {}}), UnknownField):
            return
        field = collection.fields.get(name)
        target = collection.target_of(field) if field is not None and field.relation else None
        for key, inner in value.items():
            if target is None or key in OPERATORS:
                reason = self._reason(collection, {name: {key: inner}})
                yield RuleProblem((*path, key), reason) if reason else None
            elif key in QUANTIFIER_NAMES:
                yield self.problem(target, inner, (*path, key))
            elif self._reason(target, {key: inner}) is not None:
                yield self._problem_of_entry(target, key, inner, (*path, key))

    def _reason(self, collection: Collection, raw: Any) -> str | None:
        error = self._error(collection, raw)
        return None if error is None else unreadable_reason(error)

    def _error(self, collection: Collection, raw: Any) -> Exception | None:
        try:
            parse_filter(collection, raw, stored=True, for_payload=self.for_payload)
        except PARSE_ERRORS as error:
            return error
        return None
