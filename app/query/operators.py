"""The filter operators: the field kinds and values they accept, their SQL, and their evaluation on payloads."""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Literal

from sqlalchemy import BindParameter, ColumnElement, and_, not_, or_, type_coerce

from app.core.bindings import BoundParameter, SlotList, SlotNumber, SlotText, bind
from app.core.values import canonical_uuid, parse_date
from app.query import sql_functions as sql
from app.query.bind_types import LikePattern, PrefixUpperBound
from app.query.collection import FieldKind

_UNSTORABLE_CHARACTERS = re.compile("[\0\ud800-\udfff]")
_REGEX_LITERAL = re.compile(r"/(.*)/([gimsuy]*)", re.DOTALL)
_REGEX_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "g": 0, "u": 0, "y": 0}

Arity = Literal["one", "many", "pair", "flag"]
Expression = ColumnElement[Any]
ConditionBuilder = Callable[[Expression, Any], ColumnElement[bool]]
Evaluator = Callable[[Any, Any], bool]
TextEvaluator = Callable[[str, str], bool]

TEXT_KINDS: frozenset[FieldKind] = frozenset({"string", "csv"})
ORDERED_KINDS: frozenset[FieldKind] = frozenset({"integer", "bigInteger", "timestamp"})
COMPARABLE_KINDS: frozenset[FieldKind] = TEXT_KINDS | ORDERED_KINDS | {"uuid", "boolean"}
LIST_KINDS: frozenset[FieldKind] = TEXT_KINDS | ORDERED_KINDS | {"uuid"}
ALL_KINDS: frozenset[FieldKind] = COMPARABLE_KINDS | {"json", "hash"}


@dataclass(frozen=True, slots=True)
class Operator:
    """A filter operator.

    `sql` builds the condition from the column and the operator's value: a single value, a list, a pair, or None for a
    flag. `evaluate` decides the same in Python for a payload's value, which may be None, and plain operator values.
    """

    arity: Arity
    kinds: frozenset[FieldKind]
    sql: ConditionBuilder
    evaluate: Evaluator
    matches_null: bool = False
    """Whether it can be true of NULL, and therefore of a row that does not exist."""
    payload_only: bool = False
    """Whether it can only be evaluated on payloads, not in queries."""


def _empty(column: Expression, _: Any) -> ColumnElement[bool]:
    return or_(column.is_(None), column == "")


def _not_empty(column: Expression, _: Any) -> ColumnElement[bool]:
    return and_(column.is_not(None), column != "")


def _pattern(
    literal: type[sql.Contains | sql.StartsWith | sql.EndsWith],
    pattern: type[sql.ContainsPattern | sql.StartsWithPattern | sql.EndsWithPattern],
    *,
    ignore_case: bool = False,
) -> ConditionBuilder:
    """Return a builder for a search: by `pattern` for a bound value, by `literal` for a value from the database."""
    pattern_type = LikePattern(before=literal is not sql.StartsWith, after=literal is not sql.EndsWith)

    def build(column: Expression, value: Expression) -> ColumnElement[bool]:
        is_bound = isinstance(value, BindParameter)
        function, operand = (pattern, type_coerce(value, pattern_type)) if is_bound else (literal, value)
        return function(sql.fold(column), sql.fold(operand)) if ignore_case else function(column, operand)

    return build


def _starts_with(column: Expression, value: Expression) -> ColumnElement[bool]:
    if not isinstance(value, BindParameter):
        return sql.StartsWith(column, value)
    return sql.Between(column, value, type_coerce(value, PrefixUpperBound()))


def _text_operators(
    build: ConditionBuilder, evaluate: TextEvaluator, *, ignore_case: bool = False
) -> tuple[Operator, Operator]:
    """Return an operator on texts and its negation."""

    def matches(value: Any, operand: Any) -> bool:
        if value is None:
            return False
        text = ",".join(value) if isinstance(value, list) else str(value)
        return evaluate(text.lower(), operand.lower()) if ignore_case else evaluate(text, operand)

    def differs(value: Any, operand: Any) -> bool:
        return not matches(value, operand)

    return Operator("one", TEXT_KINDS, build, matches), Operator("one", TEXT_KINDS, _not(build), differs)


def _not(build: ConditionBuilder) -> ConditionBuilder:
    return lambda column, value: not_(build(column, value))


