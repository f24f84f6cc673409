"""The parser of Directus' global query parameters: from REST or Python to a Read or an Aggregation."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

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
from app.query.field_tree import WILDCARD, FieldExpansion, FieldTree, ReadableFields, parse_field_tree
from app.query.filter import (
    DATE_PARTS,
    MATCH_ALL,
    Filter,
    UnknownField,
    functions_of,
    parse_filter,
    split_function,
)
from app.query.limits import QueryLimits, depth_error
from app.query.read import FieldSelection, Read, RelationSelection, Selected, parse_search, parse_sort
from app.query.size import SizeCounter

RawParameters = Mapping[str, Any]
FIELD_AGGREGATES = (*COUNT_FUNCTIONS, *NUMERIC_FUNCTIONS)
MAX_INT32 = 2**31 - 1
"""The largest number of rows or pages, as of GraphQL's Int."""


@dataclass(frozen=True, slots=True)
class QueryParser:
    """Parses the parameters of one query, given its limits and the fields that the caller may read."""

    limits: QueryLimits
    readable_fields: ReadableFields
    size: SizeCounter

    def read(self, collection: Collection, parameters: RawParameters) -> Read:
        """Parse `fields`, `filter`, `sort`, `limit`, `offset`, `page`, `search`, `alias` and `deep`.

        Raises:
            InvalidQuery: A parameter is malformed.
            UnknownField: A field does not exist.
        """
        tree = self._field_tree(self.size.split_names(parameters.get("fields"), "fields") or [WILDCARD])
        deep = parse_object(parameters.get("deep"), "deep")
        return self._read(self.limits.registry_view(collection), tree, parameters, deep)

    def aggregation(self, collection: Collection, parameters: RawParameters) -> Aggregation:
        """Parse `aggregate` and `groupBy` in addition to the parameters that select rows.

        Raises:
            InvalidQuery: A parameter is malformed.
            UnknownField: A field does not exist, or does not support the function.
        """
        collection = self.limits.registry_view(collection)
        names = self.size.split_names(parameters.get("groupBy"), "groupBy")
        self.size.add_fields(len(names))
        groups = tuple(dict.fromkeys(parse_group(collection, name) for name in names))
        aggregates = parse_object(parameters.get("aggregate"), "aggregate")
        select: list[AggregateItem] = list(self._aggregates(collection, aggregates))
        if groups:
            select.append(GroupObject("group"))
        limit, offset = self._window(parameters)
        return Aggregation(
            collection,
            tuple(select),
            groups,
            self.filter(collection, parameters),
            tuple(parse_group_sort(collection, groups, key) for key in self._sort_keys(parameters) if groups),
            parse_search(_parse_text(parameters.get("search"), "search")),
            limit,
            offset,
        )

    def filter(self, collection: Collection, parameters: RawParameters) -> Filter:
        """Parse the `filter` parameter.

        Raises:
            InvalidQuery: The filter is malformed, or a path in it is longer than the limit.
            UnknownField: A field does not exist.
        """
        value = parameters.get("filter")
        if value is None or value == "":
            return MATCH_ALL
        raw = parse_object(value, "filter")
        self.size.add_filter(raw)
        try:
            return parse_filter(collection, raw)
        except UnknownField:
            if _name_depth(raw) > self.limits.max_depth:  # the same error as for fields that exist
                raise depth_error(self.limits.max_depth) from None
            raise

    def count(self, collection: Collection, parameters: RawParameters | None = None) -> Aggregation:
        """Return a query for the number of rows, of all or of those that the parameters match."""
        parameters, collection = parameters or {}, self.limits.registry_view(collection)
        search = parse_search(_parse_text(parameters.get("search"), "search"))
        count = (AggregateValue("count", Measure("countAll")),)
        return Aggregation(collection, count, filter=self.filter(collection, parameters), search=search, limit=1)

    def _read(self, collection: Collection, tree: FieldTree, parameters: RawParameters, deep: RawParameters) -> Read:
        limit, offset = self._window(parameters)
        return Read(
            collection,
            tuple(self._select(collection, tree, self._aliases(parameters.get("alias")), deep)),
            self.filter(collection, parameters),
            tuple(parse_sort(collection, key) for key in self._sort_keys(parameters)),
            parse_search(_parse_text(parameters.get("search"), "search")),
            limit,
            offset,
        )

    def _field_tree(self, names: list[str]) -> FieldTree:
        self.size.check_entries("fields", names)
        if any(name.count(".") >= self.limits.max_depth for name in names):
            raise depth_error(self.limits.max_depth)
        return parse_field_tree(names)

    def _aliases(self, value: Any) -> dict[str, str]:
        aliases = parse_object(value, "alias")
        self.size.check_entries("alias", aliases)
        for key, name in aliases.items():
            if "." in key or not isinstance(name, str) or "." in name:
                raise InvalidQuery('"alias" key/value can\'t contain a period character `.`')
        return dict(aliases)

    def _sort_keys(self, parameters: RawParameters) -> Iterable[str]:
        return self.size.distinct_sort_keys(self.size.split_names(parameters.get("sort"), "sort"))

    def _window(self, parameters: RawParameters) -> tuple[Any, Any]:
        return self.limits.window(*(_parse_integer(parameters.get(name), name) for name in ("limit", "offset", "page")))

    def _select(
        self, collection: Collection, tree: FieldTree, aliases: Mapping[str, str], deep: RawParameters
    ) -> Iterator[Selected]:
        trees = FieldExpansion(collection, aliases, self.readable_fields).expand(tree)
        self.size.add_fields(len(trees))
        for key, key_tree in trees.items():
            yield self._item(collection, key, aliases.get(key, key), key_tree, _require_object(deep.get(key), "deep"))

    def _aggregates(
        self, collection: Collection, aggregates: RawParameters
    ) -> Iterator[AggregateValue | AggregateObject]:
        for function, names in aggregates.items():
            self.size.add_fields(1)
            if function == "countAll":
                yield AggregateValue(function, Measure("countAll"), as_text=True)
            elif function not in FIELD_AGGREGATES:
                supported = ", ".join(("countAll", *FIELD_AGGREGATES))
                raise InvalidQuery(f'"aggregate" supports {supported}, not "{function}"')
            elif WILDCARD in (fields := self.size.split_names(names, "aggregate")) and function == "count":
                yield AggregateValue(function, Measure("countAll"), as_text=True)
            else:
                self.size.add_fields(len(fields))
                yield AggregateObject(function, tuple(_parse_aggregate(collection, function, name) for name in fields))

    def _item(
        self, collection: Collection, key: str, name: str, tree: FieldTree | None, deep: RawParameters
    ) -> Selected:
        if "(" in name:
            member, function = _parse_call(collection, name)
            as_text = member.many or function in DATE_PARTS  # what Directus gets from PostgreSQL as text
            return FieldSelection(f"{member.name}_{function}" if key == name else key, member, function, as_text)  # type: ignore[arg-type]
        selected = collection.fields.get(name)
        if selected is None or (tree is not None and not selected.relation):
            raise UnknownField(collection, name)
        if tree is None and not selected.many:
            return FieldSelection(key, selected)
        self.size.check_entries("deep", deep)
        related, parameters = collection.target_of(selected), _nested_parameters(deep)
        if tree is not None:
            return RelationSelection(key, selected, self._read(related, tree, parameters, deep))
        keys = self._read(related, parse_field_tree([related.key.name]), parameters, deep)
        return RelationSelection(key, selected, replace(keys, flat=True))


