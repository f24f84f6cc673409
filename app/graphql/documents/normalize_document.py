"""Normalization of documents: the forms of a relation become one, and the coordinates of a document are collected.

A relation may be used like its key: selected without sub-fields it returns its key, filtered directly by operators it
filters by its key, and written as a key, or as an object with only a key, it links an existing row.
"""

from collections.abc import Iterable, Iterator
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
from app.query.collection import BUILT_IN
from app.query.filter import RELATION_KEY
from app.query.legacy_fields import LEGACY_FIELD_NAMES
from app.query.operators import OPERATORS
from app.query.payload import RELATED_CHANGE_KEYS

ValueNodeParent = TypeVar("ValueNodeParent", ArgumentNode, ObjectFieldNode)

MUTATION_TYPE = "Mutation"
KEY_ALIAS = "__key"
"""The alias of a sub-field that normalization adds: the relation returns its key."""

WITHOUT_READ_BACK = "()"
"""Suffix of the coordinate of a mutation whose rows are not selected."""

MAX_COMMA_ITEMS = 1_000
"""Maximum number of items of a list that is written as a text with commas."""

HOISTED_PREFIX = "__written"
"""Prefix of the variables that replace literals in a form that the schema does not have."""
KEY_TYPES = ("ID", "String", "Int")
"""The types of variables that may contain a key."""


@dataclass(frozen=True, slots=True)
class HoistedLiteral:
    """A literal that was replaced by a variable: the variable's name and type, and the literal."""

    name: str
    type: TypeNode
    value: ValueNode
    is_relation: bool
    """Whether it is the value of a relation."""


@dataclass(frozen=True, slots=True)
class NormalizedDocument:
    """A document after normalization, the coordinates that it uses, the errors, and the hoisted literals.

    `relation_variables` are the names of the variables whose values are only those of relations.
    """

    document: DocumentNode
    coordinates: frozenset[str]
    errors: tuple[GraphQLError, ...]
    hoisted: tuple[HoistedLiteral, ...] = ()
    relation_variables: frozenset[str] = frozenset()


def normalize_document(schema: GraphQLSchema, document: DocumentNode) -> NormalizedDocument:
    """Normalize a parsed document for a schema; what the schema does not have is left as it is for validation."""
    info = TypeInfo(schema)
    normalizer = _Normalizer(info, document)
    rewritten = visit(document, TypeInfoVisitor(info, normalizer))
    if normalizer.hoisted:
        rewritten = _with_variables(rewritten, normalizer.hoisted)
    return NormalizedDocument(
        rewritten,
        frozenset(normalizer.coordinates),
        tuple(normalizer.errors),
        tuple(normalizer.hoisted),
        frozenset(normalizer.relation_variables - normalizer.row_variables),
    )


def _with_variables(document: DocumentNode, hoisted: Iterable[HoistedLiteral]) -> DocumentNode:
    """Return the document with definitions of the variables that replace literals."""
    added = tuple(
        VariableDefinitionNode(variable=_variable(literal.name), type=literal.type, directives=())
        for literal in hoisted
    )
    definitions = tuple(
        replace(definition, variable_definitions=(*(definition.variable_definitions or ()), *added))
        if isinstance(definition, OperationDefinitionNode)
        else definition
        for definition in document.definitions
    )
    return replace(document, definitions=definitions)


def _variable(name: str) -> VariableNode:
    return VariableNode(name=NameNode(value=name))


