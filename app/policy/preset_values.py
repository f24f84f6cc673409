"""The variables in the presets of permissions: found at any depth of a value, and replaced by their values."""

from collections.abc import Iterator, Mapping
from typing import Any

from app.query.collection import Registry
from app.query.filter import Variable, parse_variable


def find_variables(registry: Registry, value: Any) -> dict[str, Variable]:
    """Return the variables in a preset's value, by their texts.

    Raises:
        InvalidQuery: The path or the argument of a variable is invalid.
    """
    parsed = {text: parse_variable(registry, text) for text in _texts(value) if text.startswith("$")}
    return {text: variable for text, variable in parsed.items() if variable is not None}


def replace_variables(value: Any, values: Mapping[str, Any]) -> Any:
    """Return a preset's value with each text in `values` replaced by its value."""
    if isinstance(value, str):
        return values.get(value, value)
    if isinstance(value, dict):
        return {name: replace_variables(item, values) for name, item in value.items()}
    return [replace_variables(item, values) for item in value] if isinstance(value, list) else value


def is_list_variable(variable: Variable) -> bool:
    """Return whether a variable stands for a list, also if it has one value or none."""
    return variable.name in ("CURRENT_ROLES", "CURRENT_POLICIES") or any(field.many for field in variable.path)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        yield from _texts(child)
