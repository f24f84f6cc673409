"""A permission's validation, judged on what is written and never on what is stored."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from app.core.errors import FailedValidation
from app.query.collection import Field, FieldKind
from app.query.filter import AndFilter, FieldFilter, Filter, OrFilter, RelationFilter, Variable
from app.query.operators import OPERATORS

Values = Mapping[Field, Any]
Resolve = Callable[[Variable, FieldKind], tuple[Any, ...]]
"""The values that a variable has for whoever writes."""


def validate(validation: Filter, values: Values, resolve: Resolve, path: Iterable[str] = ()) -> list[FailedValidation]:
    """What is wrong with the values written to a row by a validation; nothing where they hold to it.

    A field that isn't written is judged by nothing but `_submitted`; what lies behind a relation isn't judged here.
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
            wanted = _plain(value, field.kind, resolve)
            holds = field in values and wanted is not None and OPERATORS[operator].evaluate(values[field], wanted[0])
            return [] if holds else [FailedValidation(field.name, operator.removeprefix("_"), tuple(path))]


def variables(filter_: Filter) -> Iterable[Variable]:
    """The variables that a filter compares with."""
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
    """Whether a filter looks at a field."""
    match filter_:
        case AndFilter(parts) | OrFilter(parts):
            return any(references(part, field) for part in parts)
        case RelationFilter(filter=inner):
            return references(inner, field)
        case FieldFilter(field=compared):
            return compared is field


def _plain(value: Any, kind: FieldKind, resolve: Resolve) -> tuple[Any] | None:
    """An operator's value with its variables resolved, as the only item; None where a variable has no value."""
    if isinstance(value, Variable):
        found = resolve(value, kind)
        return (found[0],) if len(found) == 1 else None
    if not isinstance(value, tuple):
        return (value,)
    items: list[Any] = []
    for item in value:
        items += resolve(item, kind) if isinstance(item, Variable) else (item,)
    return (tuple(items),)
