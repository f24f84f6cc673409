"""The filter tree of a query or a permission rule, before permissions are applied, and its parser."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from app.core.bindings import SlotList
from app.core.clock import adjusted, utc_now
from app.core.errors import Forbidden, InvalidQuery
from app.query.coercion import coerce, coerce_list
from app.query.collection import ROLES, USERS, Collection, Field, FieldKind, target
from app.query.operators import OPERATORS, OPPOSITE_FLAGS
from app.query.sql_functions import DatePart

Quantifier = Literal["any", "some", "none"]
Function = Literal["count", "year", "month", "week", "day", "weekday", "hour", "minute", "second"]

DATE_PARTS: tuple[DatePart, ...] = ("year", "month", "week", "day", "weekday", "hour", "minute", "second")
RELATION_KEY = "_key"
"""The key under which a normalized filter holds operators that apply to a relation itself; clients cannot use it."""

UNSUPPORTED_OPERATOR_MESSAGE = '"{kind}" field type does not contain the "{operator}" filter operator'

_VARIABLE = re.compile(r"\$(CURRENT_USER|CURRENT_ROLES?|CURRENT_POLICIES|NOW)(?:\.([\w.]+)|\((.*)\))?", re.ASCII)
_CALL = re.compile(r"(\w+)\((\w+)\)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Variable:
    """A value that depends on the caller or the time: `$CURRENT_USER.title`, `$NOW(-1 day)`."""

    name: str
    path: tuple[Field, ...] = ()
    argument: str | None = None


@dataclass(frozen=True, slots=True)
class FieldFilter:
    """The filter `field operator value`, or on a function of the field; `value` is converted to the field's kind."""

    field: Field
    function: Function | None
    operator: str
    value: Any


@dataclass(frozen=True, slots=True)
class RelationFilter:
    """A filter on the rows behind a relation.

    `some` is true if at least one row matches, `none` if no row does. `any` behaves like a LEFT JOIN: without rows the
    filter is evaluated on a row of nulls.
    """

    field: Field
    quantifier: Quantifier
    filter: "Filter"


@dataclass(frozen=True, slots=True)
class AndFilter:
    """True if every part is true; always true without parts."""

    parts: tuple["Filter", ...] = ()


@dataclass(frozen=True, slots=True)
class OrFilter:
    """True if at least one part is true; never true without parts."""

    parts: tuple["Filter", ...] = ()


Filter = AndFilter | OrFilter | FieldFilter | RelationFilter
MATCH_ALL = AndFilter()


class UnknownField(Forbidden):
    """The field does not exist or the caller may not read it; both cases have the same response."""

    def __init__(self, collection: Collection, name: str, path: str = "root") -> None:
        self.collection, self.name = collection, name
        location = path if path == "root" else f'"{path}"'
        super().__init__(
            f'You don\'t have permission to access field "{name}" in collection "{collection.name}" '
            f"or it does not exist. Queried in {location}"
        )


def parse_filter(collection: Collection, raw: Any, *, allow_payload_operators: bool = False) -> Filter:
    """Parse a filter object in Directus' format. `allow_payload_operators` admits operators for payloads only.

    Raises:
        InvalidQuery: The filter is malformed.
        UnknownField: A field does not exist.
    """
    parsed = _parse_object(collection, raw)
    if not allow_payload_operators:
        _reject_payload_operators(parsed)
    return parsed


def _parse_object(collection: Collection, raw: Any) -> Filter:
    if not isinstance(raw, Mapping):
        raise InvalidQuery("Invalid filter object")
    return conjunction(tuple(_parse_entry(collection, name, value) for name, value in raw.items()))


def _reject_payload_operators(filter_: Filter) -> None:
    match filter_:
        case AndFilter(parts) | OrFilter(parts):
            for part in parts:
                _reject_payload_operators(part)
        case RelationFilter(filter=inner):
            _reject_payload_operators(inner)
        case FieldFilter(field, _, operator):
            if OPERATORS[operator].payload_only:
                raise InvalidQuery(UNSUPPORTED_OPERATOR_MESSAGE.format(kind=field.kind, operator=operator))


def conjunction(parts: tuple[Filter, ...]) -> Filter:
    """Return a filter that requires all parts, simplified if there is only one."""
    parts = tuple(part for part in parts if part != MATCH_ALL)
    return parts[0] if len(parts) == 1 else AndFilter(parts)


def split_function(collection: Collection, name: str) -> tuple[Field, Function | None]:
    """Return the field and the function that `email`, `year(last_access)` or `count(tags)` names.

    Raises:
        UnknownField: The field does not exist, or does not support the function.
    """
    call = _CALL.fullmatch(name)
    base, function = (call[2], call[1]) if call else (name, None)
    field = collection.fields.get(base)
    if field is None or (function is not None and function not in functions_of(field)):
        raise UnknownField(collection, name)
    return field, function


def functions_of(field: Field) -> tuple[Function, ...]:
    """Return the functions that a field supports: date parts of a timestamp, the count of a list."""
    if field.kind == "timestamp":
        return DATE_PARTS
    return ("count",) if field.kind == "json" or field.many else ()


def filter_depth(filter_: Filter) -> int:
    """Return the number of fields in the longest path of a filter."""
    match filter_:
        case AndFilter(parts) | OrFilter(parts):
            return max(map(filter_depth, parts), default=0)
        case RelationFilter(filter=inner):
            return 1 + filter_depth(inner)
        case _:
            return 1


