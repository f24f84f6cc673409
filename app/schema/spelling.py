"""One normalising pass: the three spellings of a relation become one, and what a document touches is collected.

Selected without sub-fields a relation answers its key; filtered with operators directly it filters its key.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLInputType,
    GraphQLSchema,
    ListValueNode,
    NamedTypeNode,
    NameNode,
    ObjectFieldNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    TypeInfo,
    TypeInfoVisitor,
    TypeNode,
    ValueNode,
    VariableNode,
    Visitor,
    get_named_type,
    is_input_object_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
    visit,
)

from app.core.binding import Slot
from app.query.collection import COLLECTIONS
from app.query.filter import OWN_KEY
from app.query.operators import OPERATORS

KEY_ALIAS = "__key"
"""Marks a sub-selection that the pass put in: the relation answers its key."""

INTO = "{"
"""Ends a coordinate that goes through a relation, not only to its key."""


@dataclass(frozen=True, slots=True)
class Spelled:
    """A document after the pass, the coordinates it touches, and what can't be spelled like that."""

    document: DocumentNode
    coordinates: frozenset[str]
    errors: tuple[GraphQLError, ...]


def normalise(schema: GraphQLSchema, document: DocumentNode) -> Spelled:
    """Rewrites a parsed document for a schema; what the schema doesn't know is left for validation to refuse."""
    info = TypeInfo(schema)
    speller = _Speller(info, document)
    rewritten = visit(document, TypeInfoVisitor(info, speller))
    return Spelled(rewritten, frozenset(speller.coordinates), tuple(speller.errors))


def respell(value: Any, type_: GraphQLInputType, coordinates: set[str]) -> Any:
    """The same for a variable's value; what doesn't fit the type is left for coercion to refuse."""
    if is_non_null_type(type_):
        return respell(value, type_.of_type, coordinates)
    if isinstance(value, Slot):
        return value
    if is_list_type(type_):
        items = value if isinstance(value, list) else [value]
        return None if value is None else [respell(item, type_.of_type, coordinates) for item in items]
    if not is_input_object_type(type_) or not isinstance(value, dict):
        return value
    spelled = {}
    for name, inner in value.items():
        coordinates.add(f"{type_.name}.{name}")
        if name == OWN_KEY or name not in type_.fields:
            spelled["" if name == OWN_KEY else name] = inner  # no client may write it: coercion refuses an unknown name
            continue
        of = type_.fields[name].type
        if _is_relation_filter(name, of) and isinstance(inner, dict):
            rest = _respell_relation(f"{type_.name}.{name}", inner, coordinates)
            own = {OWN_KEY: rest.pop(OWN_KEY)} if OWN_KEY in rest else {}
            spelled[name] = {**respell(rest, of, coordinates), **own}
        else:
            spelled[name] = respell(inner, of, coordinates)
    return spelled


def _respell_relation(coordinate: str, value: dict[str, Any], coordinates: set[str]) -> dict[str, Any]:
    own = {name: asked for name, asked in value.items() if name in OPERATORS}
    rest = {"" if name == OWN_KEY else name: asked for name, asked in value.items() if name not in OPERATORS}
    if rest:
        coordinates.add(coordinate + INTO)
    return {**rest, OWN_KEY: own} if own else rest


def _is_relation_filter(name: str, type_: Any) -> bool:
    """Whether an input field leads through a relation; `_and`, `_some` and their like stay where they are."""
    named = get_named_type(type_)
    return not name.startswith("_") and is_input_object_type(named) and named.name.endswith("_filter")


