"""SQL that the two databases spell differently, as expressions that know both spellings."""

import re
from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy import ColumnElement, Text, func, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Boolean, Integer

DatePart = Literal["year", "month", "week", "day", "weekday", "hour", "minute", "second"]

MAX_FUNCTION_ARGUMENTS = 90
"""Arguments of one function; SQLite takes no more than 127, PostgreSQL no more than 100."""
MAX_OBJECT_MEMBERS = MAX_FUNCTION_ARGUMENTS // 2
GRAPHQL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


class _Element(FunctionElement[Any]):
    """One function with a spelling of its own on each database."""

    def __init_subclass__(cls) -> None:
        cls.inherit_cache = True  # SQLAlchemy asks each class by itself whether its SQL may be cached
        super().__init_subclass__()

    def self_group(self, against: Any = None) -> Any:
        """A condition as it stands: SQLAlchemy would compare it with 1 on SQLite, which then uses no index for it."""
        return self if isinstance(self.type, Boolean) else super().self_group(against)


class InList(_Element):
    """`value, list` -> whether the value stands in the list; NULL never does."""

    type = Boolean()
    name = "among"


class Contains(_Element):
    """`text, part` -> whether the text contains the part, letter for letter."""

    type = Boolean()
    name = "contains"


class StartsWith(_Element):
    """`text, part` -> whether the text begins with the part."""

    type = Boolean()
    name = "starts_with"


class EndsWith(_Element):
    """`text, part` -> whether the text ends with the part."""

    type = Boolean()
    name = "ends_with"


class ContainsPattern(Contains):
    """The same of a part that is bound as a Part."""


class StartsWithPattern(StartsWith):
    """The same of a part that is bound as a Part."""


class EndsWithPattern(EndsWith):
    """The same of a part that is bound as a Part."""


class Between(_Element):
    """`text, first, beyond` -> whether the text comes by code point from the first on, and before what is beyond."""

    type = Boolean()
    name = "between"


class EmailEquals(_Element):
    """`key, email, address` of a user -> whether the e-mail is that address, whatever the case of either.

    SQLite has an index on what it folds itself, which is ASCII, and one on the few addresses with other letters.
    """

    type = Boolean()
    name = "has_address"


class JSONCount(_Element):
    """`json` -> the number of elements of an array or of keys of an object; NULL for anything else."""

    type = Integer()
    name = "json_count"


class JSONArray(_Element):
    """`cells…` -> one JSON array."""

    type = Text()
    name = "json_array"


class JSONObject(_Element):
    """`key, value, …` -> one JSON object."""

    type = Text()
    name = "json_object"


class JSONBoolean(_Element):
    """`boolean` -> the same as JSON: SQLite's are numbers."""

    type = Text()
    name = "json_boolean"


class JSONRows(_Element):
    """`json` -> that of all rows as one JSON array, in the order they come in; empty where there is no row.

    PostgreSQL and SQLite both keep the order of a sorted subquery that the aggregate reads alone.
    """

    type = Text()
    name = "json_rows"


class NestedJSON(_Element):
    """`json` -> the same, still JSON: SQLite forgets what is JSON at every subquery's edge."""

    type = Text()
    name = "embedded"


class AsJSON(_Element):
    """`column` -> the same as JSON, also where Directus keeps JSON in a text column."""

    type = Text()
    name = "as_json"


class ByCodePoint(_Element):
    """`text` -> the same, compared by code point whatever the database's collation."""

    type = Text()
    name = "by_code_point"


class DistinctWords(_Element):
    """`text` -> the words of all rows' texts, divided by commas, each once; NULL where there is no text.

    The texts come by code point, and an empty one counts only where it is alone.
    """

    type = Text()
    name = "each_word_once"


class FullPrecision(_Element):
    """`number` -> the same with all the digits a double has: SQLite's JSON cuts them at fifteen."""

    type = Text()
    name = "every_digit"


class NoLimit(_Element):
    """All rows, where a limit has to stand."""

    type = Integer()
    name = "no_limit"


class JSONArrayContains(_Element):
    """`json` -> whether `value` stands among the texts of a JSON array: `value, json`."""

    type = Boolean()
    name = "unnested"


def date_part(part: DatePart, moment: ColumnElement[Any]) -> ColumnElement[int]:
    """One part of a moment in UTC as a whole number; weeks are ISO weeks, weekday 0 is Sunday."""
    return _PARTS[part](moment)


def fold(text: ColumnElement[Any]) -> ColumnElement[str]:
    """The text in lower case, by Unicode's rules on both databases."""
    return func.rollcall_fold(text, type_=Text())


