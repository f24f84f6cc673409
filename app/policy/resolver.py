"""The policy resolver, which restricts a query to the rows and fields that its caller may read."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

from app.core.bindings import BoundParameter
from app.core.errors import Forbidden, InvalidQuery
from app.core.values import KEY_LENGTH, canonical_uuid
from app.policy.rules import Access
from app.policy.scopes import CallerScope
from app.query.aggregate import AggregateItem, AggregateObject, AggregateValue, Aggregation, Group, GroupObject, Measure
from app.query.collection import Collection, Field
from app.query.filter import DATE_PARTS, MATCH_ALL, UnknownField
from app.query.read import Constant, FieldSelection, FunctionObject, Read, RelationSelection, Selected, Sort
from app.query.scoped import (
    FALSE,
    TRUE,
    AggregateCell,
    Cell,
    Comparison,
    GroupCell,
    GroupSortKey,
    Operand,
    OutputField,
    Predicate,
    ScopedAggregation,
    ScopedRead,
    ScopedRelation,
    SortKey,
    ToManyCell,
    ToOneCell,
    Value,
    ValueList,
    all_of,
    any_of,
)

ROW_KEY = "$key"
"""The response key of a row's key in a live query; no client can choose it."""
KEYS = BoundParameter("keys", ("keys",), [], itemgetter("keys"), is_list=True)


class LiveScope(NamedTuple):
    """A query that is run again and again: for all its rows, and for those of them with certain keys.

    Each row also has its key, under `ROW_KEY`, by which a change names it; so rows whose key the caller may not see are
    left out. Two scopes with equal `rows` have equal results.
    """

    rows: ScopedRead
    by_keys: ScopedRead


