"""The operators of a filter: which kinds of field take them, what value they take, and what they say in SQL."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Literal

from sqlalchemy import ColumnElement, and_, not_, or_, type_coerce

from app.core.binding import Bound, SlotList, SlotNumber, SlotText, bind
from app.core.values import canonical_key, parse_date
from app.query import functions as sql
from app.query.collection import Kind

_UNTOLD = re.compile("[\0\ud800-\udfff]")

Takes = Literal["one", "many", "pair", "flag"]
Expression = ColumnElement[Any]
Spelling = Callable[[Expression, Any], ColumnElement[bool]]

TEXT: frozenset[Kind] = frozenset({"string", "csv"})
ORDERED: frozenset[Kind] = frozenset({"integer", "bigInteger", "timestamp"})
PLAIN: frozenset[Kind] = TEXT | ORDERED | {"uuid", "boolean"}
LISTED: frozenset[Kind] = TEXT | ORDERED | {"uuid"}
ANY: frozenset[Kind] = PLAIN | {"json", "hash"}


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator: `sql` is given the field and its value (one, a list, a pair, or nothing for a flag)."""

    takes: Takes
    kinds: frozenset[Kind]
    sql: Spelling
    nothing: bool = False
    """Whether it can hold of a NULL, so also of a row that isn't there."""


def _empty(column: Expression, _: Any) -> ColumnElement[bool]:
    return or_(column.is_(None), column == "")


def _filled(column: Expression, _: Any) -> ColumnElement[bool]:
    return and_(column.is_not(None), column != "")


def _part(found: type[sql.Contains | sql.StartsWith | sql.EndsWith], *, folded: bool = False) -> Spelling:
    part = sql.Part(before=found is not sql.StartsWith, after=found is not sql.EndsWith)

    def spell(column: Expression, value: Expression) -> ColumnElement[bool]:
        looked_for: Expression = type_coerce(value, part)
        return found(sql.fold(column), sql.fold(looked_for)) if folded else found(column, looked_for)

    return spell


def _text(spelling: Spelling, *, negated: bool = False) -> Operator:
    return Operator("one", TEXT, _not(spelling) if negated else spelling)


def _not(spelling: Spelling) -> Spelling:
    return lambda column, value: not_(spelling(column, value))


def _between(column: Expression, pair: tuple[Expression, Expression]) -> ColumnElement[bool]:
    return and_(column >= pair[0], column <= pair[1])


def _among(column: Expression, listed: Expression) -> ColumnElement[bool]:
    return sql.Among(column, listed)


OPERATORS: dict[str, Operator] = {
    "_eq": Operator("one", PLAIN, lambda column, value: column == value),
    "_neq": Operator("one", PLAIN, lambda column, value: column != value),
    "_lt": Operator("one", ORDERED, lambda column, value: column < value),
    "_lte": Operator("one", ORDERED, lambda column, value: column <= value),
    "_gt": Operator("one", ORDERED, lambda column, value: column > value),
    "_gte": Operator("one", ORDERED, lambda column, value: column >= value),
    "_in": Operator("many", LISTED, _among),
    "_nin": Operator("many", LISTED, _not(_among)),
    "_between": Operator("pair", ORDERED, _between),
    "_nbetween": Operator("pair", ORDERED, _not(_between)),
    "_null": Operator("flag", ANY, lambda column, _: column.is_(None), nothing=True),
    "_nnull": Operator("flag", ANY, lambda column, _: column.is_not(None)),
    "_empty": Operator("flag", TEXT | {"hash"}, _empty, nothing=True),
    "_nempty": Operator("flag", TEXT | {"hash"}, _filled),
    "_contains": _text(_part(sql.Contains)),
    "_ncontains": _text(_part(sql.Contains), negated=True),
    "_icontains": _text(_part(sql.Contains, folded=True)),
    "_starts_with": _text(_part(sql.StartsWith)),
    "_nstarts_with": _text(_part(sql.StartsWith), negated=True),
    "_istarts_with": _text(_part(sql.StartsWith, folded=True)),
    "_nistarts_with": _text(_part(sql.StartsWith, folded=True), negated=True),
    "_ends_with": _text(_part(sql.EndsWith)),
    "_nends_with": _text(_part(sql.EndsWith), negated=True),
    "_iends_with": _text(_part(sql.EndsWith, folded=True)),
    "_niends_with": _text(_part(sql.EndsWith, folded=True), negated=True),
}
OPPOSITE = {"_null": "_nnull", "_nnull": "_null", "_empty": "_nempty", "_nempty": "_empty"}

INTEGERS = {"integer": 2**31, "bigInteger": 2**63}
BINDABLE = {"uuid", "timestamp", "string", "csv"}
"""Kinds that take a text whatever it says; of a number's digits the type would depend on what they are."""


def _text_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise ValueError("a text is needed here")
    text = str(value)
    if _UNTOLD.search(text):
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
        return canonical_key(value) if len(value) == 36 else _refuse()
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


def _number(kind: Kind, value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("Invalid numeric value")
    try:
        number = float(value)
        exact = int(value) if isinstance(value, int | str) and number.is_integer() and "." not in str(value) else number
    except (ValueError, OverflowError):
        raise ValueError("Invalid numeric value") from None
    if not abs(number) < INTEGERS[kind]:
        raise ValueError(f"a number between -{INTEGERS[kind]} and {INTEGERS[kind] - 1} is needed here")
    return exact


def coerce(kind: Kind, value: Any) -> Any:
    """A value of a filter as the kind of field it is compared with; ValueError says what is needed instead.

    A Slot that any value of its type could stand in for becomes a Bound.
    """
    if value is None:
        return None
    if (isinstance(value, SlotText) and kind in BINDABLE) or (isinstance(value, SlotNumber) and kind in INTEGERS):
        return bind(value, kind, partial(_plain, kind))
    if isinstance(value, Bound):
        return value if kind == "timestamp" else _refuse()
    return _plain(kind, value)


def coerce_list(kind: Kind, items: list[Any]) -> Any:
    """Every item coerced: a tuple, or of a SlotList one Bound."""
    if isinstance(items, SlotList):
        return bind(items, f"{kind}s", lambda given: [_plain(kind, item) for item in given])
    return tuple(coerce(kind, item) for item in items)


def _plain(kind: Kind, value: Any) -> Any:
    match kind:
        case "uuid":
            return _uuid_value(value)
        case "boolean":
            return _boolean_value(value)
        case "timestamp":
            return _date_value(value)
        case "integer" | "bigInteger":
            return _number(kind, value)
        case _:
            return _text_value(value)