def _between(column: Expression, pair: tuple[Expression, Expression]) -> ColumnElement[bool]:
    return and_(column >= pair[0], column <= pair[1])


def _in_list(column: Expression, values: Expression) -> ColumnElement[bool]:
    return sql.InList(column, values)


def _payload_only(_: Expression, __: Any) -> ColumnElement[bool]:
    raise TypeError("this operator can only be evaluated on payloads")


def _unless_none(evaluate: Evaluator) -> Evaluator:
    """Return an evaluator of an order that is false without a value."""
    return lambda value, operand: value is not None and evaluate(value, operand)


def _is_empty(value: Any, _: Any) -> bool:
    return value is None or value in ("", [])


def _contains(text: str, part: str) -> bool:
    return part in text


_CONTAINS, _NCONTAINS = _text_operators(_pattern(sql.Contains, sql.ContainsPattern), _contains)
_ICONTAINS, _ = _text_operators(
    _pattern(sql.Contains, sql.ContainsPattern, ignore_case=True), _contains, ignore_case=True
)
_STARTS, _NSTARTS = _text_operators(_starts_with, str.startswith)
_ISTARTS, _NISTARTS = _text_operators(
    _pattern(sql.StartsWith, sql.StartsWithPattern, ignore_case=True), str.startswith, ignore_case=True
)
_ENDS, _NENDS = _text_operators(_pattern(sql.EndsWith, sql.EndsWithPattern), str.endswith)
_IENDS, _NIENDS = _text_operators(
    _pattern(sql.EndsWith, sql.EndsWithPattern, ignore_case=True), str.endswith, ignore_case=True
)

OPERATORS: dict[str, Operator] = {
    "_eq": Operator("one", COMPARABLE_KINDS, lambda column, value: column == value, operator.eq),
    "_neq": Operator("one", COMPARABLE_KINDS, lambda column, value: column != value, operator.ne),
    "_lt": Operator("one", ORDERED_KINDS, lambda column, value: column < value, _unless_none(operator.lt)),
    "_lte": Operator("one", ORDERED_KINDS, lambda column, value: column <= value, _unless_none(operator.le)),
    "_gt": Operator("one", ORDERED_KINDS, lambda column, value: column > value, _unless_none(operator.gt)),
    "_gte": Operator("one", ORDERED_KINDS, lambda column, value: column >= value, _unless_none(operator.ge)),
    "_in": Operator("many", LIST_KINDS, _in_list, lambda value, items: value in items),
    "_nin": Operator("many", LIST_KINDS, _not(_in_list), lambda value, items: value not in items),
    "_between": Operator(
        "pair", ORDERED_KINDS, _between, _unless_none(lambda value, pair: pair[0] <= value <= pair[1])
    ),
    "_nbetween": Operator(
        "pair", ORDERED_KINDS, _not(_between), _unless_none(lambda value, pair: not pair[0] <= value <= pair[1])
    ),
    "_null": Operator(
        "flag", ALL_KINDS, lambda column, _: column.is_(None), lambda value, _: value is None, matches_null=True
    ),
    "_nnull": Operator("flag", ALL_KINDS, lambda column, _: column.is_not(None), lambda value, _: value is not None),
    "_empty": Operator("flag", TEXT_KINDS | {"hash"}, _empty, _is_empty, matches_null=True),
    "_nempty": Operator("flag", TEXT_KINDS | {"hash"}, _not_empty, lambda value, _: not _is_empty(value, None)),
    "_contains": _CONTAINS,
    "_ncontains": _NCONTAINS,
    "_icontains": _ICONTAINS,
    "_starts_with": _STARTS,
    "_nstarts_with": _NSTARTS,
    "_istarts_with": _ISTARTS,
    "_nistarts_with": _NISTARTS,
    "_ends_with": _ENDS,
    "_nends_with": _NENDS,
    "_iends_with": _IENDS,
    "_niends_with": _NIENDS,
    "_regex": Operator(
        "one", TEXT_KINDS, _payload_only, lambda value, pattern: matches_pattern(pattern, value), payload_only=True
    ),
    "_submitted": Operator("flag", ALL_KINDS, _payload_only, lambda *_: True, payload_only=True),
}
OPPOSITE_FLAGS = {"_null": "_nnull", "_nnull": "_null", "_empty": "_nempty", "_nempty": "_empty"}


