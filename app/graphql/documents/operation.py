"""From a query's text to an Operation: parsed within limits, spelled one way, validated, its coordinates collected."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    NoUnusedVariablesRule,
    OperationDefinitionNode,
    SelectionSetNode,
    get_operation_ast,
    is_input_object_type,
    parse,
    specified_rules,
    type_from_ast,
    validate,
    value_from_ast_untyped,
)
from graphql.execution.values import get_variable_values
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule

from app.core.bindings import Slot
from app.core.errors import GraphQLValidation
from app.graphql.documents.normalize_document import HoistedLiteral, NormalizedDocument, normalize_document
from app.graphql.documents.normalize_values import ValueNormalizer, written_collection

UNTYPED = (NoUnusedVariablesRule,)
OTHERS = tuple(rule for rule in specified_rules if rule not in UNTYPED)
MOST_FIELDS = 20_000
"""Fields a document may ask for once its fragments are written out."""


@dataclass(frozen=True)
class Operation:
    """A query's text, ready for one schema: to be run, or to be refused for `errors`."""

    document: DocumentNode
    coordinates: frozenset[str]
    errors: tuple[GraphQLError, ...]
    name: str | None
    lifted: tuple[HoistedLiteral, ...] = ()

    @cached_property
    def definition(self) -> OperationDefinitionNode | None:
        """The operation to run, where the document has one of that name, or just one."""
        return get_operation_ast(self.document, self.name or None)

    @cached_property
    def introspects(self) -> bool:
        """Whether the schema itself is asked for."""
        return bool({"Query.__schema", "Query.__type"} & self.coordinates)

    @cached_property
    def only_introspects(self) -> bool:
        """Whether nothing but the schema itself is asked for, so that no resolver is needed."""
        roots = {name for name in self.coordinates if name.startswith("Query.")}
        return roots <= {"Query.__schema", "Query.__type"}


def parse_document(text: str, tokens: int, *, located: bool = True) -> DocumentNode:
    """A query's text -> its document; GraphQLValidation says where it can't be read or is too much.

    One that isn't `located` doesn't know where in the text its parts stood, and takes about a third of the memory.
    """
    try:
        document = parse(
            text,
            no_location=not located,
            max_lexical_tokens=tokens,
            max_comments=tokens,
            allow_empty_selection_sets=False,
        )
    except GraphQLSyntaxError as error:
        raise GraphQLValidation([error.formatted]) from None
    if _size(document) > MOST_FIELDS:
        raise GraphQLValidation([{"message": f"The query asks for more than {MOST_FIELDS} fields."}])
    return document


def compile_operation(
    schema: GraphQLSchema, document: DocumentNode, name: str | None, *, suggest: bool = True
) -> Operation:
    """A document -> what it is on a schema; `suggest` says whether its errors may name what is there instead."""
    spelled: NormalizedDocument = normalize_document(schema, document)
    found = validate(schema, spelled.document, OTHERS if spelled.lifted else None, hide_suggestions=not suggest)
    if spelled.lifted:  # which variables are used is a question of what the client wrote
        found += validate(schema, document, UNTYPED, hide_suggestions=not suggest)
    found += validate(schema, spelled.document, [MaybeNullValidationRule])
    return Operation(spelled.document, spelled.coordinates, (*spelled.errors, *found), name, spelled.lifted)


@dataclass(frozen=True, slots=True)
class Variables:
    """The variables of one request, spelled one way: their values, what they touch, and what is wrong with them."""

    values: dict[str, Any]
    coerced: dict[str, Any]
    coordinates: frozenset[str]
    errors: tuple[GraphQLError, ...]
    fixed: bool = False
    """Whether `coerced` holds what no coercion of `values` would give."""


def coerce_variables(
    schema: GraphQLSchema, operation: Operation, given: dict[str, Any] | None, *, suggest: bool = True
) -> Variables:
    """The values a request gives for an operation's variables, checked against their types."""
    values, respelling = dict(given or {}), ValueNormalizer(schema)
    definitions = (operation.definition.variable_definitions if operation.definition else None) or ()
    values |= _lifted_values(operation, values)
    relations = {lifted.name for lifted in operation.lifted if lifted.relation}
    for definition in definitions:
        name, type_ = definition.variable.name.value, type_from_ast(schema, definition.type)
        if name in values and type_ is not None:
            spell = respelling.relation if name in relations or _may_link(type_) else respelling.value
            values[name] = spell(values[name], type_, (name,))  # type: ignore[arg-type]  # validated as input
    found = get_variable_values(schema, definitions, values, hide_suggestions=not suggest)
    errors = [*(found if isinstance(found, list) else ()), *respelling.errors]
    if isinstance(found, list) or errors:
        return Variables(values, {}, frozenset(respelling.coordinates), tuple(errors))
    coerced = {
        name: respelling.put_back(name, _with_slots(values.get(name), value)) for name, value in found.coerced.items()
    }
    return Variables(values, coerced, frozenset(respelling.coordinates), (), bool(respelling.fixes))


def _may_link(type_: Any) -> bool:
    """Whether a variable of this type stands only where rows are pointed at: what is written has to be there itself."""
    return is_input_object_type(type_) and written_collection(type_) is not None


def _lifted_values(operation: Operation, given: dict[str, Any]) -> dict[str, Any]:
    """What the literals that were made variables hold, with the values of the variables within them."""
    if not operation.lifted:
        return {}
    defaults = {
        definition.variable.name.value: value_from_ast_untyped(definition.default_value)
        for definition in (operation.definition.variable_definitions if operation.definition else None) or ()
        if definition.default_value is not None
    }
    known = {**defaults, **given}
    for lifted in operation.lifted:
        known[lifted.name] = value_from_ast_untyped(lifted.value, known)
    return {lifted.name: known[lifted.name] for lifted in operation.lifted}


def _with_slots(given: Any, coerced: Any) -> Any:
    """A coerced value with the Slots that were in it before: coercion gives back plain values."""
    if isinstance(given, Slot):
        return given if given == coerced else coerced
    if isinstance(given, dict) and isinstance(coerced, dict):
        return {name: _with_slots(given.get(name), value) for name, value in coerced.items()}
    if isinstance(given, list) and isinstance(coerced, list) and len(given) == len(coerced):
        return [_with_slots(*pair) for pair in zip(given, coerced, strict=True)]
    return coerced


def _size(document: DocumentNode) -> int:
    """The number of fields once every fragment is written out where it is spread."""
    fragments = {
        definition.name.value: definition
        for definition in document.definitions
        if isinstance(definition, FragmentDefinitionNode)
    }
    known: dict[str, int] = {}

    def of(selections: SelectionSetNode | None) -> int:
        return sum(map(one, selections.selections)) if selections else 0

    def one(node: Any) -> int:
        if isinstance(node, FieldNode):
            return 1 + of(node.selection_set)
        return spread(node.name.value) if isinstance(node, FragmentSpreadNode) else of(node.selection_set)

    def spread(name: str) -> int:
        if name not in known:
            known[name] = 0  # a cycle ends here; validation refuses it
            known[name] = of(fragments[name].selection_set) if name in fragments else 0
        return known[name]

    return sum(
        of(definition.selection_set)
        for definition in document.definitions
        if isinstance(definition, OperationDefinitionNode)
    )
