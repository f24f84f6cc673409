"""Operations: a document is parsed within limits, normalized and validated, and its coordinates are collected."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    IntValueNode,
    NoUnusedVariablesRule,
    OperationDefinitionNode,
    Visitor,
    get_operation_ast,
    is_list_type,
    is_non_null_type,
    parse,
    specified_rules,
    type_from_ast,
    validate,
    value_from_ast_untyped,
    visit,
)
from graphql.execution.values import get_variable_values
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule

from app.core.bindings import Slot
from app.core.errors import GraphQLValidation
from app.graphql.documents.document_size import MAX_SELECTIONS, check_selections, check_text_size
from app.graphql.documents.normalize_document import HoistedLiteral, normalize_document
from app.graphql.documents.normalize_values import ValueNormalizer

RULES = (*specified_rules, MaybeNullValidationRule)
AS_WRITTEN_RULES = (NoUnusedVariablesRule,)
"""Validation rules for the document as the client wrote it, if literals with variables in them were hoisted."""
NORMALIZED_RULES = tuple(rule for rule in RULES if rule not in AS_WRITTEN_RULES)
MAX_ERRORS = 20
"""Maximum number of validation errors in a response; each may contain suggestions, which take long."""

MAX_DIGITS = 400
"""Maximum number of consecutive digits of a number: more than a double has. Python parses no integer beyond 4,300."""
_DIGITS = re.compile(r"\d+", re.ASCII)


@dataclass(frozen=True)
class Operation:
    """A document compiled for one schema; it can be executed if there are no `errors`."""

    document: DocumentNode
    coordinates: frozenset[str]
    errors: tuple[GraphQLError, ...]
    name: str | None
    hoisted: tuple[HoistedLiteral, ...] = ()
    relation_variables: frozenset[str] = frozenset()
    """The variables whose values are only those of relations, so that they may be keys."""

    @cached_property
    def definition(self) -> OperationDefinitionNode | None:
        """The operation to execute: the one with this name, or without a name the only one; None if there is none."""
        return get_operation_ast(self.document, self.name or None)

    @property
    def missing_definition_message(self) -> str:
        """Why there is no `definition`."""
        if self.name:
            return f'Unknown operation named "{self.name}".'
        operations = any(isinstance(node, OperationDefinitionNode) for node in self.document.definitions)
        several = "Must provide operation name if query contains multiple operations."
        return several if operations else "Must provide an operation."

    @cached_property
    def introspects(self) -> bool:
        """Whether the operation introspects the schema."""
        return bool({"Query.__schema", "Query.__type"} & self.coordinates)

    @cached_property
    def only_introspects(self) -> bool:
        """Whether all root fields introspect the schema, so that no resolver is needed."""
        root_fields = {name for name in self.coordinates if name.startswith("Query.")}
        return root_fields <= {"Query.__schema", "Query.__type"}


def parse_document(
    text: str, max_tokens: int, max_fields: int = MAX_SELECTIONS, *, with_locations: bool = True
) -> DocumentNode:
    """Parse a text. Without locations in the text, the document takes about a third of the memory.

    Raises:
        GraphQLValidation: The text has a syntax error, more than `max_tokens` tokens or comments, is too long, selects
            too much, or contains a number with too many digits.
    """
    check_text_size(text, max_tokens)
    try:
        document = parse(
            text,
            no_location=not with_locations,
            max_lexical_tokens=max_tokens,
            max_comments=max_tokens,
            allow_empty_selection_sets=False,
        )
    except GraphQLSyntaxError as error:
        raise GraphQLValidation([error.formatted]) from None
    check_selections(document, max_fields)
    if len(text) > MAX_DIGITS and _max_digits(text) > MAX_DIGITS:
        visit(document, _NumberChecker())
    return document


def _max_digits(text: str) -> int:
    return max(map(len, _DIGITS.findall(text)), default=0)


class _NumberChecker(Visitor):
    """Raises GraphQLValidation for a number with too many digits; strings may have as many as they like."""

    def enter_int_value(self, node: IntValueNode, *_: Any) -> None:
        if _max_digits(node.value) > MAX_DIGITS:
            raise GraphQLValidation([{"message": f"A number has more than {MAX_DIGITS} consecutive digits."}])

    enter_float_value = enter_int_value


def compile_operation(
    schema: GraphQLSchema, document: DocumentNode, name: str | None, *, suggest: bool = False, max_errors: int = 1
) -> Operation:
    """Compile a document for a schema. There is an error if it is invalid, but validation stops at `max_errors`.

    `suggest` says whether error messages may suggest names that exist.
    """
    normalized = normalize_document(schema, document)
    rules = NORMALIZED_RULES if normalized.hoisted else RULES
    errors = validate(schema, normalized.document, rules, max_errors, hide_suggestions=not suggest)
    if normalized.hoisted:  # hoisting removes uses of variables from the document
        errors += validate(schema, document, AS_WRITTEN_RULES, max_errors, hide_suggestions=not suggest)
    return Operation(
        normalized.document,
        normalized.coordinates,
        (*normalized.errors, *errors),
        name,
        normalized.hoisted,
        normalized.relation_variables,
    )


@dataclass(frozen=True, slots=True)
class Variables:
    """The normalized variables of one request: their values, before and after coercion, coordinates and errors."""

    values: dict[str, Any]
    coerced: dict[str, Any]
    coordinates: frozenset[str]
    errors: tuple[GraphQLError, ...]
    has_deferred: bool = False
    """Whether `coerced` contains deferred parts, which coercion of `values` does not produce."""


def coerce_variables(
    schema: GraphQLSchema, operation: Operation, raw_values: dict[str, Any] | None, *, suggest: bool = True
) -> Variables:
    """Normalize and coerce the values of an operation's variables."""
    values, normalizer = dict(raw_values or {}), ValueNormalizer(schema)
    definitions = (operation.definition.variable_definitions if operation.definition else None) or ()
    values |= _hoisted_values(operation, values)
    relations = {literal.name for literal in operation.hoisted if literal.is_relation}
    for definition in definitions:
        name, type_ = definition.variable.name.value, type_from_ast(schema, definition.type)
        if name in values and type_ is not None:
            is_relation = name in relations or (name in operation.relation_variables and _allows_null(type_))
            normalize = normalizer.normalize_relation if is_relation else normalizer.normalize
            values[name] = normalize(values[name], type_, (name,))  # type: ignore[arg-type]  # validated as input
    result = get_variable_values(schema, definitions, values, hide_suggestions=not suggest)
    errors = [*(result if isinstance(result, list) else ()), *normalizer.errors]
    if isinstance(result, list) or errors:
        return Variables(values, {}, frozenset(normalizer.coordinates), tuple(errors))
    coerced = {
        name: normalizer.restore_deferred(name, _with_slots(values.get(name), value))
        for name, value in result.coerced.items()
    }
    return Variables(values, coerced, frozenset(normalizer.coordinates), (), bool(normalizer.deferred))