class _Normalizer(Visitor):
    """Rewrites nodes on leaving and collects coordinates on entering, so that added nodes are not collected."""

    def __init__(self, info: TypeInfo, document: DocumentNode) -> None:
        super().__init__()
        self.info = info
        self.coordinates: set[str] = set()
        self.errors: list[GraphQLError] = []
        self.hoisted: list[HoistedLiteral] = []
        self.relation_variables: set[str] = set()
        self.row_variables: set[str] = set()
        self._field = ""
        self._variables = {
            variable.variable.name.value: _base_type(variable.type)
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
        if node.selection_set or parent is None or not self._may_omit_selection(parent.name):
            return None
        if parent.name == MUTATION_TYPE:
            self.coordinates.add(f"{parent.name}.{node.name.value}{WITHOUT_READ_BACK}")
        key = FieldNode(
            alias=NameNode(value=KEY_ALIAS), name=NameNode(value="id"), arguments=(), directives=(), loc=node.loc
        )
        return replace(node, selection_set=SelectionSetNode(selections=(key,), loc=node.loc))

    def _may_omit_selection(self, parent: str) -> bool:
        """Return whether a field may be selected without sub-fields: a relation, or a mutation of a collection."""
        return self._is_relation(parent) or (parent == MUTATION_TYPE and self._returns_collection())

    def _returns_collection(self) -> bool:
        named = get_named_type(self.info.get_type())
        return is_object_type(named) and named.name in BUILT_IN

    def _is_relation(self, parent: str) -> bool:
        named = get_named_type(self.info.get_type())
        return parent in BUILT_IN and is_object_type(named) and named.name in BUILT_IN

    def enter_argument(self, node: ArgumentNode, *_: Any) -> ArgumentNode | None:
        parent, type_ = self.info.get_parent_type(), self.info.get_input_type()
        if self.info.get_directive() is None and parent is not None and self._is_relation(parent.name):
            self.coordinates.add(self._field + TRAVERSES)
        if not written_collection(type_):
            return None
        self.row_variables.update(_variable_names(node.value))
        return self._hoist(node, type_, is_relation=False) if self._has_legacy_fields(node.value, type_) else None

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
        if name in parent.fields and is_relation_filter(name, parent.fields[name].type) and self._traverses(node.value):
            self.coordinates.add(coordinate + TRAVERSES)
        return None

    def _written_relation(self, node: ObjectFieldNode, type_: Any, coordinate: str) -> ObjectFieldNode | None:
        self.relation_variables.update(_variable_names(node.value))
        if self._must_hoist(node.value, type_):
            return self._hoist(node, type_, is_relation=True)
        if not isinstance(node.value, NullValueNode):
            self.coordinates.add(coordinate + TRAVERSES)
        return None

    def _traverses(self, value: ValueNode) -> bool:
        if isinstance(value, VariableNode):
            return not self._contains_operators(value)
        return isinstance(value, ObjectValueNode) and any(field.name.value not in OPERATORS for field in value.fields)

    def _contains_operators(self, value: VariableNode) -> bool:
        return self._variables.get(value.name.value, "").endswith("_filter_operators")

    def leave_object_field(self, node: ObjectFieldNode, *_: Any) -> ObjectFieldNode | None:
        type_ = self.info.get_input_type()
        if type_ is None:
            return None
        if is_relation_filter(node.name.value, type_):
            return self._relation_filter(node)
        return self._comma_list(node, type_)

    def _hoist(self, node: ValueNodeParent, type_: Any, *, is_relation: bool) -> ValueNodeParent:
        """Replace a value in a form that the schema does not have by a variable."""
        literal = HoistedLiteral(
            f"{HOISTED_PREFIX}{len(self.hoisted)}", parse_type(str(type_)), node.value, is_relation
        )
        self.hoisted.append(literal)
        return replace(node, value=_variable(literal.name))

    def _must_hoist(self, value: ValueNode, type_: Any) -> bool:
        if isinstance(value, StringValueNode | IntValueNode):
            return True
        if isinstance(value, VariableNode):
            return self._variables.get(value.name.value, "") in KEY_TYPES
        if isinstance(value, ListValueNode):
            return any(self._must_hoist(item, type_) for item in value.values)
        if not isinstance(value, ObjectValueNode):
            return False
        names = {field.name.value for field in value.fields}
        has_changes = is_list_type(get_nullable_type(type_)) and bool(names) and names <= RELATED_CHANGE_KEYS
        return names == {"id"} or has_changes or self._has_legacy_fields(value, type_)

    def _has_legacy_fields(self, value: ValueNode, type_: Any) -> bool:
        if isinstance(value, ListValueNode):
            return any(self._has_legacy_fields(item, type_) for item in value.values)
        legacy_names = LEGACY_FIELD_NAMES.get(written_collection(type_) or "", ())
        return isinstance(value, ObjectValueNode) and any(field.name.value in legacy_names for field in value.fields)

    def _relation_filter(self, node: ObjectFieldNode) -> ObjectFieldNode | None:
        """Return a filter whose operators are moved to the relation's key; None if it has none."""
        value = node.value
        if isinstance(value, VariableNode) and self._contains_operators(value):
            return replace(node, value=_object([_object_field(RELATION_KEY, value)]))
        if not isinstance(value, ObjectValueNode):
            return None
        operators = [entry for entry in value.fields if entry.name.value in OPERATORS]
        rest = [entry for entry in value.fields if entry.name.value not in OPERATORS]
        if not operators:
            return None
        return replace(node, value=_object([*rest, _object_field(RELATION_KEY, _object(operators))]))

    def _comma_list(self, node: ObjectFieldNode, type_: Any) -> ObjectFieldNode | None:
        """Split a string at its commas where a list is expected, as Directus does: `_in: "a,b"` is a list of two."""
        value = node.value
        if not is_list_type(type_) or not isinstance(value, StringValueNode) or "," not in value.value:
            return None
        if value.value.count(",") >= MAX_COMMA_ITEMS:
            message = f"A text can hold a list of at most {MAX_COMMA_ITEMS} items; use a variable with a list."
            self.errors.append(GraphQLError(message, node))
            return None
        items = tuple(StringValueNode(value=item, loc=value.loc) for item in value.value.split(","))
        return replace(node, value=ListValueNode(values=items, loc=value.loc))


def _variable_names(value: ValueNode) -> Iterator[str]:
    """Yield the names of the variables that are a value or an item of it."""
    if isinstance(value, VariableNode):
        yield value.name.value
    for item in value.values if isinstance(value, ListValueNode) else ():
        yield from _variable_names(item)


def _object(fields: Iterable[ObjectFieldNode]) -> ObjectValueNode:
    return ObjectValueNode(fields=tuple(fields))


def _object_field(name: str, value: ValueNode) -> ObjectFieldNode:
    return ObjectFieldNode(name=NameNode(value=name), value=value, loc=value.loc)


def _base_type(type_: TypeNode) -> str:
    while not isinstance(type_, NamedTypeNode):
        type_ = type_.type  # type: ignore[attr-defined]  # the type of a list or a non-null
    return type_.name.value