class _Speller(Visitor):
    """Rewrites on leaving a node and collects on entering it, so that nothing synthetic counts as asked for."""

    def __init__(self, info: TypeInfo, document: DocumentNode) -> None:
        super().__init__()
        self.info = info
        self.coordinates: set[str] = set()
        self.errors: list[GraphQLError] = []
        self._field = ""
        self._variables = {
            variable.variable.name.value: _base(variable.type)
            for definition in document.definitions
            if isinstance(definition, OperationDefinitionNode)
            for variable in definition.variable_definitions or ()
        }

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        parent, name = self.info.get_parent_type(), node.name.value
        if node.alias and node.alias.value.startswith("__"):
            self.errors.append(GraphQLError(f'Alias "{node.alias.value}" must not begin with "__".', node))
        if parent is None or name == "__typename":
            return
        self._field = f"{parent.name}.{name}"
        self.coordinates.add(self._field)
        if self._is_relation(parent.name) and node.selection_set:
            self.coordinates.add(self._field + INTO)

    def leave_field(self, node: FieldNode, *_: Any) -> FieldNode | None:
        parent = self.info.get_parent_type()
        if node.selection_set or parent is None or not self._is_relation(parent.name):
            return None
        key = FieldNode(
            alias=NameNode(value=KEY_ALIAS), name=NameNode(value="id"), arguments=(), directives=(), loc=node.loc
        )
        return replace(node, selection_set=SelectionSetNode(selections=(key,), loc=node.loc))

    def _is_relation(self, parent: str) -> bool:
        named = get_named_type(self.info.get_type())
        return parent in COLLECTIONS and is_object_type(named) and named.name in COLLECTIONS

    def enter_argument(self, *_: Any) -> None:
        parent = self.info.get_parent_type()
        if self.info.get_directive() is None and parent is not None and self._is_relation(parent.name):
            self.coordinates.add(self._field + INTO)

    def enter_named_type(self, node: NamedTypeNode, *_: Any) -> None:
        self.coordinates.add(node.name.value)

    def enter_object_field(self, node: ObjectFieldNode, *_: Any) -> None:
        parent, name = get_named_type(self.info.get_parent_input_type()), node.name.value
        if not is_input_object_type(parent) or (name in OPERATORS and name not in parent.fields):
            return
        coordinate = f"{parent.name}.{name}"
        self.coordinates.add(coordinate)
        if (
            name in parent.fields
            and _is_relation_filter(name, parent.fields[name].type)
            and self._goes_into(node.value)
        ):
            self.coordinates.add(coordinate + INTO)

    def _goes_into(self, value: ValueNode) -> bool:
        if isinstance(value, VariableNode):
            return not self._holds_operators(value)
        return isinstance(value, ObjectValueNode) and any(f.name.value not in OPERATORS for f in value.fields)

    def _holds_operators(self, value: VariableNode) -> bool:
        return self._variables.get(value.name.value, "").endswith("_filter_operators")

    def leave_object_field(self, node: ObjectFieldNode, *_: Any) -> ObjectFieldNode | None:
        type_ = self.info.get_input_type()
        if type_ is None:
            return None
        if _is_relation_filter(node.name.value, type_):
            return self._relation_filter(node)
        return self._comma_list(node, type_)

    def _relation_filter(self, node: ObjectFieldNode) -> ObjectFieldNode | None:
        value = node.value
        if isinstance(value, VariableNode) and self._holds_operators(value):
            return replace(node, value=_object([_entry(OWN_KEY, value)]))
        if not isinstance(value, ObjectValueNode):
            return None
        own = [entry for entry in value.fields if entry.name.value in OPERATORS]
        rest = [entry for entry in value.fields if entry.name.value not in OPERATORS]
        return replace(node, value=_object([*rest, _entry(OWN_KEY, _object(own))])) if own else None

    @staticmethod
    def _comma_list(node: ObjectFieldNode, type_: Any) -> ObjectFieldNode | None:
        """`_in: "a,b"` is a list of two, as Directus reads it."""
        value = node.value
        if not is_list_type(type_) or not isinstance(value, StringValueNode) or "," not in value.value:
            return None
        items = tuple(StringValueNode(value=item, loc=value.loc) for item in value.value.split(","))
        return replace(node, value=ListValueNode(values=items, loc=value.loc))


def _object(fields: Iterable[ObjectFieldNode]) -> ObjectValueNode:
    return ObjectValueNode(fields=tuple(fields))


def _entry(name: str, value: ValueNode) -> ObjectFieldNode:
    return ObjectFieldNode(name=NameNode(value=name), value=value, loc=value.loc)


def _base(type_: TypeNode) -> str:
    while not isinstance(type_, NamedTypeNode):
        type_ = type_.type  # type: ignore[attr-defined]  # a list's or a non-null's
    return type_.name.value
