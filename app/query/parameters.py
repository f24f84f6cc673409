"""Directus' global query parameters, as REST and Python spell them -> a Read or an Aggregation."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from app.core.errors import InvalidQuery
from app.query.aggregate import (
    COUNT_FUNCTIONS,
    NUMERIC_FUNCTIONS,
    AggregateItem,
    AggregateObject,
    AggregateValue,
    Aggregation,
    GroupObject,
    Measure,
    parse_group,
    parse_group_sort,
)
from app.query.collection import Collection, Field
from app.query.filter import MATCH_ALL, Filter, UnknownField, conjunction, functions_of, parse_filter, split_function
from app.query.limits import QueryLimits, depth_error
from app.query.read import FieldSelection, Read, RelationSelection, Selected, parse_search, parse_sort

RawParameters = Mapping[str, Any]
ReadableFields = Callable[[Collection], frozenset[Field]]
"""The fields of a collection that `*` stands for."""
WILDCARD = "*"
FIELD_AGGREGATES = (*COUNT_FUNCTIONS, *NUMERIC_FUNCTIONS)
MAX_INT32 = 2**31 - 1
"""The largest number of rows or pages, as of GraphQL's Int."""


@dataclass(slots=True)
class FieldTree:
    """The fields asked for, by the names they are asked under; what lies behind a relation is a tree of its own."""

    leaves: dict[str, None] = field(default_factory=dict)
    relations: dict[str, "FieldTree"] = field(default_factory=dict)
    wildcard: bool = False

    def add(self, path: list[str]) -> None:
        """One more path, such as `["role", "name"]`."""
        name, rest = path[0], path[1:]
        if name == WILDCARD:
            self.wildcard = True
        if rest:
            self.relations.setdefault(name, FieldTree()).add(rest)
        elif name != WILDCARD:
            self.leaves[name] = None


@dataclass(frozen=True, slots=True)
class QueryParser:
    """What it takes to understand parameters: the limits of a question, and what its caller may read at all."""

    limits: QueryLimits
    readable_fields: ReadableFields

    def read(self, collection: Collection, parameters: RawParameters) -> Read:
        """The Read that parameters ask for: `fields filter sort limit offset page search alias deep`.

        Raises InvalidQuery for what makes no sense, UnknownField for what isn't there.
        """
        tree = FieldTree()
        for name in split_names(parameters.get("fields")) or [WILDCARD]:
            tree.add(name.split("."))
        return self._level(
            self.limits.registry_view(collection), tree, parameters, _object(parameters.get("deep"), "deep")
        )

    def aggregation(self, collection: Collection, parameters: RawParameters) -> Aggregation:
        """The Aggregation that `aggregate` and `groupBy` ask for; raises as `read` does."""
        collection = self.limits.registry_view(collection)
        groups = tuple(dict.fromkeys(parse_group(collection, name) for name in split_names(parameters.get("groupBy"))))
        select: list[AggregateItem] = list(
            self._measures(collection, _object(parameters.get("aggregate"), "aggregate"))
        )
        if groups:
            select.append(GroupObject("group"))
        rows, skipped = self._window(parameters)
        return Aggregation(
            collection,
            tuple(select),
            groups,
            self.filter(collection, parameters),
            tuple(parse_group_sort(collection, groups, key) for key in split_names(parameters.get("sort")) if groups),
            parse_search(_text(parameters.get("search"), "search")),
            rows,
            skipped,
        )

    def filter(self, collection: Collection, parameters: RawParameters) -> Filter:
        """The rows that parameters ask for."""
        asked = parameters.get("filter")
        if asked is None or asked == "":
            return MATCH_ALL
        try:
            return conjunction((parse_filter(collection, _object(asked, "filter")),))
        except UnknownField:
            if _walked(asked) > self.limits.max_depth:  # as of fields that are there
                raise depth_error(self.limits.max_depth) from None
            raise

    def count(self, collection: Collection, parameters: RawParameters | None = None) -> Aggregation:
        """The number of rows, of all or of those that parameters ask for."""
        asked, collection = parameters or {}, self.limits.registry_view(collection)
        search = parse_search(_text(asked.get("search"), "search"))
        measured = (AggregateValue("count", Measure("countAll")),)
        return Aggregation(collection, measured, filter=self.filter(collection, asked), search=search, limit=1)

    def _level(self, collection: Collection, tree: FieldTree, given: RawParameters, deep: RawParameters) -> Read:
        rows, skipped = self._window(given)
        return Read(
            collection,
            tuple(self._select(collection, tree, _aliases(given.get("alias")), deep)),
            self.filter(collection, given),
            tuple(parse_sort(collection, key) for key in split_names(given.get("sort"))),
            parse_search(_text(given.get("search"), "search")),
            rows,
            skipped,
        )

    def _window(self, given: RawParameters) -> tuple[Any, Any]:
        return self.limits.window(*(_number(given.get(name), name) for name in ("limit", "offset", "page")))

    def _select(
        self, collection: Collection, tree: FieldTree, aliases: Mapping[str, str], deep: RawParameters
    ) -> Iterator[Selected]:
        named = _bare(sorted(self._stars(collection)) if tree.wildcard else ())
        beyond = tree.relations.get(WILDCARD)
        if beyond is not None:
            for member in collection.relations:
                if member in self.readable_fields(collection) and self.readable_fields(collection.target_of(member)):
                    named[member.name] = beyond
        named |= _bare(name for name in tree.leaves if named.get(name) is None)
        for name, inner in tree.relations.items():
            if name != WILDCARD:
                named[name] = _merged(named.get(name), inner)
        for key, behind in named.items():
            yield self._item(collection, key, aliases.get(key, key), behind, _object(deep.get(key), "deep"))

    def _stars(self, collection: Collection) -> Iterator[str]:
        for member in self.readable_fields(collection):
            if member.name not in collection.wildcard_excluded and (
                not member.many or self.readable_fields(collection.target_of(member))
            ):
                yield member.name

    def _item(
        self, collection: Collection, key: str, name: str, inner: FieldTree | None, deep: RawParameters
    ) -> Selected:
        if "(" in name:
            member, function = _call(collection, name)
            return FieldSelection(f"{member.name}_{function}" if key == name else key, member, function)  # type: ignore[arg-type]
        found = collection.fields.get(name)
        if found is None or (inner is not None and not found.relation):
            raise UnknownField(collection, name)
        if inner is None and not found.many:
            return FieldSelection(key, found)
        there, given = collection.target_of(found), _inner(deep)
        if inner is not None:
            return RelationSelection(key, found, self._level(there, inner, given, deep))
        rows = self._level(there, FieldTree({there.key.name: None}), given, deep)
        return RelationSelection(key, found, replace(rows, flat=True))

    def _measures(self, collection: Collection, asked: RawParameters) -> Iterator[AggregateValue | AggregateObject]:
        for function, names in asked.items():
            if function == "countAll":
                yield AggregateValue(function, Measure("countAll"), as_text=True)
            elif function not in FIELD_AGGREGATES:
                raise InvalidQuery(f'"aggregate" knows {", ".join(("countAll", *FIELD_AGGREGATES))}, not "{function}"')
            elif function == "count" and WILDCARD in split_names(names):
                yield AggregateValue(function, Measure("countAll"), as_text=True)
            else:
                yield AggregateObject(
                    function, tuple(_measured(collection, function, name) for name in split_names(names))
                )


