"""The comparisons that a filter consists of, each as a filter of its own, and as a text."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import orjson

from app.core.timestamps import format_timestamp
from app.query.filter import AndFilter, FieldFilter, Filter, OrFilter, RelationFilter, Variable


def leaves(filter_: Filter) -> Iterator[Filter]:
    """Yield the comparisons of a filter, from left to right.

    A filter on related rows is split only if it compares a single field: its parts must match the same row.
    """
    match filter_:
        case AndFilter(parts) | OrFilter(parts):
            for part in parts:
                yield from leaves(part)
        case _:
            yield filter_


def filter_text(filter_: Filter) -> str:
    """Return a filter as a text, such as `role.name _eq "Staff"`."""
    match filter_:
        case AndFilter(parts):
            return "(" + " and ".join(map(filter_text, parts)) + ")"
        case OrFilter(parts):
            return "(" + " or ".join(map(filter_text, parts)) + ")"
        case RelationFilter(field, quantifier, FieldFilter() | RelationFilter() as inner) if quantifier == "any":
            return f"{field.name}.{filter_text(inner)}"
        case RelationFilter(field, quantifier, inner):
            return f"{field.name} _{quantifier} {filter_text(inner)}"
        case FieldFilter(field, function, operator, value):
            name = f"{function}({field.name})" if function else field.name
            return f"{name} {operator}" if value is None else f"{name} {operator} {_value_text(value)}"


def _value_text(value: Any) -> str:
    if isinstance(value, Variable):
        path = "".join(f".{field.name}" for field in value.path)
        argument = f"({value.argument})" if value.argument else ""
        return f"${value.name}{path}{argument}"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_value_text, value)) + "]"
    if isinstance(value, datetime):
        value = format_timestamp(value)
    return orjson.dumps(value, default=str).decode()
