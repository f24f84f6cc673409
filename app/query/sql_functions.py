"""SQL expressions whose text differs between PostgreSQL and SQLite."""

import re
from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy import ColumnElement, Text, func, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Boolean, Integer, Numeric

DatePart = Literal["year", "month", "week", "day", "weekday", "hour", "minute", "second"]

MAX_FUNCTION_ARGUMENTS = 90
"""Arguments passed to one function; SQLite accepts at most 127, PostgreSQL at most 100."""
MAX_OBJECT_MEMBERS = MAX_FUNCTION_ARGUMENTS // 2
"""Members of one JSON object, each of which takes two arguments."""
GRAPHQL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


class _DialectFunction(FunctionElement[Any]):
    """A function with its own SQL text on each database."""

    def __init_subclass__(cls) -> None:
        cls.inherit_cache = True  # SQLAlchemy requires it on every class whose SQL may be cached
        super().__init_subclass__()

    def self_group(self, against: Any = None) -> Any:
        """Return a condition unchanged: SQLAlchemy would append `= 1` on SQLite, which then could not use an index."""
        return self if isinstance(self.type, Boolean) else super().self_group(against)


class InList(_DialectFunction):
    """`value, list` -> whether the list contains the value; never true for NULL."""

    type = Boolean()
    name = "among"


class InPage(_DialectFunction):
    """`value, subquery` -> whether one of the few rows of the subquery has the value.

    PostgreSQL, which underestimates a list of unknown length, then always looks up each value in an index.
    """

    type = Boolean()
    name = "in_page"


class ListOfRows(_DialectFunction):
    """`value` -> the values of all rows as a list for `InList`."""

    name = "list_of_rows"


class UUIDPattern(_DialectFunction):
    """`before, uuid, after` -> what a `LikePattern` of the UUID is; `before` and `after` are '%' or empty."""

    type = Text()
    name = "uuid_pattern"


class ListOfValues(_DialectFunction):
    """`value, value …` -> the values as a list for `InList`."""

    name = "list_of_values"


class Contains(_DialectFunction):
    """`text, part` -> whether the text contains the part literally."""

    type = Boolean()
    name = "contains"


class StartsWith(_DialectFunction):
    """`text, part` -> whether the text starts with the part."""

    type = Boolean()
    name = "starts_with"


class EndsWith(_DialectFunction):
    """`text, part` -> whether the text ends with the part."""

    type = Boolean()
    name = "ends_with"


class ContainsPattern(Contains):
    """As `Contains`, for a part bound as a `LikePattern`."""


class StartsWithPattern(StartsWith):
    """As `StartsWith`, for a part bound as a `LikePattern`."""


class EndsWithPattern(EndsWith):
    """As `EndsWith`, for a part bound as a `LikePattern`."""


class Between(_DialectFunction):
    """`text, first, bound` -> whether the text is at least `first` and less than `bound` by code point."""

    type = Boolean()
    name = "between"


class EmailEquals(_DialectFunction):
    """`key, email, address` of a user -> whether the email is that address, ignoring case.

    SQLite has an index on `lower(email)`, which only folds ASCII, and one on the few emails with other characters.
    """

    type = Boolean()
    name = "has_address"


class JSONCount(_DialectFunction):
    """`json` -> the number of elements of an array or keys of an object; NULL for any other value."""

    type = Integer()
    name = "json_count"


class JSONArray(_DialectFunction):
    """`cells…` -> one JSON array."""

    type = Text()
    name = "json_array"


class JSONObject(_DialectFunction):
    """`key, value, …` -> one JSON object."""

    type = Text()
    name = "json_object"


class JSONBoolean(_DialectFunction):
    """`boolean` -> the value as JSON; SQLite stores booleans as numbers."""

    type = Text()
    name = "json_boolean"


class JSONRows(_DialectFunction):
    """`json` -> the values of all rows as one JSON array, in the order of the rows; empty without rows.

    PostgreSQL and SQLite both preserve the order of a sorted subquery if the aggregate reads nothing else.
    """

    type = Text()
    name = "json_rows"


class NestedJSON(_DialectFunction):
    """`json` -> the value as JSON again: on SQLite a value loses its JSON type outside a subquery."""

    type = Text()
    name = "embedded"


class AsJSON(_DialectFunction):
    """`column` -> the value as JSON, also if Directus stores it in a text column."""

    type = Text()
    name = "as_json"


class FixedPoint(_DialectFunction):
    """`decimal, scale` -> the decimal as a text with so many digits after the point."""

    type = Text()
    name = "fixed_point"


class ByCodePoint(_DialectFunction):
    """`text` -> the text, compared by code point regardless of the database's collation."""

    type = Text()
    name = "by_code_point"


class DistinctWords(_DialectFunction):
    """`text` -> the distinct words of all rows' comma-separated texts; NULL without texts.

    The texts are read in code point order. Empty texts are ignored unless there are no others.
    """

    type = Text()
    name = "each_word_once"


