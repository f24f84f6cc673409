"""The filter tree of a query or a permission rule, before permissions are applied, and its parser."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from app.core.bindings import SlotList
from app.core.clock import adjusted, utc_now
from app.core.errors import Forbidden, InvalidQuery
from app.query.coercion import coerce, coerce_list
from app.query.collection import BUILT_IN, ROLES, USERS, Collection, Field, FieldKind, Registry
from app.query.operators import OPERATORS, OPPOSITE_FLAGS
from app.query.sql_functions import DatePart

Quantifier = Literal["any", "some", "none"]
Function = Literal["count", "year", "month", "week", "day", "weekday", "hour", "minute", "second"]

DATE_PARTS: tuple[DatePart, ...] = ("year", "month", "week", "day", "weekday", "hour", "minute", "second")
DATE_PART_KINDS: Mapping[FieldKind, tuple[DatePart, ...]] = {
    "date": DATE_PARTS[:5],
    "time": DATE_PARTS[5:],
    "dateTime": DATE_PARTS,
    "timestamp": DATE_PARTS,
}
"""The parts of a time that fields of each kind have."""
RELATION_KEY = "_key"
"""The key under which a normalized filter holds operators that apply to a relation itself; clients cannot use it."""

NULL_TEXTS = frozenset({"null", "NULL"})
"""Texts that filters compare as null, as in Directus, unless the operator searches in texts."""

MAX_VARIABLE_FIELDS = 10
"""Maximum number of fields in the path of a variable."""
VARIABLE_NAMES = ("CURRENT_USER", "CURRENT_ROLE", "CURRENT_ROLES", "CURRENT_POLICIES", "NOW")
LOGICAL_NAMES = ("_and", "_or")
"""The names of lists of conditions in a filter."""
QUANTIFIER_NAMES: Mapping[str, Quantifier] = {"_some": "some", "_none": "none"}
"""The names of the conditions on the rows of a to-many relation."""
_VARIABLE = re.compile(rf"\$({'|'.join(VARIABLE_NAMES)})(?:\.([\w.]+)|\((.*)\))?", re.ASCII)
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


class NoPayloadFilter(InvalidQuery):
    """A filter that is to be evaluated on written values asks for related rows or the result of a function."""


def parse_filter(collection: Collection, raw: Any, *, stored: bool = False, for_payload: bool = False) -> Filter:
    """Parse a filter object in Directus' format. Parts without any operator do not count.

    `stored` filters, such as permission rules, may compare with an empty text and with an empty list, which clients'
    filters may not. Filters `for_payload` are evaluated on written values: they may ask whether a field is submitted,
    but not for related rows or the result of a function.

    Raises:
        InvalidQuery: The filter is malformed.
        NoPayloadFilter: The filter is for payloads and asks for something that isn't written.
        UnknownField: A field does not exist.
    """
    filter_ = _Parser(collection.registry, stored, for_payload).object(collection, raw) or MATCH_ALL
    if for_payload:
        _require_payload_filter(filter_)
    return filter_


def _require_payload_filter(filter_: Filter) -> None:
    match filter_:
        case AndFilter(parts) | OrFilter(parts):
            for part in parts:
                _require_payload_filter(part)
        case RelationFilter(field):
            raise NoPayloadFilter(f'Only written values are validated, not the rows related by "{field.name}"')
        case FieldFilter(field, function) if function is not None:
            raise NoPayloadFilter(f'Only written values are validated, not "{function}({field.name})"')


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
    if field.kind in DATE_PART_KINDS:
        return DATE_PART_KINDS[field.kind]
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


@dataclass(frozen=True, slots=True)
class _Parser:
    """The parser of one filter. Its methods return None for a part without any operator, which then does not count."""

    registry: Registry
    stored: bool
    for_payload: bool

    def object(self, collection: Collection, raw: Any) -> Filter | None:
        if not isinstance(raw, Mapping):
            raise InvalidQuery("Invalid filter object")
        return _all_of(self._entry(collection, name, value) for name, value in raw.items())

    def _entry(self, collection: Collection, name: str, value: Any) -> Filter | None:
        if name in LOGICAL_NAMES:
            return self._logical(collection, name, value)
        if name.endswith("_func") and name.removesuffix("_func") in collection.fields:
            return self._functions(collection.fields[name.removesuffix("_func")], value)
        field, function = split_function(collection, name)
        if value is None:
            raise InvalidQuery("Invalid filter object")
        if not isinstance(value, Mapping):
            value = {"_eq": value}
        if field.relation and function is None:
            return _all_of(self._relation(field, value, collection.target_of(field)))
        return _all_of(self._comparison(field, function, name, operand) for name, operand in value.items())

    def _logical(self, collection: Collection, name: str, value: Any) -> Filter | None:
        if not isinstance(value, list | tuple):
            raise InvalidQuery("Invalid filter object")
        parts = [self.object(collection, part) for part in value]
        if name == "_and":
            return _all_of(parts)
        if {} in value and not self.stored:
            return None  # as in Directus, `{}` matches every row; other parts without an operator do not count
        present = tuple(part for part in parts if part is not None)
        counted = tuple(part for part in present if _compares(part)) if self.stored else present
        return OrFilter(counted or present) if present else None

    def _functions(self, field: Field, value: Any) -> Filter | None:
        if not isinstance(value, Mapping) or any(not isinstance(operators, Mapping) for operators in value.values()):
            raise InvalidQuery("Invalid filter object")
        return _all_of(
            self._comparison(field, function, operator, operand)
            for function, operators in value.items()
            for operator, operand in operators.items()
        )

    def _relation(self, field: Field, value: Mapping[str, Any], related: Collection) -> Iterator[Filter | None]:
        operators = {**value.get(RELATION_KEY, {}), **{name: part for name, part in value.items() if name in OPERATORS}}
        others = (*operators, *QUANTIFIER_NAMES, RELATION_KEY)
        nested = {name: part for name, part in value.items() if name not in others}
        for name, operand in operators.items():
            if field.many:
                yield RelationFilter(field, "any", self._comparison(related.key, None, name, operand))
            else:
                yield self._comparison(field, None, name, operand)
        for name, quantifier in QUANTIFIER_NAMES.items():
            if name in value and not field.many:
                raise InvalidQuery(f'"{name}" can only be used with a to-many relation, which "{field.name}" is not')
            if name in value:
                yield RelationFilter(field, quantifier, self.object(related, value[name]) or MATCH_ALL)
        if (filter_ := self.object(related, nested)) is not None:
            yield RelationFilter(field, "any", filter_)

    def _comparison(self, field: Field, function: Function | None, name: str, value: Any) -> Filter:
        if name in OPERATORS and OPERATORS[name].payload_only and not self.for_payload:
            raise _unsupported(field.kind, name)
        kind: FieldKind | None = "string" if self.for_payload and field.is_hashed else None  # not hashed yet
        return compare(field, function, name, value, stored=self.stored, registry=self.registry, kind=kind)


def _all_of(parts: Iterable[Filter | None]) -> Filter | None:
    counted = tuple(part for part in parts if part is not None)
    return conjunction(counted) if counted else None


def _compares(filter_: Filter) -> bool:
    """Return whether a filter compares any value, and does not only ask whether there are related rows."""
    match filter_:
        case AndFilter(parts) | OrFilter(parts):
            return any(map(_compares, parts))
        case RelationFilter(filter=inner):
            return _compares(inner)
        case _:
            return True


def compare(
    field: Field,
    function: Function | None,
    name: str,
    value: Any,
    *,
    stored: bool = False,
    registry: Registry = BUILT_IN,
    kind: FieldKind | None = None,
) -> Filter:
    """Return a filter by one operator on one field, with the value converted to the field's kind, or to this `kind`.

    `stored` is as in `parse_filter`. The paths of variables lead through the collections of `registry`.

    Raises:
        InvalidQuery: The field does not support the operator, or the value does not fit it.
    """
    operator = OPERATORS.get(name)
    kind = "integer" if function else kind or field.kind
    if operator is None or kind not in operator.kinds:
        raise _unsupported(kind, name)
    if not operator.searches_text:
        value = _null_for_text(value)
    if operator.arity == "flag":
        return FieldFilter(field, function, _flag_operator(name, value, stored=stored), None)
    if value is None and name in ("_eq", "_neq"):
        return FieldFilter(field, function, "_null" if name == "_eq" else "_nnull", None)
    if operator.arity == "one":
        if value == "" and not stored:
            raise InvalidQuery(f'You can\'t filter for an empty string in "{name}". Use "_empty" or "_nempty" instead')
        return FieldFilter(field, function, name, _parse_value(registry, kind, value))
    if isinstance(value, SlotList) and operator.arity == "many":
        return FieldFilter(field, function, name, _coerce_with(coerce_list, kind, value))
    items = _split_items(value)
    is_complete = len(items) == 2 if operator.arity == "pair" else stored or bool(items)
    if not is_complete:
        expected = "an array of values" if operator.arity == "many" else "an array of two values"
        raise InvalidQuery(f'"{name}" has to be {expected}')
    return FieldFilter(
        field, function, name, tuple(_parse_value(registry, kind, _null_for_text(item)) for item in items)
    )


def _unsupported(kind: FieldKind, operator: str) -> InvalidQuery:
    return InvalidQuery(f'"{kind}" field type does not contain the "{operator}" filter operator')


def _flag_operator(name: str, value: Any, *, stored: bool) -> str:
    """Return the operator that a flag with this value stands for: the opposite if it is false."""
    if value is False or value == "false":
        return OPPOSITE_FLAGS.get(name, name)
    if not stored and value is not None and value is not True and value not in ("true", ""):
        raise InvalidQuery(f'"{name}" has to be a boolean')
    return name


def _null_for_text(value: Any) -> Any:
    return None if isinstance(value, str) and value in NULL_TEXTS else value


def _split_items(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [value] if _VARIABLE.fullmatch(value) else value.split(",")
    return list(value) if isinstance(value, list | tuple) else [value]


def _parse_value(registry: Registry, kind: FieldKind, value: Any) -> Any:
    if isinstance(value, str) and (variable := _VARIABLE.fullmatch(value)):
        return _create_variable(registry, variable[1], variable[2], variable[3])
    return _coerce_with(coerce, kind, value)


def _coerce_with(convert: Callable[[FieldKind, Any], Any], kind: FieldKind, value: Any) -> Any:
    try:
        return convert(kind, value)
    except ValueError as error:
        raise InvalidQuery(str(error)) from None


def parse_variable(registry: Registry, text: str) -> Variable | None:
    """Parse a variable such as `$CURRENT_USER`, whose path leads through a registry. Return None for any other text.

    Raises:
        InvalidQuery: The variable's path or argument is invalid.
    """
    match = _VARIABLE.fullmatch(text)
    return _create_variable(registry, match[1], match[2], match[3]) if match else None


def _create_variable(registry: Registry, name: str, path: str | None, argument: str | None) -> Variable:
    if argument is not None:
        try:
            adjusted(utc_now(), argument)
        except ValueError as error:
            raise InvalidQuery(str(error)) from None
    return Variable(name, tuple(_variable_path(registry, name, path)) if path else (), argument)


def _variable_path(registry: Registry, name: str, path: str) -> Iterator[Field]:
    if path.count(".") >= MAX_VARIABLE_FIELDS:
        raise InvalidQuery(f'"${name}" can be followed by at most {MAX_VARIABLE_FIELDS} fields')
    start = {"CURRENT_USER": USERS.name, "CURRENT_ROLE": ROLES.name}.get(name)
    collection = registry[start] if start else None
    for field_name in path.split("."):
        if collection is None or field_name not in collection.fields:
            raise InvalidQuery(f'"${name}.{path}" does not name a field')
        field = collection.fields[field_name]
        yield field
        collection = registry[field.link.target] if field.relation else None
