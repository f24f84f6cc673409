"""The filter operators: the field kinds and values they accept, their SQL, and their evaluation on payloads."""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import BindParameter, ColumnElement, and_, not_, or_, type_coerce

from app.query import sql_functions as sql
from app.query.bind_types import LikePattern, PrefixUpperBound
from app.query.collection import FieldKind

Arity = Literal["one", "many", "pair", "flag"]
Expression = ColumnElement[Any]
ConditionBuilder = Callable[[Expression, Any], ColumnElement[bool]]
Evaluator = Callable[[Any, Any], bool]
TextEvaluator = Callable[[str, str], bool]

TEXT_KINDS: frozenset[FieldKind] = frozenset({"string", "csv"})
ORDERED_KINDS: frozenset[FieldKind] = frozenset(
    {"integer", "bigInteger", "float", "decimal", "date", "time", "dateTime", "timestamp"}
)
COMPARABLE_KINDS: frozenset[FieldKind] = TEXT_KINDS | ORDERED_KINDS | {"uuid", "boolean"}
LIST_KINDS: frozenset[FieldKind] = TEXT_KINDS | ORDERED_KINDS | {"uuid"}
ALL_KINDS: frozenset[FieldKind] = COMPARABLE_KINDS | {"json", "hash"}
REGEX = "_regex"


@dataclass(frozen=True, slots=True)
class Operator:
    """A filter operator.

    `sql` builds the condition from the column and the operator's value: a single value, a list, a pair, or None for a
    flag. `evaluate` decides the same in Python for a payload's value, which may be None, and plain operator values;
    `_regex` is evaluated by `app.policy.validation`, because it may take long.
    """

    arity: Arity
    kinds: frozenset[FieldKind]
    sql: ConditionBuilder
    evaluate: Evaluator
    matches_null: bool = False
    """Whether it can be true of NULL, and therefore of a row that does not exist."""
    payload_only: bool = False
    """Whether it can only be evaluated on payloads, not in queries."""

    @property
    def searches_text(self) -> bool:
        """Whether its value is a part of a text, or a pattern."""
        return self.arity == "one" and self.kinds is TEXT_KINDS


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
        if value is None or operand is None:
            return False
        text = as_text(value)
        return evaluate(text.lower(), operand.lower()) if ignore_case else evaluate(text, operand)

    def differs(value: Any, operand: Any) -> bool:
        return operand is not None and not matches(value, operand)

    return Operator("one", TEXT_KINDS, build, matches), Operator("one", TEXT_KINDS, _not(build), differs)


def as_text(value: Any) -> str:
    """Return a payload's value as the text that its column stores."""
    return ",".join(value) if isinstance(value, list) else str(value)


def _not(build: ConditionBuilder) -> ConditionBuilder:
    return lambda column, value: not_(build(column, value))


def _between(column: Expression, pair: tuple[Expression, Expression]) -> ColumnElement[bool]:
    return and_(column >= pair[0], column <= pair[1])


def _in_list(column: Expression, values: Expression) -> ColumnElement[bool]:
    return sql.InList(column, values)


def _payload_only(_: Expression, __: Any) -> ColumnElement[bool]:
    raise TypeError("this operator can only be evaluated on payloads")


def _takes_long(_: Any, __: Any) -> bool:
    raise TypeError("this operator can't be evaluated without waiting")


def _unless_none(evaluate: Evaluator) -> Evaluator:
    """Return an evaluator of an order that is false if a value is missing on either side."""

    def compares(value: Any, operand: Any) -> bool:
        values = (value, *operand) if isinstance(operand, tuple) else (value, operand)
        return None not in values and evaluate(value, operand)

    return compares


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
    REGEX: Operator("one", TEXT_KINDS, _payload_only, _takes_long, payload_only=True),
    "_submitted": Operator("flag", ALL_KINDS, _payload_only, lambda *_: True, payload_only=True),
}
OPPOSITE_FLAGS = {"_null": "_nnull", "_nnull": "_null", "_empty": "_nempty", "_nempty": "_empty"}
