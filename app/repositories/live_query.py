"""A live query: what a caller may see of a collection, read again after each commit that may have changed it.

Callers whose rights share a shape share its statements, and their rows are read together (`live_reader`).
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import Text, cast, select
from sqlalchemy.sql.selectable import Select

from app.core.bindings import Bindings, BoundParameter, bind_value, sources_of
from app.db.models import VERSION
from app.policy.access_queries import NOW
from app.policy.caller_parameters import CALLER_SOURCES, literal_sources
from app.policy.resolver import LiveScope, PolicyResolver
from app.policy.rules import Access
from app.query.collection import Collection, Field
from app.query.limits import check_complexity
from app.query.read import Read
from app.query.results import Row, object_decoder, response_format, row_decoder
from app.query.scoped import (
    TRUE,
    AllOf,
    AnyOf,
    CallerLookup,
    Comparison,
    Count,
    Operand,
    Predicate,
    ScopedRead,
    ScopedRelation,
    ValueList,
)
from app.query.sql_batch import BatchSelect
from app.query.sql_select import build_select
from app.repositories.services import Services
from app.repositories.stores.events import UNREAD_OWNERS

COMMON_SOURCES = frozenset({"keys", "now"})
"""The sources whose values all queries of a batch share."""


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class BatchStatement:
    """A statement that reads rows with certain keys for many live queries at once, and the decoder of a row.

    Those with an equal `key` are interchangeable.
    """

    statement: Any
    decode: Callable[[Any], Row]
    key: Hashable


class LiveShape:
    """A query of all callers whose rights share one shape, compiled once.

    `access` is parameterized. `literal_sources` are as in a query plan.
    """

    def __init__(self, read: Read, access: Access, services: Services, max_rows: int) -> None:
        """Scope and compile a read.

        Raises:
            Forbidden: The caller may not read the collection, or may read one of the fields on no row.
            InvalidQuery: The query exceeds a limit.
        """
        check_complexity(read, services.limits.max_depth)
        scope: LiveScope = PolicyResolver(access, NOW).scope_live(read, max_rows)
        self.collection, self.rows, self._services = read.collection, scope.rows, services
        self.shows_everything = access.admin and self.rows.where == TRUE
        """Whether the caller sees every field of every row, so that the action of an event says all about it."""
        self.all_rows = services.reader.compile(self._statement(build_select(self.rows)))
        self.decode_all = row_decoder(self.rows)
        batch = BatchSelect(scope.by_keys, COMMON_SOURCES)
        self.batch = self._batch_statement(batch)
        self.values = {name: services.reader.value_factory(bound) for name, bound in batch.columns.items()}
        """Makes the values of a caller that are joined in the batch's statement."""
        parameters = [*self.all_rows.parameters, *(bound.value for bound in batch.columns.values())]
        self.sources = tuple(source for source in CALLER_SOURCES if source in set(sources_of(parameters)))
        self.literal_sources = literal_sources(parameters, access)

    def _statement(self, rows: Any) -> Select[Any]:
        owners: Any = UNREAD_OWNERS[self._services.dialect]
        return select(cast(VERSION.c.token, Text), owners, rows).select_from(VERSION)

    def _batch_statement(self, batch: BatchSelect) -> BatchStatement:
        services, rows = self._services, self.rows
        statement = self._statement(batch.expression).add_cte(batch.sets(services.dialect))
        compiled = services.reader.compile(statement)
        key = (self.collection, compiled.text, repr(compiled.constants), response_format(rows))
        return BatchStatement(compiled, object_decoder(rows), key)

    @cached_property
    def dependencies(self) -> frozenset[str]:
        """The names of other collections whose rows decide what the query shows, and of this one if nested in it."""
        return frozenset(collection.name for collection in _related(self.rows, outermost=True))

    @cached_property
    def keys(self) -> tuple[Any, ...] | None:
        """The only keys of rows that the query can show, some of them bound; None if it can show any."""
        found = _keys(self.rows.where, self.collection.key)
        return None if found is None else tuple(found)

    @cached_property
    def users(self) -> tuple[Any, ...]:
        """The keys of users whose own rows are looked up by the rules, some of them bound."""
        return tuple(lookup.user for lookup in _lookups(self.rows))


class LiveQuery:
    """A live query of one caller: a shape with the caller's values. Queries with equal `key` show the same."""

    def __init__(self, shape: LiveShape, bindings: Bindings) -> None:
        self.shape = shape
        self.bindings = {source: bindings[source] for source in shape.sources}
        values = ((source, _frozen(value)) for source, value in self.bindings.items())
        self.key = (shape.rows, *values)

    @property
    def collection(self) -> Collection:
        """The collection whose rows it shows."""
        return self.shape.collection

    @cached_property
    def keys(self) -> frozenset[str] | None:
        """The keys of the only rows that it can show, as texts; None if it can show any."""
        return None if self.shape.keys is None else self._texts(self.shape.keys)

    @cached_property
    def users(self) -> frozenset[str]:
        """The keys of users whose own rows are looked up by the rules."""
        return self._texts(self.shape.users)

    @cached_property
    def values(self) -> dict[str, Any]:
        """The values that are joined in the statement of its batch."""
        return {name: create(self.bindings) for name, create in self.shape.values.items()}

    def _texts(self, values: tuple[Any, ...]) -> frozenset[str]:
        resolved = (bind_value(value, self.bindings) for value in values)
        return frozenset(str(item) for value in resolved for item in (value if isinstance(value, list) else [value]))


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _keys(predicate: Predicate, key: Field) -> list[Any] | None:
    """Return the only values of the key with which a predicate can be true; None if it can with any."""
    match predicate:
        case Comparison(operand, "_eq", value) if _is_plain(operand, key) and not isinstance(value, CallerLookup):
            return [] if value is None else [value]
        case Comparison(operand, "_in", ValueList(known, ())) if _is_plain(operand, key):
            return [value for value in known if value is not None]
        case Comparison(operand, "_in", BoundParameter() as value) if _is_plain(operand, key):
            return [value]
        case AllOf(parts):
            return next((found for part in parts if (found := _keys(part, key)) is not None), None)
        case AnyOf(parts):
            of_parts = [_keys(part, key) for part in parts]
            return None if None in of_parts else [value for found in of_parts for value in found or ()]
    return None


def _is_plain(operand: Operand | Count, key: Field) -> bool:
    """Return whether an operand is the key itself, or null."""
    return isinstance(operand, Operand) and operand == Operand(key, operand.visible)


def _related(node: Any, *, outermost: bool = False) -> Iterator[Collection]:
    """Yield the collections that a scoped query reads, except the one whose rows it returns."""
    if isinstance(node, ScopedRead) and not outermost:
        yield node.collection
    if isinstance(node, ScopedRelation):
        yield node.target
    for part in _parts(node):
        yield from _related(part)


def _lookups(node: Any) -> Iterator[CallerLookup]:
    if isinstance(node, CallerLookup):
        yield node
    for part in _parts(node):
        yield from _lookups(part)


def _parts(node: Any) -> Iterator[Any]:
    """Yield the parts of a scoped query below a node; collections and fields are not parts of it."""
    if isinstance(node, tuple):
        yield from node
    elif is_dataclass(node) and type(node).__module__ == ScopedRead.__module__:
        yield from (getattr(node, field.name) for field in fields(node))
