"""One normalising pass: the three spellings of a relation become one, and what a document touches is collected.

Selected without sub-fields a relation answers its key; filtered with operators directly it filters its key; written as
a key, or as an object with nothing but one, it links.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    IntValueNode,
    ListValueNode,
    NamedTypeNode,
    NameNode,
    NullValueNode,
    ObjectFieldNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    TypeInfo,
    TypeInfoVisitor,
    TypeNode,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    get_named_type,
    get_nullable_type,
    is_input_object_type,
    is_list_type,
    is_object_type,
    parse_type,
    visit,
)

from app.graphql.documents.normalize_values import TRAVERSES, is_relation_filter, written_collection
from app.query.collection import COLLECTIONS
from app.query.filter import RELATION_KEY
from app.query.legacy_fields import LEGACY_FIELD_NAMES
from app.query.operators import OPERATORS
from app.query.payload import RELATED_CHANGE_KEYS

Written = TypeVar("Written", ArgumentNode, ObjectFieldNode)

MUTATION = "Mutation"
KEY_ALIAS = "__key"
"""Marks a sub-selection that the pass put in: the relation answers its key."""

WITHOUT_READ_BACK = "()"
"""Ends the coordinate of a mutation of which nothing is read back."""

LIFTED = "__written"
"""Begins the name of a variable that stands for a literal which the schema has no spelling for."""
KEYS = ("ID", "String", "Int")
"""The types of variables that hold a key."""


@dataclass(frozen=True, slots=True)
class HoistedLiteral:
    """A literal that was made a variable: its name, its type, and what stood there."""

    name: str
    type: TypeNode
    value: ValueNode
    relation: bool
    """Whether it stood where rows are pointed at."""


@dataclass(frozen=True, slots=True)
class NormalizedDocument:
    """A document after the pass, the coordinates it touches, and what can't be spelled like that.

    `lifted` are literals that became variables.
    """

    document: DocumentNode
    coordinates: frozenset[str]
    errors: tuple[GraphQLError, ...]
    lifted: tuple[HoistedLiteral, ...] = ()


def normalize_document(schema: GraphQLSchema, document: DocumentNode) -> NormalizedDocument:
    """Rewrites a parsed document for a schema; what the schema doesn't know is left for validation to refuse."""
    info = TypeInfo(schema)
    speller = _Normalizer(info, document)
    rewritten = visit(document, TypeInfoVisitor(info, speller))
    if speller.lifted:
        rewritten = _with_variables(rewritten, speller.lifted)
    return NormalizedDocument(rewritten, frozenset(speller.coordinates), tuple(speller.errors), tuple(speller.lifted))


def _with_variables(document: DocumentNode, lifted: Iterable[HoistedLiteral]) -> DocumentNode:
    """The document with a definition of each variable that stands for a literal."""
    more = tuple(VariableDefinitionNode(variable=_variable(one.name), type=one.type, directives=()) for one in lifted)
    definitions = tuple(
        replace(definition, variable_definitions=(*(definition.variable_definitions or ()), *more))
        if isinstance(definition, OperationDefinitionNode)
        else definition
        for definition in document.definitions
    )
    return replace(document, definitions=definitions)


def _variable(name: str) -> VariableNode:
    return VariableNode(name=NameNode(value=name))


