"""Optional indexes for large tables, built of the same expressions as the queries that they serve."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from sqlalchemy import Column, ColumnElement, Dialect
from sqlalchemy.dialects import postgresql, sqlite

from app.core.errors import OperatorError
from app.db.base import POSTGRESQL
from app.db.optional_indexes import INDEX_PREFIX, OptionalIndex
from app.query import sql_functions as sql
from app.query.collection import PREFIX, Collection, Field
from app.query.operators import TEXT_KINDS
from app.query.sql_expressions import with_direction

Purpose = Literal["search", "contains", "sort", "nested"]

PURPOSES: Mapping[str, str] = {
    "search": "`search`, `_icontains`, `_istarts_with`, `_iends_with`",
    "contains": "`_contains`, `_ends_with`",
    "sort": "a list sorted by the field",
    "nested": "the first rows of a nested list",
}
"""What each kind of index makes faster."""
TEXT_PURPOSES: tuple[Purpose, ...] = ("search", "contains")
"""The kinds that are trigram indexes, which only PostgreSQL has."""
CONTAINS = {"directus_users": ("first_name", "last_name", "email")}
"""The built-in fields for which `contains` indexes are suggested."""
SORTS = {
    "directus_users": ("first_name", "last_name", "-last_access"),
    "directus_files": ("title", "-uploaded_on"),
    "directus_activity": ("-timestamp",),
}
"""The sorts for which indexes are suggested, as in the query parameter."""
NESTED = {"directus_users": (("role", "email"),)}
"""Foreign keys with the field that a nested list is sorted by."""
NO_PENDING_LIST = "fastupdate = off"
"""The parameter with which a trigram index sorts in each write at once.

By default writes are collected in a list of up to 4 MB that every search reads from end to end until it is vacuumed.
"""
MAX_NAME_BYTES = 63
"""The longest name of an index on PostgreSQL."""
_DIGEST_LENGTH = 8
_DIALECTS: dict[str, Dialect] = {POSTGRESQL: postgresql.dialect(), "sqlite": sqlite.dialect()}  # type: ignore[no-untyped-call]  # SQLAlchemy does not annotate them


def suggested_indexes(
    collection: Collection, dialect: str, *, trigram_schema: str = "", sorts: tuple[str, ...] = ()
) -> list[OptionalIndex]:
    """Return the indexes that are useful for a large collection, its custom fields included.

    `sorts` are further fields to sort by, with `-` for descending. `trigram_schema` is the schema of the extension
    pg_trgm.

    Raises:
        OperatorError: There is no field of that name that rows can be sorted by.
    """
    builder = _IndexBuilder(collection, dialect, trigram_schema)
    return [
        *(builder.text_indexes() if dialect == POSTGRESQL else ()),
        *builder.sort_indexes((*SORTS.get(collection.name, ()), *sorts)),
        *(builder.nested(owner, field) for owner, field in NESTED.get(collection.name, ())),
    ]


def index_name(table: str, purpose: Purpose, field: str) -> str:
    """Return the name of an index; a long one is shortened, and ends with a digest of the whole."""
    name = f"{INDEX_PREFIX}{table.removeprefix(PREFIX)}_{purpose}_{field}"
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    return f"{name[: MAX_NAME_BYTES - _DIGEST_LENGTH - 1]}_{sha256(name.encode()).hexdigest()[:_DIGEST_LENGTH]}"


def index_names_of_column(table: str, column: str) -> list[str]:
    """Return the names of all indexes that a custom column may have."""
    sorts = [column, f"{column}_desc"]
    names = [index_name(table, "sort", field) for field in sorts]
    return [*(index_name(table, purpose, column) for purpose in TEXT_PURPOSES), *names]


@dataclass(frozen=True, slots=True)
class _IndexBuilder:
    """Builds the statements for one collection on one database."""

    collection: Collection
    dialect: str
    trigram_schema: str

    def text_indexes(self) -> Iterator[OptionalIndex]:
        """Yield the trigram indexes: of each field that `search` reads, and of those often filtered by a part."""
        for field in self.collection.fields.values():
            if field.kind == "string" and not field.concealed:
                yield self._trigram("search", field, sql.fold(self._column(field)))
        contains = CONTAINS.get(self.collection.name, ())
        for name in contains:
            field = self.collection.fields[name]
            yield self._trigram("contains", field, self._column(field))

    def sort_indexes(self, sorts: tuple[str, ...]) -> Iterator[OptionalIndex]:
        """Yield the indexes for sorts, each once."""
        for sort in dict.fromkeys(sorts):
            name = sort.removeprefix("-")
            field = self.collection.fields.get(name)
            if field is None or field.column is None or field.side_key is not None or field.kind in ("json", "hash"):
                raise OperatorError(
                    f"There is no field {name} in {self.collection.short_name} that an index can be sorted by."
                )
            yield self._sort(field, descending=sort != name)

    def nested(self, owner: str, field: str) -> OptionalIndex:
        """Return the index for the rows of each owner in the order of a field."""
        name = index_name(self.collection.name, "nested", f"{owner}_{field}")
        columns = [self._column(self.collection.fields[owner]), *self._order(self.collection.fields[field])]
        return self._index(name, "nested", f"{owner}, {field}", "btree", columns)

    def _trigram(self, purpose: Purpose, field: Field, expression: ColumnElement[Any]) -> OptionalIndex:
        name, table = index_name(self.collection.name, purpose, field.name), self.collection.name
        part = f'{self._compile(expression)} "{self.trigram_schema}".gin_trgm_ops'
        return OptionalIndex(name, table, purpose, field.name, f"USING gin ({part}) WITH ({NO_PENDING_LIST})")

    def _sort(self, field: Field, *, descending: bool) -> OptionalIndex:
        is_descending = descending and self.dialect == POSTGRESQL  # SQLite reads one index in both directions
        name = index_name(self.collection.name, "sort", f"{field.name}_desc" if is_descending else field.name)
        label = f"-{field.name}" if is_descending else field.name
        return self._index(name, "sort", label, "btree", self._order(field, descending=is_descending))

    def _order(self, field: Field, *, descending: bool = False) -> list[ColumnElement[Any]]:
        """Return the columns of an index in the order of a list sorted by a field, the key last as a tie-breaker."""
        column = self._column(field)
        if self.dialect != POSTGRESQL:
            return [column]  # its planner sorts the rows of equal values by the key anyway, also with an index of both
        value = sql.by_code_point(column) if field.kind in TEXT_KINDS else column
        return [with_direction(value, descending=descending), self._column(self.collection.key)]

    def _index(
        self, name: str, purpose: Purpose, fields: str, method: str, columns: list[ColumnElement[Any]]
    ) -> OptionalIndex:
        using = f"USING {method} " if self.dialect == POSTGRESQL else ""
        parts = ", ".join(map(self._compile, columns))
        return OptionalIndex(name, self.collection.name, purpose, fields, f"{using}({parts})")

    def _column(self, field: Field) -> Column[Any]:
        return self.collection.column(field)

    def _compile(self, expression: ColumnElement[Any]) -> str:
        compiler = _DIALECTS[self.dialect].ddl_compiler(_DIALECTS[self.dialect], None).sql_compiler  # type: ignore[arg-type]  # nothing is bound
        return str(compiler.process(expression, include_table=False, literal_binds=True))
