"""The SQL that runs one scoped query for many sets of values at once, which are joined to its rows."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    CTE,
    JSON,
    BindParameter,
    ColumnElement,
    Integer,
    Select,
    String,
    Text,
    TypeCoerce,
    cast,
    column,
    func,
    join,
    literal_column,
    select,
    table,
    true,
)
from sqlalchemy.sql.visitors import replacement_traverse
from sqlalchemy.types import TypeEngine

from app.core.bindings import Source, sources_of
from app.db.base import POSTGRESQL, UUIDText
from app.db.statement import bind_param
from app.query.bind_types import LikePattern, ListParam, PrefixUpperBound
from app.query.scoped import ScopedRead
from app.query.sql_expressions import condition_sql
from app.query.sql_functions import JSONArray, JSONRows
from app.query.sql_select import CellReader, ColumnList, row_encoder

VALUE_SETS = "value_sets"
"""The source of the sets: a JSON array with an object for each, of its number and its values."""
NUMBER = "number"
"""The key of a set's number."""
_SET = "value_set"
_TEXT_TYPES = (Text, String, UUIDText, LikePattern, PrefixUpperBound)


class BatchSelect:
    """A scoped read as an expression for many sets of values: one JSON text of pairs of a set's number and a row.

    Each text, UUID, and list of them that the query binds is a column of the joined sets: `columns` are their
    parameters by name. Those with a source in `common` are the same for all sets. Queries whose statements have the
    same text and the same other parameters can be read together. The order and the limit of the read are ignored.
    """

    def __init__(self, read: ScopedRead, common: frozenset[Source]) -> None:
        self._common = common
        self.columns: dict[str, BindParameter[Any]] = {}
        self._names: dict[tuple[str, TypeEngine[Any]], str] = {}
        encode_row, row = row_encoder(read), read.collection.table.alias()
        page, readers = self._page(read, row, ColumnList(join(table(_SET), row, true()), encode_row))
        replaced: Any = replacement_traverse(page, {}, self._replacement)
        rows = replaced.subquery()
        pair = JSONArray(rows.c[NUMBER], encode_row(read, [reader(rows) for reader in readers]))
        self.expression: ColumnElement[str] = cast(select(JSONRows(pair)).select_from(rows).scalar_subquery(), Text)

    @staticmethod
    def _page(read: ScopedRead, row: Any, columns: ColumnList) -> tuple[Select[Any], Sequence[CellReader]]:
        readers = columns.add_cells(read.cells, row)
        number = _column(NUMBER, Integer())
        page = select(number.label(NUMBER), *columns.columns).select_from(columns.source)
        return page.where(condition_sql(read.where, row)), readers

    def _replacement(self, element: Any, **_: Any) -> Any:
        if isinstance(element, TypeCoerce) and isinstance(element.clause, BindParameter):
            # Its type makes the value, such as a pattern of a text, so it is replaced as a whole or not at all.
            coerced: Any = element.typed_expression
            return self._column((element.clause.key, element.type), coerced) if self._is_column(coerced) else element
        if isinstance(element, BindParameter) and self._is_column(element):
            return self._column((element.key, element.type), element)
        return None

    def _column(self, identity: tuple[str, TypeEngine[Any]], parameter: BindParameter[Any]) -> ColumnElement[Any]:
        name = self._names.setdefault(identity, f"p{len(self._names)}")
        self.columns.setdefault(name, parameter)
        return _column(name, parameter.type)

    def _is_column(self, parameter: BindParameter[Any]) -> bool:
        type_ = parameter.type.item if isinstance(parameter.type, ListParam) else parameter.type
        return isinstance(type_, _TEXT_TYPES) and self._common.isdisjoint(sources_of([parameter.value]))

    def sets(self, dialect: str) -> CTE:
        """Return the joined sets, which the statement with the expression needs beside it."""
        build = _sets_of_postgresql if dialect == POSTGRESQL else _sets_of_sqlite
        types = {NUMBER: Integer(), **{name: parameter.type for name, parameter in self.columns.items()}}
        # They are read for each row: they must not be parsed as often.
        return build(types, bind_param(VALUE_SETS, Text())).cte(_SET).prefix_with("MATERIALIZED")


def _column(name: str, type_: TypeEngine[Any]) -> ColumnElement[Any]:
    """Return a column of the sets that names no table, so that it can be used at any depth of a statement."""
    return literal_column(f"{_SET}.{name}", type_)


_Types = dict[str, TypeEngine[Any]]


def _sets_of_postgresql(types: _Types, sets: BindParameter[Any]) -> Select[Any]:
    columns = (column(name, type_) for name, type_ in types.items())
    rows = func.json_to_recordset(cast(sets, JSON)).table_valued(*columns, name="sets")
    return select(*rows.render_derived(name="sets", with_types=True).c)


def _sets_of_sqlite(types: _Types, sets: BindParameter[Any]) -> Select[Any]:
    items = func.json_each(sets).table_valued("value", name="sets")
    values = (func.json_extract(items.c.value, literal_column(f"'$.{name}'")).label(name) for name in types)
    return select(*values)
