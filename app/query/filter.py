"""A filter as a tree: what a client asks, and what a rule says, before anybody's rights come in."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from app.core.bindings import SlotList
from app.core.clock import adjusted, utc_now
from app.core.errors import Forbidden, InvalidQuery
from app.query.collection import ROLES, USERS, Collection, Field, FieldKind, target
from app.query.operators import OPERATORS, OPPOSITE_FLAGS, coerce, coerce_list
from app.query.sql_functions import DatePart

Quantifier = Literal["any", "some", "none"]
Function = Literal["count", "year", "month", "week", "day", "weekday", "hour", "minute", "second"]

DATE_PARTS: tuple[DatePart, ...] = ("year", "month", "week", "day", "weekday", "hour", "minute", "second")
RELATION_KEY = "_key"
"""Stands before the operators that a client put directly on a relation; no client can write it."""

UNSUPPORTED_OPERATOR_MESSAGE = '"{kind}" field type does not contain the "{operator}" filter operator'

_VARIABLE = re.compile(r"\$(CURRENT_USER|CURRENT_ROLES?|CURRENT_POLICIES|NOW)(?:\.([\w.]+)|\((.*)\))?", re.ASCII)
_CALL = re.compile(r"(\w+)\((\w+)\)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Variable:
    """A value that depends on who asks and when: `$CURRENT_USER.title`, `$NOW(-1 day)`."""

    name: str
    path: tuple[Field, ...] = ()
    argument: str | None = None


@dataclass(frozen=True, slots=True)
class FieldFilter:
    """`field operator value`, or a function of the field; `value` is already of the field's kind."""

    field: Field
    function: Function | None
    operator: str
    value: Any


@dataclass(frozen=True, slots=True)
class RelationFilter:
    """A filter on the rows that a relation leads to.

    `some`: at least one of them holds; `none`: not one does; `any`: as after a LEFT JOIN, so that where there
    are no rows the filter is asked of a row of nulls.
    """

    field: Field
    quantifier: Quantifier
    filter: "Filter"


@dataclass(frozen=True, slots=True)
class AndFilter:
    """Every part holds; with no parts, everything does."""

    parts: tuple["Filter", ...] = ()


@dataclass(frozen=True, slots=True)
class OrFilter:
    """At least one part holds; with no parts, nothing does."""

    parts: tuple["Filter", ...] = ()


Filter = AndFilter | OrFilter | FieldFilter | RelationFilter
MATCH_ALL = AndFilter()


class UnknownField(Forbidden):
    """A field that isn't there, or that this caller may not see: the two answer alike."""

    def __init__(self, collection: Collection, name: str, path: str = "root") -> None:
        where = path if path == "root" else f'"{path}"'
        super().__init__(
            f'You don\'t have permission to access field "{name}" in collection "{collection.name}" '
            f"or it does not exist. Queried in {where}"
        )


def parse_filter(collection: Collection, raw: Any, *, allow_payload_operators: bool = False) -> Filter:
    """A filter object as Directus spells it -> its tree; `of_payload` admits what only a payload can be judged by.

    Raises InvalidQuery for what can't be read and UnknownField for a field that isn't there.
    """
    parsed = _parse(collection, raw)
    if not allow_payload_operators:
        _check_askable(parsed)
    return parsed


def _parse(collection: Collection, raw: Any) -> Filter:
    if not isinstance(raw, Mapping):
        raise InvalidQuery("Invalid filter object")
    return conjunction(tuple(_entry(collection, name, value) for name, value in raw.items()))


def _check_askable(filter_: Filter) -> None:
    match filter_:
        case AndFilter(parts) | OrFilter(parts):
            for part in parts:
                _check_askable(part)
        case RelationFilter(filter=inner):
            _check_askable(inner)
        case FieldFilter(field, _, operator):
            if OPERATORS[operator].payload_only:
                raise InvalidQuery(UNSUPPORTED_OPERATOR_MESSAGE.format(kind=field.kind, operator=operator))


def conjunction(parts: tuple[Filter, ...]) -> Filter:
    """All of the parts at once, without an empty shell around one of them."""
    parts = tuple(part for part in parts if part != MATCH_ALL)
    return parts[0] if len(parts) == 1 else AndFilter(parts)


def split_function(collection: Collection, name: str) -> tuple[Field, Function | None]:
    """`email`, `year(last_access)` or `count(tags)` -> the field and the function asked of it.

    Raises UnknownField where there is no such field, or the function doesn't fit it.
    """
    call = _CALL.fullmatch(name)
    base, function = (call[2], call[1]) if call else (name, None)
    field = collection.fields.get(base)
    if field is None or (function is not None and function not in functions_of(field)):
        raise UnknownField(collection, name)
    return field, function


def functions_of(field: Field) -> tuple[Function, ...]:
    """The functions a field takes: date parts of a timestamp, the count of a list."""
    if field.kind == "timestamp":
        return DATE_PARTS
    return ("count",) if field.kind == "json" or field.many else ()


def filter_depth(filter_: Filter) -> int:
    """The longest path a filter walks, its last field included."""
    match filter_:
        case AndFilter(parts) | OrFilter(parts):
            return max(map(filter_depth, parts), default=0)
        case RelationFilter(filter=inner):
            return 1 + filter_depth(inner)
        case _:
            return 1