class JoinedTexts(_DialectFunction):
    """`text` -> the texts of all rows, separated by commas, in any order; NULL without any."""

    type = Text()
    name = "joined_texts"


class ExactSum(_DialectFunction):
    """`integer` -> the sum over all rows with all its digits; SQLite's own sum fails beyond 64 bits."""

    type = Numeric()
    name = "exact_sum"


class ExactDistinctSum(_DialectFunction):
    """As `ExactSum`, of distinct values."""

    type = Numeric()
    name = "exact_distinct_sum"


class FullPrecision(_DialectFunction):
    """`number` -> the number with all the digits of a double; SQLite's JSON has only fifteen."""

    type = Text()
    name = "every_digit"


class NoLimit(_DialectFunction):
    """A LIMIT that includes all rows."""

    type = Integer()
    name = "no_limit"


class JSONArrayContains(_DialectFunction):
    """`value, json` -> whether a JSON array contains the text."""

    type = Boolean()
    name = "unnested"


def date_part(part: DatePart, timestamp: ColumnElement[Any]) -> ColumnElement[int]:
    """Return a part of a timestamp in UTC as an integer; weeks are ISO weeks, weekday 0 is Sunday."""
    return _DATE_PART_TYPES[part](timestamp)


def fold(text: ColumnElement[Any]) -> ColumnElement[str]:
    """Return the text in lower case by Unicode's rules, on both databases."""
    return func.rollcall_fold(text, type_=Text())


def by_code_point(text: ColumnElement[Any]) -> ColumnElement[str]:
    """Return the text as an expression that sorts by code point on both databases."""
    return ByCodePoint(text)


def json_object(members: Sequence[tuple[str, ColumnElement[Any]]]) -> ColumnElement[Any]:
    """Return one JSON object of at most `MAX_OBJECT_MEMBERS` members, whose keys must be GraphQL names.

    Raises:
        ValueError: A key is not a GraphQL name.
    """
    if not all(GRAPHQL_NAME.fullmatch(key) for key, _ in members):
        raise ValueError("only GraphQL names can be keys in a statement")
    return JSONObject(*(part for key, value in members for part in (literal_column(f"'{key}'"), value)))


def json_array(cells: Sequence[ColumnElement[Any]]) -> ColumnElement[Any]:
    """Return one JSON array of any length; an array of arrays if the cells exceed one function's arguments."""
    if len(cells) <= MAX_FUNCTION_ARGUMENTS:
        return JSONArray(*cells)
    return JSONArray(
        *(
            JSONArray(*cells[start : start + MAX_FUNCTION_ARGUMENTS])
            for start in range(0, len(cells), MAX_FUNCTION_ARGUMENTS)
        )
    )


_DATE_PART_TEMPLATES: dict[DatePart, tuple[str, str]] = {
    # of infinity, PostgreSQL's year is infinity, which no integer is, and every other part is NULL
    "year": (
        "(CASE WHEN isfinite({0}) THEN extract(year FROM {0})::int END)",
        "CAST(strftime('%Y', {0}) AS INTEGER)",
    ),
    "month": ("(extract(month FROM {0})::int)", "CAST(strftime('%m', {0}) AS INTEGER)"),
    "week": ("(extract(week FROM {0})::int)", "((strftime('%j', date({0}, '-3 days', 'weekday 4')) - 1) / 7 + 1)"),
    "day": ("(extract(day FROM {0})::int)", "CAST(strftime('%d', {0}) AS INTEGER)"),
    "weekday": ("(extract(dow FROM {0})::int)", "CAST(strftime('%w', {0}) AS INTEGER)"),
    "hour": ("(extract(hour FROM {0})::int)", "CAST(strftime('%H', {0}) AS INTEGER)"),
    "minute": ("(extract(minute FROM {0})::int)", "CAST(strftime('%M', {0}) AS INTEGER)"),
    "second": ("(floor(extract(second FROM {0}))::int)", "CAST(strftime('%S', {0}) AS INTEGER)"),
}
_DATE_PART_TYPES: dict[DatePart, type[_DialectFunction]] = {
    part: type(f"{part.title()}Of", (_DialectFunction,), {"type": Integer(), "name": part})
    for part in _DATE_PART_TEMPLATES
}

