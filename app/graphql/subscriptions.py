"""Prepares a GraphQL subscription: from its document to the query of a live view, and from a change to its result."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from graphql import FieldNode, FragmentDefinitionNode, GraphQLError, OperationType
from graphql.execution.values import get_argument_values, get_variable_values

from app.core.errors import GraphQLValidation, TwoFactorSetupRequired
from app.graphql.documents.operation import MAX_ERRORS, Operation, coerce_variables, compile_operation, parse_document
from app.graphql.documents.selection import Selection
from app.graphql.schema import RollcallSchema
from app.graphql.types.builder import mutated_type
from app.graphql.visibility.caller_schema import CallerSchema, caller_schema_for
from app.policy.rules import Access
from app.query.collection import Collection
from app.query.read import FieldSelection, Read, Selected
from app.query.results import Row
from app.repositories.services import Services

NO_SUBSCRIPTION = "Only subscriptions are served here; send queries and mutations by HTTP"
SEPARATOR = "."
"""Between the response key of a `data` field and that of a value in it; no response key contains it."""


@dataclass(frozen=True, slots=True)
class PreparedSubscription:
    """A subscription that its caller may make: `build` returns its query for the caller's access at a moment.

    `event` is the only action that it is about; None for all.
    """

    collection: Collection
    event: str | None
    build: Callable[[Access], Read]
    result: Callable[[str, Any, Row | None], dict[str, Any]]
    """Returns the result of an action, the key of the row and what the query shows of it."""
    result_format: Hashable
    """What decides how a result is built: subscriptions to one view with equal ones have the same results."""


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """A document with its variables and the name of the operation in it."""

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = None


def prepare_subscription(
    schema: RollcallSchema, request: GraphQLRequest, access: Access, services: Services
) -> PreparedSubscription:
    """Return a subscription, validated against what its caller may see.

    Raises:
        GraphQLValidation: The document is invalid, or no subscription.
        InvalidQuery: It selects too much.
        TwoFactorSetupRequired: The caller must set up two-factor authentication first.
    """
    if access.tfa_setup_required:
        raise TwoFactorSetupRequired
    try:
        operation = _validated(schema, request, access, services)
    except GraphQLError as error:
        raise _validation_error([error]) from None
    return _Preparation(schema, operation, request, services).prepare()


def _validated(schema: RollcallSchema, request: GraphQLRequest, access: Access, services: Services) -> Operation:
    limits, full = services.limits, schema.graphql
    document = parse_document(request.query, limits.max_tokens, limits.size.fields)
    operation = compile_operation(full, document, request.operation_name)
    if operation.definition is None:
        raise GraphQLError(operation.missing_definition_message)
    if operation.definition.operation is not OperationType.SUBSCRIPTION:
        raise GraphQLError(NO_SUBSCRIPTION)
    variables = coerce_variables(full, operation, request.variables)
    caller_schema = caller_schema_for(full, access, limits)
    if operation.errors or variables.errors or not caller_schema.allows(operation.coordinates | variables.coordinates):
        raise _rejection(caller_schema, document, request)
    return operation


def _rejection(caller_schema: CallerSchema, document: Any, request: GraphQLRequest) -> GraphQLValidation:
    """Return why a document is rejected, as the caller's own schema words it."""
    visible, suggest = caller_schema.schema, caller_schema.introspection
    operation = compile_operation(visible, document, request.operation_name, suggest=suggest, max_errors=MAX_ERRORS)
    errors = operation.errors or coerce_variables(visible, operation, request.variables, suggest=suggest).errors
    return _validation_error(errors or [GraphQLError("The subscription asks for something that does not exist.")])


def _validation_error(errors: Sequence[GraphQLError]) -> GraphQLValidation:
    return GraphQLValidation([_entry(error) for error in errors])


def _entry(error: GraphQLError) -> dict[str, Any]:
    locations = [position.formatted for position in error.locations or ()]
    return {"message": error.message, **({"locations": locations} if locations else {})}


def read_visible(collection: Collection, access: Access) -> Read:
    """Return the query of a subscription to no data, which is about every change that its caller could see."""
    fields = sorted(access.fields("read", collection), key=lambda field: field.name)
    return Read(collection, tuple(FieldSelection(field.name, field) for field in fields if not field.many))


class _Preparation:
    """The parts of one valid document."""

    def __init__(
        self, schema: RollcallSchema, operation: Operation, request: GraphQLRequest, services: Services
    ) -> None:
        self._schema, self._services, self._operation = schema, services, operation
        values = coerce_variables(schema.graphql, operation, request.variables).values
        definitions = (operation.definition.variable_definitions if operation.definition else None) or ()
        coerced: Any = get_variable_values(schema.graphql, definitions, values)
        self._variables = coerced
        fragments = {
            node.name.value: node for node in operation.document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        # The values are plain, without slots: a live query is compiled for them.
        limits = services.limits
        self._selection = Selection(schema.graphql, fragments, coerced.coerced, limits, limits.size_counter())

    def prepare(self) -> PreparedSubscription:
        (root, nodes), *_ = self._selection.collect([self._operation.definition]).items()
        name = nodes[0].name.value
        root_type: Any = self._schema.graphql.subscription_type
        collection = next(
            collection for collection in self._services.registry.values() if mutated_type(collection) == name
        )
        event = get_argument_values(root_type.fields[name], nodes[0], self._variables).get("event")
        members = self._selection.collect(nodes)
        read = self._read(collection, members)
        return PreparedSubscription(
            collection,
            getattr(event, "value", event),
            (lambda _: read) if read else (lambda access: read_visible(collection, access)),
            lambda action, key, row: {root: _result(name, members, action, key, row)},
            (root, name, *((alias, nodes[0].name.value) for alias, nodes in members.items())),
        )

    def _read(self, collection: Collection, members: Mapping[str, list[FieldNode]]) -> Read | None:
        """Return the query of all `data` fields, whose response keys are put before those of their values."""
        selected: list[Selected] = []
        read: Read | None = None
        for alias, nodes in members.items():
            if nodes[0].name.value == "data":
                read = self._selection.read(collection, nodes, {})
                selected += [replace(item, key=f"{alias}{SEPARATOR}{item.key}") for item in read.select]
        return replace(read, select=tuple(selected), limit=None) if read else None


def _result(
    type_name: str, members: Mapping[str, list[FieldNode]], action: str, key: Any, row: Row | None
) -> dict[str, Any]:
    values = {"key": str(key), "event": action, "__typename": type_name}
    return {
        alias: _data(alias, row) if nodes[0].name.value == "data" else values[nodes[0].name.value]
        for alias, nodes in members.items()
    }


def _data(alias: str, row: Row | None) -> dict[str, Any] | None:
    if row is None:
        return None
    prefix = f"{alias}{SEPARATOR}"
    return {name.removeprefix(prefix): value for name, value in row.items() if name.startswith(prefix)}
