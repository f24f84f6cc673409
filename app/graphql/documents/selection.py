"""Translation of GraphQL selections into Reads and Aggregations."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import FieldNode, FragmentDefinitionNode, GraphQLSchema, InlineFragmentNode, SelectionSetNode
from graphql.execution.values import VariableValues, get_argument_values

from app.core.errors import InvalidQuery
from app.graphql.documents.normalize_document import KEY_ALIAS
from app.graphql.types.builder import aggregate_object_type, aggregated_type, functions_type
from app.query.aggregate import (
    AggregateItem,
    AggregateObject,
    AggregateValue,
    Aggregation,
    GroupObject,
    Measure,
    parse_group,
    parse_group_sort,
    parse_measure,
)
from app.query.collection import Collection, Field
from app.query.filter import MATCH_ALL, Filter, Function, parse_filter
from app.query.limits import QueryLimits, depth_error
from app.query.read import (
    Constant,
    FieldSelection,
    FunctionObject,
    Read,
    RelationSelection,
    Selected,
    parse_search,
    parse_sort,
)
from app.query.size import SizeCounter

Nodes = Iterable[FieldNode]


@dataclass(frozen=True, slots=True)
class Selection:
    """Translates the selections of one request.

    It knows the schema, the document's fragments, the variables and the query limits, and counts what is selected.
    """

    schema: GraphQLSchema
    fragments: Mapping[str, FragmentDefinitionNode]
    variables: dict[str, Any]
    limits: QueryLimits
    size: SizeCounter

    def read(self, collection: Collection, nodes: Nodes, arguments: Mapping[str, Any], depth: int = 1) -> Read:
        """Return the Read of the nodes of one field with these arguments, `depth` levels below the root.

        Raises:
            InvalidQuery: An argument is invalid, or a path has too many fields.
            UnknownField: The rows are sorted by a field that does not exist.
        """
        if depth > self.limits.max_depth:  # not only once the whole query is built, which may be far deeper
            raise depth_error(self.limits.max_depth)
        collection = self.limits.registry_view(collection)
        limit, offset = self._window(arguments)
        return Read(
            collection,
            tuple(self._selected(collection, nodes, depth)),
            self._filter(collection, arguments),
            tuple(parse_sort(collection, key) for key in self._sort_keys(arguments)),
            parse_search(arguments.get("search")),
            limit,
            offset,
        )

    def aggregation(self, collection: Collection, nodes: Nodes, arguments: Mapping[str, Any]) -> Aggregation:
        """Return the Aggregation of the nodes of one field; raises as `read` does.

        Without groups `sort` is ignored, as in Directus.
        """
        collection = self.limits.registry_view(collection)
        limit, offset = self._window(arguments)
        names = dict.fromkeys(name for name in arguments.get("groupBy") or () if name)
        self.size.add_fields(len(names))
        groups = tuple(dict.fromkeys(parse_group(collection, name) for name in names))
        return Aggregation(
            collection,
            tuple(self._aggregate_item(collection, key, merged) for key, merged in self._sub_fields(nodes).items()),
            groups,
            self._filter(collection, arguments),
            tuple(parse_group_sort(collection, groups, key) for key in self._sort_keys(arguments) if groups),
            parse_search(arguments.get("search")),
            limit,
            offset,
        )

    def _filter(self, collection: Collection, arguments: Mapping[str, Any]) -> Filter:
        value = arguments.get("filter")
        if value is None:
            return MATCH_ALL
        self.size.add_filter(value)
        return parse_filter(collection, value)

    def _sort_keys(self, arguments: Mapping[str, Any]) -> Iterable[str]:
        return self.size.distinct_sort_keys(key for key in arguments.get("sort") or () if key)

    def _window(self, arguments: Mapping[str, Any]) -> tuple[int | None, int]:
        return self.limits.window(*(arguments.get(name) for name in ("limit", "offset", "page")))

    def _aggregate_item(self, collection: Collection, key: str, nodes: list[FieldNode]) -> AggregateItem:
        match nodes[0].name.value:
            case "__typename":
                return Constant(key, aggregated_type(collection))
            case "group":
                return GroupObject(key)
            case "countAll":
                return AggregateValue(key, Measure("countAll"))
            case function:
                return AggregateObject(key, tuple(self._measures(collection, function, nodes)))

    def _measures(self, collection: Collection, function: str, nodes: Nodes) -> Iterator[AggregateValue | Constant]:
        for key, merged in self._sub_fields(nodes).items():
            name = merged[0].name.value
            if name == "__typename":
                yield Constant(key, aggregate_object_type(collection, function))
            else:
                yield AggregateValue(key, parse_measure(collection, function, name))

    def _sub_fields(self, nodes: Nodes) -> dict[str, list[FieldNode]]:
        fields = self.collect(nodes)
        self.size.add_fields(len(fields))
        return fields

    def _selected(self, collection: Collection, nodes: Nodes, depth: int) -> Iterator[Selected]:
        for key, merged in self._sub_fields(nodes).items():
            yield self._item(collection, key, merged, depth)

    def _item(self, collection: Collection, key: str, nodes: list[FieldNode], depth: int) -> Selected:
        name = nodes[0].name.value
        if name == "__typename":
            return Constant(key, collection.name)
        field = collection.fields.get(name)
        if field is None:
            return self._functions(collection.fields[name.removesuffix("_func")], key, nodes)
        if field.relation and not self._selects_key(field, nodes):
            definition = self.schema.type_map[collection.name].fields[name]  # type: ignore[attr-defined]
            arguments = get_argument_values(definition, nodes[0], VariableValues({}, self.variables))
            return RelationSelection(key, field, self.read(collection.target_of(field), nodes, arguments, depth + 1))
        return FieldSelection(key, field, as_text=_is_id(collection, field), as_number=field.kind == "decimal")

    def _selects_key(self, field: Field, nodes: list[FieldNode]) -> bool:
        keys = self.collect(nodes)
        if KEY_ALIAS in keys and len(keys) > 1:
            raise InvalidQuery(
                f'"{field.name}" is selected both with and without sub-fields under one name; use an alias'
            )
        return KEY_ALIAS in keys

    def _functions(self, field: Field, key: str, nodes: Nodes) -> FunctionObject:
        parts: list[FieldSelection | Constant] = []
        for part, merged in self._sub_fields(nodes).items():
            name = merged[0].name.value
            if name == "__typename":
                parts.append(Constant(part, f"{functions_type(field)}s"))
            else:
                parts.append(FieldSelection(part, field, _function(name)))
        return FunctionObject(key, tuple(parts))

    def collect(self, nodes: Iterable[Any]) -> dict[str, list[FieldNode]]:
        """Return the sub-fields of these nodes by response key, with those of fragments and without skipped ones."""
        fields: dict[str, list[FieldNode]] = {}
        visited: set[str] = set()
        for node in nodes:
            if node.selection_set:
                self._visit(node.selection_set, fields, visited)
        return fields

    def _visit(self, selections: SelectionSetNode, fields: dict[str, list[FieldNode]], visited: set[str]) -> None:
        for node in selections.selections:
            if not self._is_included(node):
                continue
            if isinstance(node, FieldNode):
                fields.setdefault((node.alias or node.name).value, []).append(node)
            elif isinstance(node, InlineFragmentNode):
                self._visit(node.selection_set, fields, visited)
            elif (name := node.name.value) not in visited:  # type: ignore[attr-defined]  # a fragment spread
                visited.add(name)
                self._visit(self.fragments[name].selection_set, fields, visited)

    def _is_included(self, node: Any) -> bool:
        for directive in node.directives or ():
            definition = self.schema.get_directive(directive.name.value)
            if definition and definition.name in ("skip", "include"):
                arguments = get_argument_values(definition, directive, VariableValues({}, self.variables))
                if arguments["if"] is (definition.name == "skip"):
                    return False
        return True


def _is_id(collection: Collection, field: Field) -> bool:
    """Return whether an integer is an ID, which GraphQL represents as a string."""
    return field.kind == "integer" and (field is collection.key or field.relation is not None)


def _function(name: str) -> Function:
    return name  # type: ignore[return-value]  # the schema has no other functions