def _parse_entry(collection: Collection, name: str, value: Any) -> Filter:
    if name in ("_and", "_or"):
        if not isinstance(value, list | tuple):
            raise InvalidQuery("Invalid filter object")
        parts = tuple(_parse_object(collection, part) for part in value)
        return conjunction(parts) if name == "_and" or not parts else OrFilter(parts)
    if name.endswith("_func") and name.removesuffix("_func") in collection.fields:
        return _parse_functions(collection.fields[name.removesuffix("_func")], value)
    field, function = split_function(collection, name)
    if value is None:
        raise InvalidQuery("Invalid filter object")
    if not isinstance(value, Mapping):
        value = {"_eq": value}
    if field.relation and function is None:
        return conjunction(tuple(_parse_relation(field, value, collection.target_of(field))))
    return conjunction(tuple(compare(field, function, name, operand) for name, operand in value.items()))


def _parse_functions(field: Field, value: Any) -> Filter:
    if not isinstance(value, Mapping) or any(not isinstance(operators, Mapping) for operators in value.values()):
        raise InvalidQuery("Invalid filter object")
    return conjunction(
        tuple(
            compare(field, function, operator, operand)
            for function, operators in value.items()
            for operator, operand in operators.items()
        )
    )


def _parse_relation(field: Field, value: Mapping[str, Any], related: Collection) -> Iterator[Filter]:
    operators = {**value.get(RELATION_KEY, {}), **{name: part for name, part in value.items() if name in OPERATORS}}
    quantifiers: dict[str, Quantifier] = {"_some": "some", "_none": "none"}
    nested = {name: part for name, part in value.items() if name not in (*operators, *quantifiers, RELATION_KEY)}
    for name, operand in operators.items():
        if field.many:
            yield RelationFilter(field, "any", compare(related.key, None, name, operand))
        else:
            yield compare(field, None, name, operand)
    for name, quantifier in quantifiers.items():
        if name in value:
            if not field.many:
                raise InvalidQuery(f'"{name}" can only be used with a to-many relation, which "{field.name}" is not')
            yield RelationFilter(field, quantifier, _parse_object(related, value[name]))
    if nested:
        yield RelationFilter(field, "any", _parse_object(related, nested))


def compare(field: Field, function: Function | None, name: str, value: Any) -> Filter:
    """Return a filter by one operator on one field, with the value converted to the field's kind.

    Raises:
        InvalidQuery: The field does not support the operator, or the value does not fit it.
    """
    operator = OPERATORS.get(name)
    kind: FieldKind = "integer" if function else field.kind
    if operator is None or kind not in operator.kinds:
        raise InvalidQuery(UNSUPPORTED_OPERATOR_MESSAGE.format(kind=kind, operator=name))
    if operator.arity == "flag":
        return _flag_filter(field, function, name, value)
    if value is None and name in ("_eq", "_neq"):
        return FieldFilter(field, function, "_null" if name == "_eq" else "_nnull", None)
    if operator.arity == "one":
        return FieldFilter(field, function, name, _parse_value(kind, name, value))
    if isinstance(value, SlotList) and operator.arity == "many":
        return FieldFilter(field, function, name, _coerce_with(coerce_list, kind, value))
    items = _split_items(value)
    if not items or (operator.arity == "pair" and len(items) != 2):
        expected = "an array of values" if operator.arity == "many" else "an array of two values"
        raise InvalidQuery(f'"{name}" has to be {expected}')
    return FieldFilter(field, function, name, tuple(_parse_value(kind, name, item) for item in items))


def _flag_filter(field: Field, function: Function | None, name: str, value: Any) -> Filter:
    if value is None:
        return MATCH_ALL
    is_set = value not in (False, "false", 0, "0")
    return FieldFilter(field, function, name if is_set else OPPOSITE_FLAGS[name], None)


def _split_items(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [value] if _VARIABLE.fullmatch(value) else value.split(",")
    return list(value) if isinstance(value, list | tuple) else [value]


def _parse_value(kind: FieldKind, name: str, value: Any) -> Any:
    if value == "":
        raise InvalidQuery(f'You can\'t filter for an empty string in "{name}". Use "_empty" or "_nempty" instead')
    if isinstance(value, str) and (variable := _VARIABLE.fullmatch(value)):
        return _create_variable(variable[1], variable[2], variable[3])
    return _coerce_with(coerce, kind, value)


def _coerce_with(convert: Callable[[FieldKind, Any], Any], kind: FieldKind, value: Any) -> Any:
    try:
        return convert(kind, value)
    except ValueError as error:
        raise InvalidQuery(str(error)) from None


def parse_variable(text: str) -> Variable | None:
    """Parse a variable such as `$CURRENT_USER`. Return None for any other text.

    Raises:
        InvalidQuery: The variable's path or argument is invalid.
    """
    match = _VARIABLE.fullmatch(text)
    return _create_variable(match[1], match[2], match[3]) if match else None


def _create_variable(name: str, path: str | None, argument: str | None) -> Variable:
    if argument is not None:
        try:
            adjusted(utc_now(), argument)
        except ValueError as error:
            raise InvalidQuery(str(error)) from None
    return Variable(name, tuple(_variable_path(name, path)) if path else (), argument)


def _variable_path(name: str, path: str) -> Iterator[Field]:
    collection = {"CURRENT_USER": USERS, "CURRENT_ROLE": ROLES}.get(name)
    for field_name in path.split("."):
        if collection is None or field_name not in collection.fields:
            raise InvalidQuery(f'"${name}.{path}" does not name a field')
        field = collection.fields[field_name]
        yield field
        collection = target(field) if field.relation else None