def by_code_point(text: ColumnElement[Any]) -> ColumnElement[str]:
    """The text as something that sorts by code point on both databases."""
    return ByCodePoint(text)


def json_object(members: Sequence[tuple[str, ColumnElement[Any]]]) -> ColumnElement[Any]:
    """One JSON object of at most `MEMBERS` members; their keys are names, as GraphQL spells them."""
    if not all(GRAPHQL_NAME.fullmatch(key) for key, _ in members):
        raise ValueError("a key that is no name has no place in a statement")
    return JSONObject(*(part for key, value in members for part in (literal_column(f"'{key}'"), value)))


def json_array(cells: Sequence[ColumnElement[Any]]) -> ColumnElement[Any]:
    """One JSON array of any length: beyond a constructor's arguments it is an array of arrays."""
    if len(cells) <= MAX_FUNCTION_ARGUMENTS:
        return JSONArray(*cells)
    return JSONArray(
        *(
            JSONArray(*cells[start : start + MAX_FUNCTION_ARGUMENTS])
            for start in range(0, len(cells), MAX_FUNCTION_ARGUMENTS)
        )
    )


_DATE_PARTS: dict[DatePart, tuple[str, str]] = {
    "year": ("(extract(year FROM {0})::int)", "CAST(strftime('%Y', {0}) AS INTEGER)"),
    "month": ("(extract(month FROM {0})::int)", "CAST(strftime('%m', {0}) AS INTEGER)"),
    "week": ("(extract(week FROM {0})::int)", "((strftime('%j', date({0}, '-3 days', 'weekday 4')) - 1) / 7 + 1)"),
    "day": ("(extract(day FROM {0})::int)", "CAST(strftime('%d', {0}) AS INTEGER)"),
    "weekday": ("(extract(dow FROM {0})::int)", "CAST(strftime('%w', {0}) AS INTEGER)"),
    "hour": ("(extract(hour FROM {0})::int)", "CAST(strftime('%H', {0}) AS INTEGER)"),
    "minute": ("(extract(minute FROM {0})::int)", "CAST(strftime('%M', {0}) AS INTEGER)"),
    "second": ("(floor(extract(second FROM {0}))::int)", "CAST(strftime('%S', {0}) AS INTEGER)"),
}
_PARTS: dict[DatePart, type[_Element]] = {
    part: type(f"{part.title()}Of", (_Element,), {"type": Integer(), "name": part}) for part in _DATE_PARTS
}

_CONTAINS, _STARTS = "(instr({0}, {1}) > 0)", "(substr({0}, 1, length({1})) = {1})"
_ENDS = "(length({0}) >= length({1}) AND substr({0}, length({0}) - length({1}) + 1) = {1})"
_TEMPLATES: dict[type[_Element], tuple[str, str]] = {
    #             PostgreSQL                                        SQLite
    InList: ("({0} = ANY ({1}))", "({0} IN (SELECT value FROM json_each({1})))"),
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
    FullPrecision: ("{0}", "iif({0} IS NULL, NULL, printf('%!.17g', {0}))"),
    NoLimit: ("NULL::bigint", "-1"),
    JSONArrayContains: (
        "({0} IN (SELECT value FROM json_array_elements_text(CASE json_typeof({1}) WHEN 'array' THEN {1} END)))",
        "({0} IN (SELECT value FROM json_each(CASE json_type({1}) WHEN 'array' THEN {1} END)))",
    ),
}


def _arguments(element: FunctionElement[Any], compiler: SQLCompiler, **kw: Any) -> list[str]:
    return [compiler.process(clause, **kw) for clause in element.clauses]


def _spell(element: type[_Element], dialect: str, template: str) -> None:
    @compiles(element, dialect)
    def _(self: FunctionElement[Any], compiler: SQLCompiler, **kw: Any) -> str:
        return template.format(*_arguments(self, compiler, **kw))


for _element, (_postgresql, _sqlite) in (
    *_TEMPLATES.items(),
    *((_PARTS[part], spellings) for part, spellings in _DATE_PARTS.items()),
):
    _spell(_element, "postgresql", _postgresql)
    _spell(_element, "sqlite", _sqlite)


@compiles(JSONArray, "postgresql")
@compiles(JSONObject, "postgresql")
def _(element: JSONArray | JSONObject, compiler: SQLCompiler, **kw: Any) -> str:
    return f"{element.name.replace('_', '_build_')}({', '.join(_arguments(element, compiler, **kw))})"


@compiles(JSONArray, "sqlite")
@compiles(JSONObject, "sqlite")
def _(element: JSONArray | JSONObject, compiler: SQLCompiler, **kw: Any) -> str:
    return f"{element.name}({', '.join(_arguments(element, compiler, **kw))})"
