"""The operators of a filter: which kinds of field take them, what value they take, and what they say in SQL."""

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

UNSTORABLE_CHARACTERS = re.compile("[\0\ud800-\udfff]")
_LITERAL = re.compile(r"/(.*)/([gimsuy]*)", re.DOTALL)
_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "g": 0, "u": 0, "y": 0}

Arity = Literal["one", "many", "pair", "flag"]
Expression = ColumnElement[Any]
ConditionBuilder = Callable[[Expression, Any], ColumnElement[bool]]
Evaluator = Callable[[Any, Any], bool]

TEXT_KINDS: frozenset[FieldKind] = frozenset({"string", "csv"})
ORDERED_KINDS: frozenset[FieldKind] = frozenset({"integer", "bigInteger", "timestamp"})
COMPARABLE_KINDS: frozenset[FieldKind] = TEXT_KINDS | ORDERED_KINDS | {"uuid", "boolean"}
LIST_KINDS: frozenset[FieldKind] = TEXT_KINDS | ORDERED_KINDS | {"uuid"}
ALL_KINDS: frozenset[FieldKind] = COMPARABLE_KINDS | {"json", "hash"}


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator: `sql` is given the field and its value (one, a list, a pair, or nothing for a flag).

    `holds` is the same said of a payload's value, which may be None, and of plain values.
    """

    arity: Arity
    kinds: frozenset[FieldKind]
    sql: ConditionBuilder
    evaluate: Evaluator
    matches_null: bool = False
    """Whether it can hold of a NULL, so also of a row that isn't there."""
    payload_only: bool = False
    """Whether only a payload can be judged by it."""


def _empty(column: Expression, _: Any) -> ColumnElement[bool]:
    return or_(column.is_(None), column == "")


def _filled(column: Expression, _: Any) -> ColumnElement[bool]:
    return and_(column.is_not(None), column != "")


def _part(
    found: type[sql.Contains | sql.StartsWith | sql.EndsWith],
    bound: type[sql.ContainsPattern | sql.StartsWithPattern | sql.EndsWithPattern],
    *,
    folded: bool = False,
) -> ConditionBuilder:
    """How a part is found: as a pattern where it is `bound`, letter for letter where the database itself tells it."""
    part = LikePattern(before=found is not sql.StartsWith, after=found is not sql.EndsWith)

    def spell(column: Expression, value: Expression) -> ColumnElement[bool]:
        is_bound = isinstance(value, BindParameter)
        spelled, looked_for = (bound, type_coerce(value, part)) if is_bound else (found, value)
        return spelled(sql.fold(column), sql.fold(looked_for)) if folded else spelled(column, looked_for)

    return spell


def _starts(column: Expression, value: Expression) -> ColumnElement[bool]:
    if not isinstance(value, BindParameter):
        return sql.StartsWith(column, value)
    return sql.Between(column, value, type_coerce(value, PrefixUpperBound()))


def _text(
    spelling: ConditionBuilder, holds: Callable[[str, str], bool], *, folded: bool = False
) -> tuple[Operator, Operator]:
    """An operator on texts, and the one that holds where it doesn't."""

    def judge(value: Any, wanted: Any) -> bool:
        if value is None:
            return False
        text = ",".join(value) if isinstance(value, list) else str(value)
        return holds(text.lower(), wanted.lower()) if folded else holds(text, wanted)

    def opposite(value: Any, wanted: Any) -> bool:
        return not judge(value, wanted)

    return Operator("one", TEXT_KINDS, spelling, judge), Operator("one", TEXT_KINDS, _not(spelling), opposite)


def _not(spelling: ConditionBuilder) -> ConditionBuilder:
    return lambda column, value: not_(spelling(column, value))


def _between(column: Expression, pair: tuple[Expression, Expression]) -> ColumnElement[bool]:
    return and_(column >= pair[0], column <= pair[1])


def _among(column: Expression, listed: Expression) -> ColumnElement[bool]:
    return sql.InList(column, listed)


def _unasked(_: Expression, __: Any) -> ColumnElement[bool]:
    raise TypeError("only a payload can be judged by this operator")


def _compared(holds: Evaluator) -> Evaluator:
    """An order that nothing stands in where there is no value."""
    return lambda value, wanted: value is not None and holds(value, wanted)


def _is_empty(value: Any, _: Any) -> bool:
    return value is None or value in ("", [])


_CONTAINS, _NCONTAINS = _text(_part(sql.Contains, sql.ContainsPattern), lambda text, part: part in text)
_ICONTAINS, _ = _text(
    _part(sql.Contains, sql.ContainsPattern, folded=True), lambda text, part: part in text, folded=True
)
_STARTS, _NSTARTS = _text(_starts, str.startswith)
_ISTARTS, _NISTARTS = _text(_part(sql.StartsWith, sql.StartsWithPattern, folded=True), str.startswith, folded=True)
_ENDS, _NENDS = _text(_part(sql.EndsWith, sql.EndsWithPattern), str.endswith)
_IENDS, _NIENDS = _text(_part(sql.EndsWith, sql.EndsWithPattern, folded=True), str.endswith, folded=True)