class PolicyResolver:
    """Applies one caller's access at one moment to queries. It never sees a result."""

    def __init__(self, access: Access, now: datetime | BoundParameter) -> None:
        self._access = access
        self._scope = CallerScope(access, now)

    def scope(self, query: Read | Aggregation) -> ScopedRead | ScopedAggregation:
        """Return the query restricted by the caller's policies. Scoped queries are created nowhere else.

        Raises:
            Forbidden: The caller may not read the collection, or may read one of the fields on no row.
        """
        rows = self._readable_rows(query)
        return self._scoped_read(query, rows) if isinstance(query, Read) else self._scoped_aggregation(query, rows)

    def select_keys(self, read: Read) -> ScopedRead:
        """Return a query for the keys of the rows that `read` matches, in its order.

        The keys are selected even if the caller may not see them: they only serve to read the rows later, in batches.

        Raises:
            Forbidden: As `scope`.
        """
        scoped = self._scoped_read(read, self._readable_rows(read))
        key = read.collection.key
        return replace(scoped, cells=(Value(Operand(key)),), output_fields=(OutputField(key.name, 0),), flat=True)

    def scope_keys(self, read: Read, keys: Sequence[Any]) -> ScopedRead:
        """Return the query restricted to rows with these keys, without its limit and offset.

        Raises:
            Forbidden: As `scope`.
        """
        has_key = Comparison(Operand(read.collection.key), "_in", ValueList(tuple(keys)))
        scoped = self._scoped_read(read, self._readable_rows(read))
        return replace(scoped, where=all_of(has_key, scoped.where), limit=None, offset=0)

    def scope_live(self, read: Read, max_rows: int) -> LiveScope:
        """Return the query as a live one, without its order, its limit and its offset.

        Raises:
            Forbidden: As `scope`; or the caller may see the key of no row.
        """
        collection = read.collection
        rows_and_keys = all_of(self._readable_rows(read), self._scope.visible(collection, collection.key))
        self._scope.require_visible(collection, collection.key)
        scoped = self._scoped_read(read, rows_and_keys)
        key = Operand(collection.key)
        cells = tuple(dict.fromkeys((*scoped.cells, Value(key))))
        fields = (*scoped.output_fields, OutputField(ROW_KEY, cells.index(Value(key))))
        order = (SortKey((), key, descending=False),)
        rows = replace(scoped, cells=cells, output_fields=fields, order=order, limit=max_rows, offset=0, flat=False)
        has_key = Comparison(key, "_in", ValueList((KEYS,)))
        return LiveScope(rows, replace(rows, where=all_of(has_key, rows.where), limit=None))

    def _readable_rows(self, query: Read | Aggregation) -> Predicate:
        self._require_readable(query.collection)
        return self._scope.rows(query.collection)

    def _scoped_read(self, read: Read, rows: Predicate) -> ScopedRead:
        collection = read.collection
        cells: dict[Cell, int] = {}
        fields = tuple(self._output_field(collection, item, cells) for item in read.select)
        return ScopedRead(
            collection,
            tuple(cells),
            fields,
            all_of(rows, self._condition(read)),
            self._sort_keys(collection, read.sort),
            read.limit,
            read.offset,
            read.flat,
        )

    def _condition(self, query: Read | Aggregation) -> Predicate:
        """Return the predicate of the query's filter and search, on values as the caller sees them."""
        filtered = self._scope.condition(query.collection, query.filter) if query.filter != MATCH_ALL else all_of()
        return all_of(filtered, self._search(query.collection, query.search))

    def _scoped_aggregation(self, aggregation: Aggregation, rows: Predicate) -> ScopedAggregation:
        collection = aggregation.collection
        groups = tuple(dict.fromkeys(self._group_cell(collection, group) for group in aggregation.groups))
        order = [GroupSortKey(self._order_cell(collection, sort.by), sort.descending) for sort in aggregation.sort]
        sort_cells = tuple(key.cell for key in order if isinstance(key.cell, AggregateCell))
        aggregates = tuple(dict.fromkeys((*self._aggregate_cells(collection, aggregation.select), *sort_cells)))
        cells: dict[Cell, int] = {cell: index for index, cell in enumerate(groups + aggregates)}
        return ScopedAggregation(
            collection,
            groups,
            aggregates,
            tuple(self._aggregate_output(collection, item, aggregation.groups, cells) for item in aggregation.select),
            all_of(rows, self._condition(aggregation)),
            (*order, *(GroupSortKey(group, descending=False) for group in groups)),
            aggregation.limit,
            aggregation.offset,
        )

    def _group_cell(self, collection: Collection, group: Group) -> GroupCell:
        operand = self._scope.operand(collection, group.field, group.function)
        if group.field.many and group.function is None:
            raise InvalidQuery(f'"{group.key}" holds many rows: group by "count({group.key})"')
        return GroupCell(operand)

    def _aggregate_cell(self, collection: Collection, measure: Measure) -> AggregateCell:
        field = measure.field
        return AggregateCell(measure.function, self._scope.operand(collection, field) if field else None)

    def _order_cell(self, collection: Collection, by: Group | Measure) -> GroupCell | AggregateCell:
        return self._group_cell(collection, by) if isinstance(by, Group) else self._aggregate_cell(collection, by)

    def _aggregate_cells(self, collection: Collection, items: Iterable[AggregateItem]) -> Iterator[AggregateCell]:
        for item in items:
            if isinstance(item, AggregateValue):
                yield self._aggregate_cell(collection, item.measure)
            elif isinstance(item, AggregateObject):
                yield from self._aggregate_cells(collection, item.parts)

    def _aggregate_output(
        self, collection: Collection, item: AggregateItem, groups: Iterable[Group], cells: Mapping[Cell, int]
    ) -> OutputField:
        match item:
            case Constant(key, value):
                return OutputField(key, constant=value)
            case AggregateValue(key, measure, text):
                return OutputField(key, cells[self._aggregate_cell(collection, measure)], as_text=text)
            case AggregateObject(key, parts):
                return OutputField(
                    key, parts=tuple(self._aggregate_output(collection, part, groups, cells) for part in parts)
                )
            case GroupObject(key):
                values = tuple(self._group_output(collection, group, cells) for group in groups)
                return OutputField(key, parts=values or None)

    def _group_output(self, collection: Collection, group: Group, cells: Mapping[Cell, int]) -> OutputField:
        as_text = group.field.sent_as_text if group.function is None else group.function in DATE_PARTS
        return OutputField(group.key, cells[self._group_cell(collection, group)], as_text=as_text)

    def _require_readable(self, collection: Collection) -> None:
        if not self._access.granted("read", collection):
            raise Forbidden

    def _output_field(self, collection: Collection, item: Selected, cells: dict[Cell, int]) -> OutputField:
        match item:
            case Constant(key, value):
                return OutputField(key, constant=value)
            case FunctionObject(key, parts):
                return OutputField(key, parts=tuple(self._output_field(collection, part, cells) for part in parts))
            case FieldSelection(key, field) if field.many and item.function is None:
                self._scope.require_visible(collection, field)
                return OutputField(key)  # always null: the caller may not read those rows, and their keys neither
            case _:
                cell = cells.setdefault(self._cell(collection, item), len(cells))
                return OutputField(item.key, cell, as_text=isinstance(item, FieldSelection) and _is_text(item))

    def _cell(self, collection: Collection, item: FieldSelection | RelationSelection) -> Cell:
        if isinstance(item, FieldSelection):
            return Value(self._scope.operand(collection, item.field, item.function))
        self._scope.require_visible(collection, item.field)
        self._require_readable(collection.target_of(item.field))
        relation = self._scope.relation(collection, item.field)
        nested = self._scoped_read(item.read, relation.row_filter)
        return ToManyCell(relation, nested) if item.field.many else ToOneCell(relation, nested)

    def _sort_keys(self, collection: Collection, sorts: Iterable[Sort]) -> tuple[SortKey, ...]:
        """Return the query's sort keys, or the default ones, and the row's key, which makes the order deterministic."""
        keys = [self._sort_key(collection, sort) for sort in sorts]
        order_field = collection.order_field
        if order_field and not keys and self._scope.can_see(collection, order_field):
            keys = [self._sort_key(collection, Sort((), order_field, None, descending=False))]
        return (*keys, SortKey((), Operand(collection.key), descending=False))

    def _sort_key(self, collection: Collection, sort: Sort) -> SortKey:
        path: list[ScopedRelation] = []
        for field in sort.path:
            target = collection.target_of(field)
            if not self._access.granted("read", target):
                raise UnknownField(collection, field.name)
            path.append(self._scope.relation(collection, field))
            collection = target
        return SortKey(tuple(path), self._scope.operand(collection, sort.field, sort.function), sort.descending)

    def _search(self, collection: Collection, text: str | BoundParameter | None) -> Predicate:
        if text is None:
            return TRUE
        if text == "":
            return FALSE
        readable = self._access.fields("read", collection)
        fields = (field for field in collection.fields.values() if field in readable and not field.concealed)
        predicates = (self._search_field(collection, field, text) for field in fields)
        return any_of(*(predicate for predicate in predicates if predicate is not None))

    def _search_field(self, collection: Collection, field: Field, text: str | BoundParameter) -> Predicate | None:
        operand = self._scope.operand(collection, field) if not field.many else None
        if field.kind == "string" and operand:
            return Comparison(operand, "_icontains", text)
        if field.kind == "uuid" and operand and _is_uuid(text.sample if isinstance(text, BoundParameter) else text):
            return Comparison(operand, "_eq", _canonical_uuid(text))
        return None


def _is_text(item: FieldSelection) -> bool:
    return item.as_text or (item.function is None and item.field.sent_as_text and not item.as_number)


def _canonical_uuid(text: str | BoundParameter) -> str | BoundParameter:
    if isinstance(text, BoundParameter):
        compute = text.compute
        return replace(text, name=f"key:{text.name}", compute=lambda bindings: canonical_uuid(compute(bindings)))
    return canonical_uuid(text)


def _is_uuid(text: str) -> bool:
    try:
        return len(text) == KEY_LENGTH and bool(UUID(text))
    except ValueError:
        return False
