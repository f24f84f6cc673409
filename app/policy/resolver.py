"""The policy resolver: it rewrites what a caller asks into what the caller may be told."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from app.core.bindings import BoundParameter
from app.core.errors import Forbidden, InvalidQuery
from app.core.values import canonical_uuid
from app.policy.rules import Access
from app.policy.scopes import CallerScope
from app.query.aggregate import AggregateItem, AggregateObject, AggregateValue, Aggregation, Group, GroupObject, Measure
from app.query.collection import Collection, Field
from app.query.filter import MATCH_ALL, UnknownField
from app.query.read import Constant, FieldSelection, FunctionObject, Read, RelationSelection, Selected, Sort
from app.query.scoped import (
    AggregateCell,
    Cell,
    Comparison,
    GroupCell,
    GroupOrder,
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


class PolicyResolver:
    """One caller's rights at one moment, applied to questions. It never sees an answer."""

    def __init__(self, access: Access, now: datetime | BoundParameter) -> None:
        self._access = access
        self._seen = CallerScope(access, now)

    def scope(self, asked: Read | Aggregation) -> ScopedRead | ScopedAggregation:
        """What is left of a question after the policies: the only maker of a scoped one.

        Raises Forbidden where the caller may read nothing of the collection, or a field on no row at all.
        """
        rows = self._readable_rows(asked)
        return self._level(asked, rows) if isinstance(asked, Read) else self._aggregation(asked, rows)

    def keys(self, asked: Read) -> ScopedRead:
        """The keys of the rows that a question finds, whoever may see them: they are for us, to ask for those again."""
        rows = self._level(asked, self._readable_rows(asked))
        key = asked.collection.key
        return replace(rows, cells=(Value(Operand(key)),), places=(OutputField(key.name, 0),), flat=True)

    def scope_keys(self, asked: Read, keys: Sequence[Any]) -> ScopedRead:
        """The same question of rows with such keys, all that it still finds of them."""
        these = Comparison(Operand(asked.collection.key), "_in", ValueList(tuple(keys)))
        rows = self._level(asked, self._readable_rows(asked))
        return replace(rows, where=all_of(these, rows.where), limit=None, offset=0)

    def _readable_rows(self, asked: Read | Aggregation) -> Predicate:
        self._readable(asked.collection)
        return self._seen.rows(asked.collection)

    def _level(self, read: Read, rows: Predicate) -> ScopedRead:
        collection = read.collection
        cells: dict[Cell, int] = {}
        places = tuple(self._place(collection, item, cells) for item in read.select)
        return ScopedRead(
            collection,
            tuple(cells),
            places,
            all_of(rows, self._wanted(read)),
            self._order(collection, read.sort),
            read.limit,
            read.offset,
            read.flat,
        )

    def _wanted(self, asked: Read | Aggregation) -> Predicate:
        """The rows a question's filter and search leave, as the caller sees them."""
        filtered = self._seen.condition(asked.collection, asked.filter) if asked.filter != MATCH_ALL else all_of()
        return all_of(filtered, self._search(asked.collection, asked.search))

    def _aggregation(self, asked: Aggregation, rows: Predicate) -> ScopedAggregation:
        collection = asked.collection
        groups = dict.fromkeys(self._group(collection, group) for group in asked.groups)
        order = [GroupOrder(self._sorted_by(collection, sort.by), sort.descending) for sort in asked.sort]
        keys = tuple(key.cell for key in order if isinstance(key.cell, AggregateCell))
        measured = dict.fromkeys((*self._figures(collection, asked.select), *keys))
        shared, figures = tuple(groups), tuple(measured)
        cells: dict[Cell, int] = {cell: at for at, cell in enumerate(shared + figures)}
        return ScopedAggregation(
            collection,
            shared,
            figures,
            tuple(self._told(collection, item, asked.groups, cells) for item in asked.select),
            all_of(rows, self._wanted(asked)),
            (*order, *(GroupOrder(group, descending=False) for group in groups)),
            asked.limit,
            asked.offset,
        )

    def _group(self, collection: Collection, group: Group) -> GroupCell:
        operand = self._seen.operand(collection, group.field, group.function)
        if group.field.many and group.function is None:
            raise InvalidQuery(f'"{group.key}" holds many rows: group by "count({group.key})"')
        return GroupCell(operand)

    def _figure(self, collection: Collection, measure: Measure) -> AggregateCell:
        field = measure.field
        return AggregateCell(measure.function, self._seen.operand(collection, field) if field else None)

    def _sorted_by(self, collection: Collection, by: Group | Measure) -> GroupCell | AggregateCell:
        return self._group(collection, by) if isinstance(by, Group) else self._figure(collection, by)

    def _figures(self, collection: Collection, items: Iterable[AggregateItem]) -> Iterator[AggregateCell]:
        for item in items:
            if isinstance(item, AggregateValue):
                yield self._figure(collection, item.measure)
            elif isinstance(item, AggregateObject):
                yield from self._figures(collection, item.parts)

    def _told(
        self, collection: Collection, item: AggregateItem, groups: Iterable[Group], cells: Mapping[Cell, int]
    ) -> OutputField:
        match item:
            case Constant(key, value):
                return OutputField(key, constant=value)
            case AggregateValue(key, measure, text):
                return OutputField(key, cells[self._figure(collection, measure)], text=text)
            case AggregateObject(key, parts):
                return OutputField(key, parts=tuple(self._told(collection, part, groups, cells) for part in parts))
            case GroupObject(key):
                shared = tuple(OutputField(group.key, cells[self._group(collection, group)]) for group in groups)
                return OutputField(key, parts=shared or None)

    def _readable(self, collection: Collection) -> None:
        if not self._access.granted("read", collection):
            raise Forbidden

    def _place(self, collection: Collection, item: Selected, cells: dict[Cell, int]) -> OutputField:
        match item:
            case Constant(key, value):
                return OutputField(key, constant=value)
            case FunctionObject(key, parts):
                return OutputField(key, parts=tuple(self._place(collection, part, cells) for part in parts))
            case FieldSelection(key, field) if field.many and item.function is None:
                self._seen.require_visible(collection, field)
                return OutputField(key)  # rows the caller may not see have no key to tell either
            case _:
                cell = cells.setdefault(self._cell(collection, item), len(cells))
                return OutputField(item.key, cell, text=isinstance(item, FieldSelection) and item.text)

    def _cell(self, collection: Collection, item: FieldSelection | RelationSelection) -> Cell:
        if isinstance(item, FieldSelection):
            return Value(self._seen.operand(collection, item.field, item.function))
        self._seen.require_visible(collection, item.field)
        self._readable(collection.target_of(item.field))
        step = self._seen.relation(collection, item.field)
        nested = self._level(item.read, step.rows)
        return ToManyCell(step, nested) if item.field.many else ToOneCell(step, nested)

    def _order(self, collection: Collection, sorts: Iterable[Sort]) -> tuple[SortKey, ...]:
        """The sort keys asked for, then the row's key, so that no two answers differ in order alone."""
        keys = [self._sort(collection, sort) for sort in sorts]
        return (*keys, SortKey((), Operand(collection.key), descending=False))

    def _sort(self, collection: Collection, sort: Sort) -> SortKey:
        steps: list[ScopedRelation] = []
        here = collection
        for field in sort.path:
            if not self._access.granted("read", here.target_of(field)):
                raise UnknownField(here, field.name)
            steps.append(self._seen.relation(here, field))
            here = here.target_of(field)
        return SortKey(tuple(steps), self._seen.operand(here, sort.field, sort.function), sort.descending)

    def _search(self, collection: Collection, text: str | BoundParameter | None) -> Predicate:
        if not text:
            return all_of()
        shown = self._access.fields("read", collection)
        fields = (field for field in collection.fields.values() if field in shown and not field.concealed)
        found = (self._finds(collection, field, text) for field in fields)
        return any_of(*(condition for condition in found if condition is not None))

    def _finds(self, collection: Collection, field: Field, text: str | BoundParameter) -> Predicate | None:
        operand = self._seen.operand(collection, field) if not field.many else None
        if field.kind == "string" and operand:
            return Comparison(operand, "_icontains", text)
        if field.kind == "uuid" and operand and _is_uuid(text.sample if isinstance(text, BoundParameter) else text):
            return Comparison(operand, "_eq", _key(text))
        return None


def _key(text: str | BoundParameter) -> str | BoundParameter:
    if isinstance(text, BoundParameter):
        make = text.compute
        return replace(text, name=f"key:{text.name}", compute=lambda given: canonical_uuid(make(given)))
    return canonical_uuid(text)


def _is_uuid(text: str) -> bool:
    try:
        return len(text) == 36 and bool(UUID(text))
    except ValueError:
        return False