def _walked(asked: Any) -> int:
    """How many names of fields follow one another in a filter, whether there are such fields or not."""
    if isinstance(asked, Mapping):
        return max((_walked(value) + (not name.startswith("_")) for name, value in asked.items()), default=0)
    return max(map(_walked, asked), default=0) if isinstance(asked, list | tuple) else 0


def split_names(value: Any) -> list[str]:
    """A list of names, however it is spelled: a list, texts divided by commas, or both."""
    if value is None:
        return []
    items = value if isinstance(value, list | tuple) else [value]
    if not all(isinstance(item, str | int | float) for item in items):
        raise InvalidQuery("Names have to be texts, or lists of texts")
    return [word.strip() for item in items for word in str(item).split(",") if word.strip()]


def _bare(names: Iterable[str]) -> dict[str, FieldTree | None]:
    """Fields asked for as they are, with nothing behind them."""
    return {name: None for name in names}  # noqa: C420  # a dict of None alone would be of another type


def _merged(known: FieldTree | None, inner: FieldTree) -> FieldTree:
    if known is None:
        return inner
    return FieldTree(
        known.leaves | inner.leaves, {**known.relations, **inner.relations}, known.wildcard or inner.wildcard
    )


def _inner(deep: RawParameters) -> RawParameters:
    """What `deep` asks of the rows behind a relation, without the underscore that tells it from their relations."""
    return {name.removeprefix("_"): value for name, value in deep.items() if name.startswith("_")}


def _call(collection: Collection, name: str) -> tuple[Field, str]:
    function = name.partition("(")[0]
    try:
        member, known = split_function(collection, name)
    except UnknownField:
        base = collection.fields.get(name.partition("(")[2].removesuffix(")"))
        if base is not None and function not in functions_of(base):
            raise InvalidQuery(f'Invalid function specified "{function}"') from None
        raise
    return member, str(known)


def _measured(collection: Collection, function: str, name: str) -> AggregateValue:
    measure = _measure(collection, function, name)
    return AggregateValue(name, measure, as_text=measure.is_numeric)


def _measure(collection: Collection, function: str, name: str) -> Measure:
    member = collection.fields.get(name)
    if member is None:
        raise UnknownField(collection, name)
    measure = Measure(function, member)  # type: ignore[arg-type]  # one of MEASURING
    if not measure.is_supported:
        raise InvalidQuery(f'"{function}" can\'t be told of "{name}"')
    return measure


def _aliases(value: Any) -> dict[str, str]:
    given = _object(value, "alias")
    for key, name in given.items():
        if "." in key or not isinstance(name, str) or "." in name:
            raise InvalidQuery('"alias" key/value can\'t contain a period character `.`')
    return dict(given)


def _object(value: Any, name: str) -> RawParameters:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidQuery(f'"{name}" has to be an object')
    return value


def _text(value: Any, name: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise InvalidQuery(f'"{name}" has to be a text')


def _number(value: Any, name: str) -> int | None:
    if value is None or value == "":
        return None
    try:
        number = float(value) if not isinstance(value, bool) else None
    except (TypeError, ValueError):
        number = None
    if number is None or number != number or abs(number) == float("inf"):  # noqa: PLR0124  # NaN alone isn't itself
        raise InvalidQuery(f'"{name}" must be a number')
    if not number.is_integer():
        raise InvalidQuery(f'"{name}" must be an integer')
    if abs(number) > MAX_INT32:
        raise InvalidQuery(f'"{name}" must be between -{MAX_INT32} and {MAX_INT32}')
    return int(number)


def expand_names(names: Iterable[str], allowed: Iterable[str], parameter: str) -> list[str]:
    """Some words out of those that are known, `*` standing for all; InvalidQuery for any other."""
    allowed = list(allowed)
    found = list(names)
    for at, word in enumerate(found):
        if word not in (WILDCARD, *allowed):
            raise InvalidQuery(f'"{parameter}[{at}]" must be one of [{", ".join(allowed)}]')
    return allowed if WILDCARD in found else found