def _entry(collection: Collection, name: str, value: Any) -> Filter:
    if name in ("_and", "_or"):
        if not isinstance(value, list | tuple):
            raise InvalidQuery("Invalid filter object")
        parts = tuple(_parse(collection, part) for part in value)
        return conjunction(parts) if name == "_and" or not parts else OrFilter(parts)
    if name.endswith("_func") and name.removesuffix("_func") in collection.fields:
        return _functions(collection.fields[name.removesuffix("_func")], value)
    field, function = split_function(collection, name)
    if value is None:
        raise InvalidQuery("Invalid filter object")
    if not isinstance(value, Mapping):
        value = {"_eq": value}
    if field.relation and function is None:
        return conjunction(tuple(_through(field, value, collection.target_of(field))))
    return conjunction(tuple(compare(field, function, name, asked) for name, asked in value.items()))


def _functions(field: Field, value: Any) -> Filter:
    if not isinstance(value, Mapping) or any(not isinstance(asked, Mapping) for asked in value.values()):
        raise InvalidQuery("Invalid filter object")
    return conjunction(
        tuple(
            compare(field, function, operator, asked)
            for function, operators in value.items()
            for operator, asked in operators.items()
        )
    )


def _through(field: Field, value: Mapping[str, Any], there: Collection) -> Iterator[Filter]:
    operators = {**value.get(RELATION_KEY, {}), **{name: asked for name, asked in value.items() if name in OPERATORS}}
    quantified: dict[str, Quantifier] = {"_some": "some", "_none": "none"}
    rest = {name: asked for name, asked in value.items() if name not in (*operators, *quantified, RELATION_KEY)}
    for name, asked in operators.items():
        if field.many:
            yield RelationFilter(field, "any", compare(there.key, None, name, asked))
        else:
            yield compare(field, None, name, asked)
    for name, quantifier in quantified.items():
        if name in value:
            if not field.many:
                raise InvalidQuery(f'"{name}" can only be used with a to-many relation, "{field.name}" is none')
            yield RelationFilter(field, quantifier, _parse(there, value[name]))
    if rest:
        yield RelationFilter(field, "any", _parse(there, rest))


def compare(field: Field, function: Function | None, name: str, value: Any) -> Filter:
    """One operator on one field, its value checked and coerced; InvalidQuery says what doesn't fit."""
    operator = OPERATORS.get(name)
    kind: FieldKind = "integer" if function else field.kind
    if operator is None or kind not in operator.kinds:
        raise InvalidQuery(UNSUPPORTED_OPERATOR_MESSAGE.format(kind=kind, operator=name))
    if operator.arity == "flag":
        return _flag(field, function, name, value)
    if value is None and name in ("_eq", "_neq"):
        return FieldFilter(field, function, "_null" if name == "_eq" else "_nnull", None)
    if operator.arity == "one":
        return FieldFilter(field, function, name, _value(kind, name, value))
    if isinstance(value, SlotList) and operator.arity == "many":
        return FieldFilter(field, function, name, _coerced(coerce_list, kind, value))
    items = _items(value)
    if not items or (operator.arity == "pair" and len(items) != 2):
        needed = "has to be an array of values" if operator.arity == "many" else "has to be an array of two values"
        raise InvalidQuery(f'"{name}" {needed}')
    return FieldFilter(field, function, name, tuple(_value(kind, name, item) for item in items))


def _flag(field: Field, function: Function | None, name: str, asked: Any) -> Filter:
    if asked is None:
        return MATCH_ALL
    holds = asked not in (False, "false", 0, "0")
    return FieldFilter(field, function, name if holds else OPPOSITE_FLAGS[name], None)


def _items(asked: Any) -> list[Any]:
    if isinstance(asked, str):
        return [asked] if _VARIABLE.fullmatch(asked) else asked.split(",")
    return list(asked) if isinstance(asked, list | tuple) else [asked]


def _value(kind: FieldKind, name: str, asked: Any) -> Any:
    if asked == "":
        raise InvalidQuery(f'You can\'t filter for an empty string in "{name}". Use "_empty" or "_nempty" instead')
    if isinstance(asked, str) and (variable := _VARIABLE.fullmatch(asked)):
        return _variable(variable[1], variable[2], variable[3])
    return _coerced(coerce, kind, asked)


def _coerced(how: Callable[[FieldKind, Any], Any], kind: FieldKind, asked: Any) -> Any:
    try:
        return how(kind, asked)
    except ValueError as problem:
        raise InvalidQuery(str(problem)) from None


def parse_variable(text: str) -> Variable | None:
    """`$CURRENT_USER` and its kin; None for any other text. Raises InvalidQuery for one that leads nowhere."""
    found = _VARIABLE.fullmatch(text)
    return _variable(found[1], found[2], found[3]) if found else None


def _variable(name: str, path: str | None, argument: str | None) -> Variable:
    if argument is not None:
        try:
            adjusted(utc_now(), argument)
        except ValueError as problem:
            raise InvalidQuery(f"{problem}") from None
    return Variable(name, tuple(_walk(name, path)) if path else (), argument)


def _walk(name: str, path: str) -> Iterator[Field]:
    here = {"CURRENT_USER": USERS, "CURRENT_ROLE": ROLES}.get(name)
    for step in path.split("."):
        if here is None or step not in here.fields:
            raise InvalidQuery(f'"${name}.{path}" leads to no field')
        field = here.fields[step]
        yield field
        here = target(field) if field.relation else None