def _allows_null(type_: Any) -> bool:
    """Return whether a value and its items may be null, which they are while rows given by their key are deferred."""
    return not is_non_null_type(type_) and (not is_list_type(type_) or _allows_null(type_.of_type))


def _hoisted_values(operation: Operation, values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of the hoisted literals, with the values of the variables in them."""
    if not operation.hoisted:
        return {}
    defaults = {
        definition.variable.name.value: value_from_ast_untyped(definition.default_value)
        for definition in (operation.definition.variable_definitions if operation.definition else None) or ()
        if definition.default_value is not None
    }
    known = {**defaults, **values}
    for literal in operation.hoisted:
        known[literal.name] = value_from_ast_untyped(literal.value, known)
    return {literal.name: known[literal.name] for literal in operation.hoisted}


def _with_slots(raw: Any, coerced: Any) -> Any:
    """Return a coerced value with the Slots of the raw value, because coercion returns plain values."""
    if isinstance(raw, Slot):
        return raw if raw == coerced else coerced
    if isinstance(raw, dict) and isinstance(coerced, dict):
        return {name: _with_slots(raw.get(name), value) for name, value in coerced.items()}
    if isinstance(raw, list) and isinstance(coerced, list) and len(raw) == len(coerced):
        return [_with_slots(*pair) for pair in zip(raw, coerced, strict=True)]
    return coerced