_CONTAINS, _STARTS = "(instr({0}, {1}) > 0)", "(substr({0}, 1, length({1})) = {1})"
_ENDS = "(length({0}) >= length({1}) AND substr({0}, length({0}) - length({1}) + 1) = {1})"
_TEMPLATES: dict[type[_DialectFunction], tuple[str, str]] = {
    #             PostgreSQL                                        SQLite
    InList: ("({0} = ANY ({1}))", "({0} IN (SELECT value FROM json_each({1})))"),
    InPage: ("({0} = ANY (ARRAY{1}))", "({0} IN {1})"),
    UUIDPattern: ("({0} || {1} || {2})", "{1}"),
    ListOfRows: ("array_agg({0})", "json_group_array({0})"),
    Contains: ("(strpos({0}, {1}) > 0)", _CONTAINS),
    ContainsPattern: ("({0} LIKE {1})", _CONTAINS),
    StartsWith: ("starts_with({0}, {1})", _STARTS),
    StartsWithPattern: ('({0} COLLATE "C" LIKE {1})', _STARTS),
    EndsWith: ("(right({0}, length({1})) = {1})", _ENDS),
    EndsWithPattern: ("({0} LIKE {1})", _ENDS),
    Between: ('({0} COLLATE "C" >= {1} AND {0} COLLATE "C" < {2})', "({0} >= {1} AND {0} < {2})"),
    EmailEquals: (
        "(rollcall_fold({1}) = rollcall_fold({2}))",
        (
            "({0} IN (SELECT id FROM directus_users WHERE lower(email) = rollcall_fold({2}) UNION ALL SELECT id FROM"
            " directus_users WHERE email GLOB '*[^ -~]*' AND rollcall_fold(email) = rollcall_fold({2})))"
        ),
    ),
    JSONCount: (
        (
            "CASE json_typeof({0}) WHEN 'array' THEN json_array_length({0})"
            " WHEN 'object' THEN (SELECT count(*) FROM json_object_keys({0})) END"
        ),
        (
            "CASE json_type({0}) WHEN 'array' THEN json_array_length({0})"
            " WHEN 'object' THEN (SELECT count(*) FROM json_each({0})) END"
        ),
    ),
    JSONRows: ("coalesce(json_agg({0}), '[]'::json)", "coalesce(json_group_array({0}), '[]')"),
    JSONBoolean: ("{0}", "CASE {0} WHEN 1 THEN json('true') WHEN 0 THEN json('false') END"),
    NestedJSON: ("{0}", "json({0})"),
    AsJSON: ("({0}::json)", "{0}"),
    FixedPoint: ("(({0})::text)", "iif({0} IS NULL, NULL, printf('%.{1}f', {0}))"),
    ByCodePoint: ('({0} COLLATE "C")', "{0}"),
    DistinctWords: (
        (
            "(SELECT string_agg(word, ',' ORDER BY place) FROM (SELECT word, min(place) AS place"
            " FROM regexp_split_to_table("
            "coalesce(string_agg(nullif({0}, ''), ',' ORDER BY {0} COLLATE \"C\"), min({0})), ',')"
            " WITH ORDINALITY AS told (word, place) GROUP BY word) AS words)"
        ),
        "rollcall_words(json_group_array({0}))",
    ),
    JoinedTexts: ("string_agg({0}, ',')", "group_concat({0}, ',')"),
    ExactSum: ("sum({0})", "rollcall_sum(sum({0} >> 32), sum({0} & 4294967295))"),
    ExactDistinctSum: ("sum(DISTINCT {0})", "rollcall_sum_of(json_group_array(DISTINCT {0}))"),
    FullPrecision: ("{0}", "iif({0} IS NULL, NULL, printf('%!.17g', {0}))"),
    NoLimit: ("NULL::bigint", "-1"),
    JSONArrayContains: (
        "({0} IN (SELECT value FROM json_array_elements_text(CASE json_typeof({1}) WHEN 'array' THEN {1} END)))",
        "({0} IN (SELECT value FROM json_each(CASE json_type({1}) WHEN 'array' THEN {1} END)))",
    ),
}


def _arguments(element: FunctionElement[Any], compiler: SQLCompiler, **kw: Any) -> list[str]:
    return [compiler.process(clause, **kw) for clause in element.clauses]


def _register(element: type[_DialectFunction], dialect: str, template: str) -> None:
    @compiles(element, dialect)
    def _(self: FunctionElement[Any], compiler: SQLCompiler, **kw: Any) -> str:
        return template.format(*_arguments(self, compiler, **kw))


for _element, (_postgresql, _sqlite) in (
    *_TEMPLATES.items(),
    *((_DATE_PART_TYPES[part], templates) for part, templates in _DATE_PART_TEMPLATES.items()),
):
    _register(_element, "postgresql", _postgresql)
    _register(_element, "sqlite", _sqlite)


@compiles(ListOfValues, "postgresql")
def _(element: ListOfValues, compiler: SQLCompiler, **kw: Any) -> str:
    return f"ARRAY[{', '.join(_arguments(element, compiler, **kw))}]"


@compiles(ListOfValues, "sqlite")
def _(element: ListOfValues, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_array({', '.join(_arguments(element, compiler, **kw))})"


@compiles(JSONArray, "postgresql")
@compiles(JSONObject, "postgresql")
def _(element: JSONArray | JSONObject, compiler: SQLCompiler, **kw: Any) -> str:
    return f"{element.name.replace('_', '_build_')}({', '.join(_arguments(element, compiler, **kw))})"


@compiles(JSONArray, "sqlite")
@compiles(JSONObject, "sqlite")
def _(element: JSONArray | JSONObject, compiler: SQLCompiler, **kw: Any) -> str:
    return f"{element.name}({', '.join(_arguments(element, compiler, **kw))})"
