"""Finds conditions without a value: a person forgot to enter it, and the rule would match something else."""

from typing import Any

from app.query.filter import LOGICAL_NAMES
from app.query.operators import OPERATORS
from app.studio.policy_editor.json_text import JsonPath


def empty_value_path(rule: Any, path: JsonPath = ()) -> JsonPath | None:
    """Return the path to the first condition of a rule whose value is empty; None if there is none.

    `_empty` and `_null` match empty values; other operators do not need an empty value.
    """
    if isinstance(rule, list):
        inner = enumerate(rule)
        return next((found for index, part in inner if (found := empty_value_path(part, (*path, index)))), None)
    if not isinstance(rule, dict):
        return None
    for name, value in rule.items():
        is_logical = name in LOGICAL_NAMES
        if not is_logical and _is_empty(value, is_operand=name in OPERATORS):
            return (*path, name)
        if name not in OPERATORS and (found := empty_value_path(value, (*path, name))):
            return found
    return None


def _is_empty(value: Any, *, is_operand: bool) -> bool:
    if isinstance(value, list) and is_operand:
        return not value or any(_is_empty(item, is_operand=False) for item in value)
    return isinstance(value, str) and not value.strip()