def is_grouped(parameters: RawParameters) -> bool:
    """Return whether query parameters request groups or aggregates of rows instead of rows."""
    names = parameters.get("groupBy")
    texts = names if isinstance(names, list | tuple) else (names,)
    has_groups = any(text.strip(" ,") if isinstance(text, str) else text is not None for text in texts)
    return has_groups or bool(parse_object(parameters.get("aggregate"), "aggregate"))


def _parse_aggregate(collection: Collection, function: str, name: str) -> AggregateValue:
    member = collection.fields.get(name)
    if member is None:
        raise UnknownField(collection, name)
    measure = Measure(function, member)  # type: ignore[arg-type]  # one of FIELD_AGGREGATES
    if not measure.is_supported:
        raise InvalidQuery(f'"{function}" is not supported for "{name}"')
    is_number = (function in ("min", "max") and member.kind == "integer") or (
        function not in COUNT_FUNCTIONS and member.kind == "float"
    )  # what Directus gets from PostgreSQL as a number
    return AggregateValue(name, measure, as_text=measure.is_numeric and not is_number)


def _name_depth(raw: Any) -> int:
    """Return the number of names in the longest path of an unparsed filter, whether the fields exist or not."""
    if isinstance(raw, Mapping):
        return max((_name_depth(value) + (not name.startswith("_")) for name, value in raw.items()), default=0)
    return max(map(_name_depth, raw), default=0) if isinstance(raw, list | tuple) else 0


def _nested_parameters(deep: RawParameters) -> RawParameters:
    """Return the parameters in `deep` for the related rows; an underscore distinguishes them from field names."""
    return {name.removeprefix("_"): value for name, value in deep.items() if name.startswith("_")}


def _parse_call(collection: Collection, name: str) -> tuple[Field, str]:
    function = name.partition("(")[0]
    try:
        member, parsed = split_function(collection, name)
    except UnknownField:
        argument = collection.fields.get(name.partition("(")[2].removesuffix(")"))
        if argument is not None and function not in functions_of(argument):
            raise InvalidQuery(f'Invalid function specified "{function}"') from None
        raise
    return member, str(parsed)


def parse_object(value: Any, name: str) -> RawParameters:
    """Return the object that a parameter holds, also as a JSON text; an empty one if there is none.

    Raises:
        InvalidQuery: It holds anything else.
    """
    if isinstance(value, str) and value:
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            raise InvalidQuery(f"Invalid JSON for {name} object") from None
    return _require_object(None if value == "" else value, name)


def _require_object(value: Any, name: str) -> RawParameters:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidQuery(f'"{name}" must be an object')
    return value


def _parse_text(value: Any, name: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise InvalidQuery(f'"{name}" must be a string')


def _parse_integer(value: Any, name: str) -> int | None:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]  # of `limit[]=1`
    if value is None or value == "":
        return None
    try:
        number = float(value) if not isinstance(value, bool) else None
    except (TypeError, ValueError):
        number = None
    if number is None or number != number or abs(number) == float("inf"):  # noqa: PLR0124  # only NaN differs from itself
        raise InvalidQuery(f'"{name}" must be a number')
    if not number.is_integer():
        raise InvalidQuery(f'"{name}" must be an integer')
    if abs(number) > MAX_INT32:
        raise InvalidQuery(f'"{name}" must be between -{MAX_INT32} and {MAX_INT32}')
    return int(number)


def expand_names(names: Iterable[str], allowed: Iterable[str], parameter: str) -> list[str]:
    """Return the names, or all allowed names if `*` is among them.

    Raises:
        InvalidQuery: A name is not allowed.
    """
    allowed, names = list(allowed), list(names)
    for index, name in enumerate(names):
        if name not in (WILDCARD, *allowed):
            raise InvalidQuery(f'"{parameter}[{index}]" must be one of [{", ".join(allowed)}]')
    return allowed if WILDCARD in names else names
