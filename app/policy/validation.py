"""Evaluation of permissions' validations on the written values, never on stored ones."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import structlog

from app.core.ecmascript_regex import InvalidRegex
from app.core.errors import FailedValidation, InvalidPayload
from app.core.timestamps import to_microseconds
from app.query.collection import Field, FieldKind
from app.query.filter import AndFilter, FieldFilter, Filter, OrFilter, RelationFilter, Variable
from app.query.operators import OPERATORS, REGEX, as_text

Values = Mapping[Field, Any]
Resolve = Callable[[Variable, FieldKind], tuple[Any, ...]]
"""A function that returns a variable's values for the caller who writes."""
MatchRegex = Callable[[str, str, str], Awaitable[bool]]
"""A function that returns whether a regular expression matches a text, the value of the named field."""

log = structlog.get_logger(__name__)


class UnusableRegex(InvalidPayload):
    """A stored validation contains a text that is not a regular expression, so no value satisfies it."""

    def __init__(self, field: Field) -> None:
        super().__init__(
            f'Values of "{field.name}" are validated with an invalid regular expression; an admin must correct it'
        )


async def validate(
    validation: Filter, values: Values, resolve: Resolve, match_regex: MatchRegex, path: Iterable[str] = ()
) -> list[FailedValidation]:
    """Return the errors of the values written to a row; an empty list if they satisfy the validation.

    Only `_submitted` applies to a field that isn't written. The filter must have been parsed `for_payload`.

    Raises:
        UnusableRegex: A written value would have to match a text that is not a regular expression.
        RollcallError: As `match_regex`.
    """
    match validation:
        case AndFilter(parts):
            return [error for part in parts for error in await validate(part, values, resolve, match_regex, path)]
        case OrFilter(parts):
            errors = [await validate(part, values, resolve, match_regex, path) for part in parts]
            return errors[0] if errors and all(errors) else []
        case RelationFilter():
            raise TypeError("A validation can't ask for related rows")
        case FieldFilter(field, _, operator, value):
            if field not in values and operator != "_submitted":
                return []
            operand = _resolved(value, field.kind, resolve)
            if field not in values or operand is None:
                valid = False
            elif operator == REGEX:
                valid = await _matches(field, values[field], operand[0], match_regex)
            else:
                valid = _evaluate(field, operator, values[field], operand[0])
            return [] if valid else [FailedValidation(field.name, operator.removeprefix("_"), tuple(path))]


def _evaluate(field: Field, operator: str, value: Any, operand: Any) -> bool:
    """Return whether a value satisfies an operator; False, and a warning, if a variable's value is of another kind."""
    try:
        if field.kind == "timestamp":
            value, operand = _comparable_times(value), _comparable_times(operand)
        return OPERATORS[operator].evaluate(value, operand)
    except (TypeError, ValueError, AttributeError):
        log.warning("validation_not_comparable", field=field.name, operator=operator)
        return False


def _comparable_times(value: Any) -> Any:
    """Return times as numbers, because those without a datetime, such as infinity, are texts."""
    if value is None:
        return None
    return tuple(map(_comparable_times, value)) if isinstance(value, tuple) else to_microseconds(value)


async def _matches(field: Field, value: Any, pattern: str | None, match_regex: MatchRegex) -> bool:
    if value is None or pattern is None:
        return False
    try:
        return await match_regex(pattern, as_text(value), field.name)
    except InvalidRegex:
        raise UnusableRegex(field) from None


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