OPERATORS: dict[str, Operator] = {
    "_eq": Operator("one", COMPARABLE_KINDS, lambda column, value: column == value, operator.eq),
    "_neq": Operator("one", COMPARABLE_KINDS, lambda column, value: column != value, operator.ne),
    "_lt": Operator("one", ORDERED_KINDS, lambda column, value: column < value, _compared(operator.lt)),
    "_lte": Operator("one", ORDERED_KINDS, lambda column, value: column <= value, _compared(operator.le)),
    "_gt": Operator("one", ORDERED_KINDS, lambda column, value: column > value, _compared(operator.gt)),
    "_gte": Operator("one", ORDERED_KINDS, lambda column, value: column >= value, _compared(operator.ge)),
    "_in": Operator("many", LIST_KINDS, _among, lambda value, items: value in items),
    "_nin": Operator("many", LIST_KINDS, _not(_among), lambda value, items: value not in items),
    "_between": Operator("pair", ORDERED_KINDS, _between, _compared(lambda value, pair: pair[0] <= value <= pair[1])),
    "_nbetween": Operator(
        "pair", ORDERED_KINDS, _not(_between), _compared(lambda value, pair: not pair[0] <= value <= pair[1])
    ),
    "_null": Operator(
        "flag", ALL_KINDS, lambda column, _: column.is_(None), lambda value, _: value is None, matches_null=True
    ),
    "_nnull": Operator("flag", ALL_KINDS, lambda column, _: column.is_not(None), lambda value, _: value is not None),
    "_empty": Operator("flag", TEXT_KINDS | {"hash"}, _empty, _is_empty, matches_null=True),
    "_nempty": Operator("flag", TEXT_KINDS | {"hash"}, _filled, lambda value, _: not _is_empty(value, None)),
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
    "_regex": Operator("one", TEXT_KINDS, _unasked, lambda value, wanted: matches(wanted, value), payload_only=True),
    "_submitted": Operator("flag", ALL_KINDS, _unasked, lambda *_: True, payload_only=True),
}
OPPOSITE_FLAGS = {"_null": "_nnull", "_nnull": "_null", "_empty": "_nempty", "_nempty": "_empty"}


def matches(pattern: str, value: Any) -> bool:
    """Whether a text fits a regular expression, which may stand between slashes as in JavaScript.

    What can't be read as one fits nothing.
    """
    try:
        return value is not None and bool(compile_pattern(pattern).search(str(value)))
    except ValueError:
        return False


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """A regular expression as JavaScript spells it, with slashes and flags or without; ValueError for any other."""
    found = _LITERAL.fullmatch(pattern)
    flags = sum({_FLAGS[letter] for letter in found[2]}) if found else 0
    try:
        return re.compile(found[1] if found else pattern, flags)
    except (re.error, RecursionError, OverflowError):
        raise ValueError("a regular expression is needed here") from None


INTEGER_BOUNDS = {"integer": 2**31, "bigInteger": 2**63}
BINDABLE_KINDS = {"uuid", "timestamp", "string", "csv"}
"""Kinds that take a text whatever it says; of a number's digits the type would depend on what they are."""


def _text_value(value: Any) -> str:
    if type(value) is str and value.isascii() and "\0" not in value:  # as nearly all are
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise ValueError("a text is needed here")
    text = str(value)
    if UNSTORABLE_CHARACTERS.search(text):
        raise ValueError("a text can't hold U+0000 or half a surrogate pair")
    return text


def _boolean_value(value: Any) -> bool:
    known = {"true": True, "1": True, "false": False, "0": False}
    word = str(value).lower()
    if not isinstance(value, bool | int | str) or word not in known:
        raise ValueError("true or false is needed here")
    return known[word]


def _uuid_value(value: Any) -> str:
    try:
        return canonical_uuid(value) if len(value) == 36 else _refuse()
    except (ValueError, TypeError, AttributeError):
        return _refuse()


def _refuse() -> str:
    raise ValueError("a uuid is needed here, such as 5a225ad4-1acf-4943-8fd4-5f9257dd1def")


def _date_value(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    try:
        return parse_date(value)
    except (ValueError, TypeError):
        raise ValueError("a date is needed here, such as 2024-01-15T10:30:45Z") from None


def _number(kind: FieldKind, value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("Invalid numeric value")
    try:
        number = float(value)
        exact = int(value) if isinstance(value, int | str) and number.is_integer() and "." not in str(value) else number
    except (ValueError, OverflowError):
        raise ValueError("Invalid numeric value") from None
    if not abs(number) < INTEGER_BOUNDS[kind]:
        raise ValueError(f"a number between -{INTEGER_BOUNDS[kind]} and {INTEGER_BOUNDS[kind] - 1} is needed here")
    return exact


def coerce(kind: FieldKind, value: Any) -> Any:
    """A value of a filter as the kind of field it is compared with; ValueError says what is needed instead.

    A Slot that any value of its type could stand in for becomes a Bound.
    """
    if value is None:
        return None
    if (isinstance(value, SlotText) and kind in BINDABLE_KINDS) or (
        isinstance(value, SlotNumber) and kind in INTEGER_BOUNDS
    ):
        return bind(value, kind, _converter(kind), canonical=kind == "uuid")
    if isinstance(value, BoundParameter):
        return value if kind == "timestamp" else _refuse()
    return _converter(kind)(value)


def coerce_list(kind: FieldKind, items: list[Any]) -> Any:
    """Every item coerced: a tuple, or of a SlotList one Bound."""
    if isinstance(items, SlotList):
        convert = _converter(kind)
        return bind(items, f"{kind}s", lambda given: [convert(item) for item in given])
    return tuple(coerce(kind, item) for item in items)


_CONVERTERS: dict[FieldKind, Callable[[Any], Any]] = {
    "uuid": _uuid_value,
    "boolean": _boolean_value,
    "timestamp": _date_value,
    "integer": partial(_number, "integer"),
    "bigInteger": partial(_number, "bigInteger"),
}


def _converter(kind: FieldKind) -> Callable[[Any], Any]:
    return _CONVERTERS.get(kind, _text_value)
