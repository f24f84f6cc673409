"""Evaluation of permissions' validations on the written values, never on stored ones."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from app.core.errors import FailedValidation
from app.query.collection import Field, FieldKind
from app.query.filter import AndFilter, FieldFilter, Filter, OrFilter, RelationFilter, Variable
from app.query.operators import OPERATORS

Values = Mapping[Field, Any]
Resolve = Callable[[Variable, FieldKind], tuple[Any, ...]]
"""A function that returns a variable's values for the caller who writes."""


def validate(validation: Filter, values: Values, resolve: Resolve, path: Iterable[str] = ()) -> list[FailedValidation]:
    """Return the errors of the values written to a row; an empty list if they satisfy the validation.

    Only `_submitted` applies to a field that isn't written. Filters on related rows are not evaluated.
    """
    match validation:
        case AndFilter(parts):
            return [error for part in parts for error in validate(part, values, resolve, path)]
        case OrFilter(parts):
            errors = [validate(part, values, resolve, path) for part in parts]
            return errors[0] if errors and all(errors) else []
        case RelationFilter():
            return []
        case FieldFilter(field, function, operator, value):
            if function is not None or (field not in values and operator != "_submitted"):
                return []
            operand = _resolved(value, field.kind, resolve)
            valid = field in values and operand is not None and OPERATORS[operator].evaluate(values[field], operand[0])
            return [] if valid else [FailedValidation(field.name, operator.removeprefix("_"), tuple(path))]


def variables(filter_: Filter) -> Iterable[Variable]:
    """Yield the variables that a filter compares with."""
    match filter_:
        case AndFilter(parts) | OrFilter(parts):
            for part in parts:
                yield from variables(part)
        case RelationFilter(filter=inner):
            yield from variables(inner)
        case FieldFilter(value=value):
            yield from (
                item for item in (value if isinstance(value, tuple) else (value,)) if isinstance(item, Variable)
            )


def references(filter_: Filter, field: Field) -> bool:
    """Return whether a filter compares a field."""
    match filter_:
        case AndFilter(parts) | OrFilter(parts):
            return any(references(part, field) for part in parts)
        case RelationFilter(filter=inner):
            return references(inner, field)
        case FieldFilter(field=compared):
            return compared is field


def _resolved(value: Any, kind: FieldKind, resolve: Resolve) -> tuple[Any] | None:
    """Return a tuple of one item, the operator's value with its variables resolved; None if a variable has no value."""
    if isinstance(value, Variable):
        resolved = resolve(value, kind)
        return (resolved[0],) if len(resolved) == 1 else None
    if not isinstance(value, tuple):
        return (value,)
    items: list[Any] = []
    for item in value:
        items += resolve(item, kind) if isinstance(item, Variable) else (item,)
    return (tuple(items),)