class _Normalizer(Visitor):
    """Rewrites on leaving a node and collects on entering it, so that nothing synthetic counts as asked for."""

    def __init__(self, info: TypeInfo, document: DocumentNode) -> None:
        super().__init__()
        self.info = info
        self.coordinates: set[str] = set()
        self.errors: list[GraphQLError] = []
        self.lifted: list[HoistedLiteral] = []
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
            self.coordinates.add(self._field + TRAVERSES)

    def leave_field(self, node: FieldNode, *_: Any) -> FieldNode | None:
        parent = self.info.get_parent_type()
        if node.selection_set or parent is None or not self._may_be_bare(parent.name):
            return None
        if parent.name == MUTATION:
            self.coordinates.add(f"{parent.name}.{node.name.value}{WITHOUT_READ_BACK}")
        key = FieldNode(
            alias=NameNode(value=KEY_ALIAS), name=NameNode(value="id"), arguments=(), directives=(), loc=node.loc
        )
        return replace(node, selection_set=SelectionSetNode(selections=(key,), loc=node.loc))

    def _may_be_bare(self, parent: str) -> bool:
        """Whether a field may be selected without sub-fields: a relation, or what is written and not read back."""
        return self._is_relation(parent) or (parent == MUTATION and self._named_collection())

    def _named_collection(self) -> bool:
        named = get_named_type(self.info.get_type())
        return is_object_type(named) and named.name in COLLECTIONS

    def _is_relation(self, parent: str) -> bool:
        named = get_named_type(self.info.get_type())
        return parent in COLLECTIONS and is_object_type(named) and named.name in COLLECTIONS

    def enter_argument(self, node: ArgumentNode, *_: Any) -> ArgumentNode | None:
        parent, type_ = self.info.get_parent_type(), self.info.get_input_type()
        if self.info.get_directive() is None and parent is not None and self._is_relation(parent.name):
            self.coordinates.add(self._field + TRAVERSES)
        if written_collection(type_) and self._has_shorthand(node.value, type_):
            return self._lift(node, type_, relation=False)
        return None

    def enter_named_type(self, node: NamedTypeNode, *_: Any) -> None:
        self.coordinates.add(node.name.value)

    def enter_object_field(self, node: ObjectFieldNode, *_: Any) -> ObjectFieldNode | None:
        parent, name = get_named_type(self.info.get_parent_input_type()), node.name.value
        if not is_input_object_type(parent) or (name in OPERATORS and name not in parent.fields):
            return None
        coordinate = f"{parent.name}.{name}"
        self.coordinates.add(coordinate)
        if name in parent.fields and written_collection(parent.fields[name].type):
            return self._written_relation(node, parent.fields[name].type, coordinate)
        if name in parent.fields and is_relation_filter(name, parent.fields[name].type) and self._goes_into(node.value):
            self.coordinates.add(coordinate + TRAVERSES)
        return None

    def _written_relation(self, node: ObjectFieldNode, type_: Any, coordinate: str) -> ObjectFieldNode | None:
        if self._is_lifted(node.value, type_):
            return self._lift(node, type_, relation=True)
        if not isinstance(node.value, NullValueNode):
            self.coordinates.add(coordinate + TRAVERSES)
        return None

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
        if is_relation_filter(node.name.value, type_):
            return self._relation_filter(node)
        return self._comma_list(node, type_)

    def _lift(self, node: Written, type_: Any, *, relation: bool) -> Written:
        """What is written in a way that the schema doesn't print becomes a variable."""
        lifted = HoistedLiteral(f"{LIFTED}{len(self.lifted)}", parse_type(str(type_)), node.value, relation)
        self.lifted.append(lifted)
        return replace(node, value=_variable(lifted.name))

    def _is_lifted(self, value: ValueNode, type_: Any) -> bool:
        if isinstance(value, StringValueNode | IntValueNode):
            return True
        if isinstance(value, VariableNode):
            return self._variables.get(value.name.value, "") in KEYS
        if isinstance(value, ListValueNode):
            return any(self._is_lifted(item, type_) for item in value.values)
        if not isinstance(value, ObjectValueNode):
            return False
        names = {field.name.value for field in value.fields}
        detailed = is_list_type(get_nullable_type(type_)) and bool(names) and names <= RELATED_CHANGE_KEYS
        return names == {"id"} or detailed or self._has_shorthand(value, type_)

    def _has_shorthand(self, value: ValueNode, type_: Any) -> bool:
        if isinstance(value, ListValueNode):
            return any(self._has_shorthand(item, type_) for item in value.values)
        told = LEGACY_FIELD_NAMES.get(written_collection(type_) or "", ())
        return isinstance(value, ObjectValueNode) and any(field.name.value in told for field in value.fields)

    def _relation_filter(self, node: ObjectFieldNode) -> ObjectFieldNode | None:
        value = node.value
        if isinstance(value, VariableNode) and self._holds_operators(value):
            return replace(node, value=_object([_entry(RELATION_KEY, value)]))
        if not isinstance(value, ObjectValueNode):
            return None
        own = [entry for entry in value.fields if entry.name.value in OPERATORS]
        rest = [entry for entry in value.fields if entry.name.value not in OPERATORS]
        return replace(node, value=_object([*rest, _entry(RELATION_KEY, _object(own))])) if own else None

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