def matches_pattern(pattern: str, value: Any) -> bool:
    """Return whether a text matches a regular expression, which may be a literal between slashes as in JavaScript.

    An invalid regular expression matches nothing.
    """
    try:
        return value is not None and bool(compile_pattern(pattern).search(str(value)))
    except ValueError:
        return False


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a regular expression as JavaScript writes it, with or without slashes and flags.

    Raises:
        ValueError: The pattern is not a valid regular expression.
    """
    literal = _REGEX_LITERAL.fullmatch(pattern)
    flags = sum({_REGEX_FLAGS[letter] for letter in literal[2]}) if literal else 0
    try:
        return re.compile(literal[1] if literal else pattern, flags)
    except (re.error, RecursionError, OverflowError):
        raise ValueError("Expected a regular expression") from None


INTEGER_BOUNDS = {"integer": 2**31, "bigInteger": 2**63}
"""The exclusive upper bound of the absolute value of each integer kind."""
BINDABLE_KINDS = {"uuid", "timestamp", "string", "csv"}
"""Kinds for which any text can be bound. The type of a number would depend on its digits."""


def _text_value(value: Any) -> str:
    if type(value) is str and value.isascii() and "\0" not in value:  # fast path for nearly all values
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return storable_text(value)


def storable_text(value: Any) -> str:
    """Return a string or a number as a text that both databases can store.

    Raises:
        ValueError: The value is of another type, or contains characters that a database cannot store.
    """
    if not isinstance(value, str | int | float):
        raise ValueError("Expected a string")
    text = str(value)
    if _UNSTORABLE_CHARACTERS.search(text):
        raise ValueError("A string must not contain U+0000 or an unpaired surrogate")
    return text


def _boolean_value(value: Any) -> bool:
    booleans = {"true": True, "1": True, "false": False, "0": False}
    text = str(value).lower()
    if not isinstance(value, bool | int | str) or text not in booleans:
        raise ValueError("Expected true or false")
    return booleans[text]


def _uuid_value(value: Any) -> str:
    try:
        return canonical_uuid(value) if len(value) == 36 else _reject_uuid()
    except (ValueError, TypeError, AttributeError):
        return _reject_uuid()


def _reject_uuid() -> str:
    raise ValueError("Expected a UUID, such as 5a225ad4-1acf-4943-8fd4-5f9257dd1def")


def _date_value(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    try:
        return parse_date(value)
    except (ValueError, TypeError):
        raise ValueError("Expected a date, such as 2024-01-15T10:30:45Z") from None


def _number_value(kind: FieldKind, value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("Invalid numeric value")
    try:
        number = float(value)
        exact = int(value) if isinstance(value, int | str) and number.is_integer() and "." not in str(value) else number
    except (ValueError, OverflowError):
        raise ValueError("Invalid numeric value") from None
    if not abs(number) < INTEGER_BOUNDS[kind]:
        raise ValueError(f"Expected a number between -{INTEGER_BOUNDS[kind]} and {INTEGER_BOUNDS[kind] - 1}")
    return exact


def coerce(kind: FieldKind, value: Any) -> Any:
    """Return a filter's value converted to the kind of the field it is compared with.

    A Slot becomes a BoundParameter if the plan is the same for every value of its type.

    Raises:
        ValueError: The value cannot be converted; the message says what is expected.
    """
    if value is None:
        return None
    if (isinstance(value, SlotText) and kind in BINDABLE_KINDS) or (
        isinstance(value, SlotNumber) and kind in INTEGER_BOUNDS
    ):
        return bind(value, kind, _converter(kind), canonical=kind == "uuid")
    if isinstance(value, BoundParameter):
        return value if kind == "timestamp" else _reject_uuid()
    return _converter(kind)(value)


def coerce_list(kind: FieldKind, items: list[Any]) -> Any:
    """Return the items converted as by `coerce`: a tuple, or one BoundParameter for a SlotList."""
    if isinstance(items, SlotList):
        convert = _converter(kind)
        return bind(items, f"{kind}s", lambda values: [convert(item) for item in values])
    return tuple(coerce(kind, item) for item in items)


_CONVERTERS: dict[FieldKind, Callable[[Any], Any]] = {
    "uuid": _uuid_value,
    "boolean": _boolean_value,
    "timestamp": _date_value,
    "integer": partial(_number_value, "integer"),
    "bigInteger": partial(_number_value, "bigInteger"),
}


def _converter(kind: FieldKind) -> Callable[[Any], Any]:
    return _CONVERTERS.get(kind, _text_value)
