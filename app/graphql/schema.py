"""The Strawberry schema, shared by all callers, and its execution under the visibility of one caller."""

import threading
from collections.abc import AsyncIterator, Callable, Hashable, Iterable
from functools import cached_property, lru_cache, partial
from typing import Any

import orjson
import strawberry
import structlog
from graphql import DocumentNode, GraphQLError, GraphQLSchema, execute
from graphql import ExecutionResult as CoreResult
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.types import ExecutionResult
from strawberry.types.execution import ExecutionContext
from strawberry.types.graphql import OperationType
from strawberry.utils.await_maybe import await_maybe

from app.core.cache import LRUCache, entry_weight
from app.core.computing import compute_in_thread
from app.core.errors import (
    SCHEMA_CHANGED,
    Forbidden,
    InvalidCredentials,
    ReadOnlyToken,
    RollcallError,
    SchemaChanged,
    ServiceUnavailable,
    TwoFactorSetupRequired,
)
from app.graphql.documents.operation import (
    MAX_ERRORS,
    Operation,
    Variables,
    coerce_variables,
    compile_operation,
    parse_document,
)
from app.graphql.documents.read_only import writes
from app.graphql.documents.sensitive import check_single_sensitive, holds_mutations
from app.graphql.documents.tfa_enrollment import requires_completed_tfa
from app.graphql.fields.access import access_queries, define_access_types
from app.graphql.fields.account import (
    account_mutations,
    define_account_types,
    extension_mutations,
    extension_queries,
    invite_mutations,
)
from app.graphql.fields.api_tokens import api_token_mutations, api_token_queries, define_api_token_types
from app.graphql.fields.descriptions import define_schema_types, schema_queries
from app.graphql.fields.extension_fields import extension_root_fields
from app.graphql.fields.mutations import define_mutation_types, mutations
from app.graphql.fields.passkeys import define_passkey_types, passkey_mutations, passkey_queries
from app.graphql.fields.queries import FinishedValue, GraphQLContext, StaleAccess, queries
from app.graphql.fields.schema_changes import define_schema_change_types, schema_mutations
from app.graphql.fields.server import WebSocketFeatures, define_server_types, server_queries
from app.graphql.fields.simulations import define_simulation_types, simulation_mutations
from app.graphql.fields.subscription_fields import subscriptions
from app.graphql.plans.cache import PlanCache
from app.graphql.types.builder import TypeBuilder
from app.graphql.types.scalars import SCALARS
from app.graphql.visibility.caller_schema import CallerSchema, caller_schema, caller_schema_for
from app.policy.root_fields import RootField
from app.policy.rules import Access
from app.policy.visibility import admin_visibility
from app.query.collection import BUILT_IN, Registry
from app.repositories.directory import Directory
from app.repositories.engine.reading import MAX_READ_ATTEMPTS
from app.repositories.services import Services

MAX_INTROSPECTIONS, MAX_INTROSPECTION_BYTES = 2_000, 1_000_000
"""Maximum total weight of the cached introspections, and maximum length of one with its request."""

introspection_cache: LRUCache[Hashable, CoreResult] = LRUCache(MAX_INTROSPECTIONS)
"""Results of introspection, by caller schema, text, operation name and variables."""

log = structlog.get_logger(__name__)

EXPECTED_ERRORS = (RollcallError, GraphQLError, SchemaChanged)
"""What fields may raise: it is part of the response or, if the directory's fields have changed, answered again."""


class FinishedValueExecutor(StrawberryGraphQLCoreExecutionContext):
    """graphql-core's executor, which returns finished values without completing their sub-fields.

    It also uses the coerced variables of the context: these may contain forms of written rows that the schema lacks.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if isinstance(self.context_value, GraphQLContext):
            self.variable_values.coerced.update(self.context_value.coerced_variables)

    def complete_value(
        self, return_type: Any, details: Any, info: Any, path: Any, result: Any, position_context: Any
    ) -> Any:
        if isinstance(result, FinishedValue):
            if result.value is not None:
                return result.value
            result = None
        return super().complete_value(return_type, details, info, path, result, position_context)


class VisibilityExtension(SchemaExtension):
    """Validates a document against what its caller may see.

    A document is validated with the full schema, and its coordinates are compared with the visible ones. Only if this
    fails, or for introspection, is the caller's own schema built: its validation errors describe what the caller may
    not see like what does not exist. A caller that must set up two-factor authentication first, or whose API token is
    read-only, gets that error, whatever else is wrong.
    """

    execution_context: ExecutionContext
    _operation: Operation
    _caller_schema: CallerSchema
    _access: Access

    async def on_parse(self) -> AsyncIterator[None]:
        """Parse and compile the text, within the size limits of a query."""
        context = self.execution_context
        directory = context.context
        self._document, self._operation = await directory.services.planning.run(directory.owner, self._compile)
        if self._operation.definition is None:
            raise GraphQLError(self._operation.missing_definition_message)
        context.graphql_document = self._operation.document
        yield

    async def on_validate(self) -> AsyncIterator[None]:
        """Validate the document and the variables against what the caller may see."""
        context = self.execution_context
        schema: Any = context.schema
        directory = context.context
        access = await directory.access()
        raw_values = None if self._operation.errors else context.variables  # nothing is executed with errors
        variables = coerce_variables(schema.graphql, self._operation, raw_values)
        self._set_access(schema, directory, access)
        if self._operation.introspects or self._is_rejected(variables):
            access = await directory.revalidate(access)
            self._set_access(schema, directory, access)
        context.pre_execution_errors = check_single_sensitive(self._operation)
        if self._is_rejected(variables):
            work = partial(self._errors, context.variables)
            context.pre_execution_errors = await directory.services.planning.run(access.owner, work)
        context.variables = variables.values
        size = directory.services.limits.size_counter()
        context.context = GraphQLContext(directory, access, size, variables.coerced if variables.has_deferred else {})
        yield

    async def on_execute(self) -> AsyncIterator[None]:
        """Execute introspection on the caller's own schema."""
        context = self.execution_context
        if self._operation.introspects:
            context.result = await self._introspect(context)
        yield

    def _compile(self) -> tuple[DocumentNode, Operation]:
        context = self.execution_context
        schema: Any = context.schema
        limits = context.context.services.limits
        document = parse_document(context.query or "", limits.max_tokens, limits.size.fields)
        return document, compile_operation(schema.graphql, document, context.operation_name)

    def _set_access(self, schema: Any, directory: Directory, access: Access) -> None:
        directory.services.access_cache.require_current_schema()
        self._access = access
        self._caller_schema = caller_schema_for(schema.graphql, access, directory.services.limits)

    def _is_rejected(self, variables: Variables) -> bool:
        coordinates = self._operation.coordinates | variables.coordinates
        invalid = bool(self._operation.errors or variables.errors) or not self._caller_schema.allows(coordinates)
        return invalid or self._refusal() is not None

    def _refusal(self) -> Forbidden | None:
        """Return why the caller may not execute the document whatever it may see; None if there is no such reason."""
        if self._access.tfa_setup_required and requires_completed_tfa(self._operation):
            return TwoFactorSetupRequired()
        return ReadOnlyToken() if self._access.read_only and writes(self._operation) else None

    def _errors(self, raw_values: dict[str, Any] | None) -> list[GraphQLError]:
        """Return why the document or its variables are rejected, as the caller's own schema words it."""
        if (error := self._refusal()) is not None:
            return [GraphQLError(error.text, original_error=error)]
        visible, suggest = self._caller_schema.schema, self._caller_schema.introspection
        name = self.execution_context.operation_name
        operation = compile_operation(visible, self._document, name, suggest=suggest, max_errors=MAX_ERRORS)
        if operation.errors:
            return list(operation.errors)
        if not suggest and self._operation.introspects:
            return [GraphQLError("GraphQL introspection is not allowed, but the query contained __schema or __type.")]
        errors = coerce_variables(visible, operation, raw_values, suggest=suggest).errors
        return list(errors) or [GraphQLError("The query asks for something that does not exist.")]

    def _compile_introspection(self) -> Operation:
        return compile_operation(self._caller_schema.schema, self._document, self.execution_context.operation_name)

    async def _introspect(self, context: ExecutionContext) -> CoreResult:
        planning = context.context.directory.services.planning
        operation = await planning.run(self._access.owner, self._compile_introspection)
        run: Callable[[], Any] = partial(
            execute,
            self._caller_schema.introspection_schema,
            operation.document,
            variable_values=context.variables,
            operation_name=context.operation_name,
            context_value=context.context,
            executor_class=FinishedValueExecutor,
        )
        if not operation.only_introspects or holds_mutations(self._document):
            result: CoreResult = await await_maybe(run())
            return result
        request = (context.query or "", context.operation_name or "", repr(context.variables))
        cached = introspection_cache.get((self._caller_schema, *request), None)
        if cached is not None:
            return cached
        # Introspecting the whole schema takes 0.1 s, during which the event loop must serve other requests.
        introspected: CoreResult = await compute_in_thread(run)
        length = sum(map(len, request)) + len(orjson.dumps(introspected.data))
        if length <= MAX_INTROSPECTION_BYTES:
            introspection_cache.set((self._caller_schema, *request), introspected, entry_weight(length))
        return introspected


class RollcallSchema(strawberry.Schema):
    """A Strawberry schema whose `execute` takes a Directory as `context_value`."""

    @property
    def graphql(self) -> GraphQLSchema:
        """The full graphql-core schema, independent of any caller."""
        return self._schema

    @cached_property
    def plans(self) -> PlanCache:
        """The plans of requests seen before."""
        return PlanCache(self._schema)

    async def execute(
        self,
        query: str | None,
        variable_values: dict[str, Any] | None = None,
        context_value: Any = None,
        root_value: Any = None,
        operation_name: str | None = None,
        allowed_operation_types: Iterable[OperationType] | None = None,
        operation_extensions: dict[str, Any] | None = None,
    ) -> ExecutionResult:
        """Execute a request from its plan, or in full if there is no plan for it."""
        allowed = tuple(allowed_operation_types) if allowed_operation_types is not None else None
        allow_mutations = allowed is None or OperationType.MUTATION in allowed
        response = await self.execute_planned(
            context_value, query, variable_values, operation_name, allow_mutations=allow_mutations
        )
        if response is not None:
            return ExecutionResult(orjson.loads(response)["data"], None)
        request = (query, variable_values, context_value, root_value, operation_name)
        return await self.execute_full(*request, allowed, operation_extensions)

    async def execute_planned(
        self,
        directory: Directory,
        query: str | None,
        variables: dict[str, Any] | None,
        name: str | None,
        *,
        allow_mutations: bool = False,
    ) -> bytes | None:
        """Execute a request from its plan and return the response as JSON; None if it takes the full execution."""
        try:
            if not query:
                return None
            return await self.plans.execute(directory, query, variables, name, allow_mutations=allow_mutations)
        except InvalidCredentials:
            return None

    async def execute_full(self, *args: Any, **kwargs: Any) -> ExecutionResult:
        """Execute a request with Strawberry, without plans. The parameters are those of `execute`.

        If the caller's access changes meanwhile, the request is validated and executed again with the new one.
        """
        for _ in range(MAX_READ_ATTEMPTS):
            result = await super().execute(*args, **kwargs)
            originals = [error.original_error for error in result.errors or ()]
            if any(isinstance(error, SchemaChanged) for error in originals) and not any((result.data or {}).values()):
                raise SchemaChanged  # nothing was written: the request can be parsed again
            for error in result.errors or ():
                if isinstance(error.original_error, SchemaChanged):
                    error.original_error = ServiceUnavailable(SCHEMA_CHANGED)
            if not any(isinstance(error, StaleAccess) for error in originals):
                break
        return result

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Log unexpected exceptions, without what the client sent."""
        for error in errors:
            original = error.original_error
            if original is not None and not isinstance(original, EXPECTED_ERRORS):
                log.error("resolver_failed", path=error.path, exc_info=original)


def build_schema(
    registry: Registry = BUILT_IN, root_fields: tuple[RootField, ...] = (), websocket: WebSocketFeatures | None = None
) -> RollcallSchema:
    """Build the schema of all types and root fields for the collections of a registry, with those of extensions."""
    with TypeBuilder(registry) as types:
        types.define_collection_types()
        define_server_types(types, websocket)
        define_schema_types(types)
        define_account_types(types)
        define_access_types(types)
        define_api_token_types(types)
        define_passkey_types(types)
        define_simulation_types(types)
        built_in = (
            server_queries,
            schema_queries,
            queries,
            extension_queries,
            access_queries,
            api_token_queries,
            passkey_queries,
        )
        own_queries = (field for fields in built_in for field in fields(types))
        types.define_type("Query", (*own_queries, *extension_root_fields(root_fields, "Query")))
        define_mutation_types(types)
        define_schema_change_types(types)
        update_me, *collection_mutations = mutations(types)
        accounts = (*account_mutations(types), *schema_mutations(types), update_me, *invite_mutations(types))
        additions = (extension_mutations, simulation_mutations, api_token_mutations, passkey_mutations)
        added = (field for fields in additions for field in fields(types))
        own_mutations = (*accounts, *collection_mutations, *added)
        types.define_type("Mutation", (*own_mutations, *extension_root_fields(root_fields, "Mutation")))
        types.define_type("Subscription", subscriptions(types))
        return RollcallSchema(
            types.get_type("Query"),
            types.get_type("Mutation"),
            types.get_type("Subscription"),
            extensions=[VisibilityExtension],
            execution_context_class=FinishedValueExecutor,
            config=StrawberryConfig(auto_camel_case=False, scalar_map=SCALARS),
        )


def schema_for(
    registry: Registry, root_fields: tuple[RootField, ...] = (), websocket: WebSocketFeatures | None = None
) -> RollcallSchema:
    """Return the schema of a registry, with the root fields of extensions. Building one takes half a second."""
    return _cached_schema(registry, root_fields, websocket)


def schema_of(services: Services) -> RollcallSchema:
    """Return the schema that a server with these services serves."""
    return schema_for(services.registry, services.root_fields, WebSocketFeatures.of(services.settings))


_building = threading.Lock()
"""Strawberry parses annotations with `ast`, which CPython 3.11 can't do in two threads at once (gh-106905)."""


@lru_cache(maxsize=8)
def _cached_schema(
    registry: Registry, root_fields: tuple[RootField, ...], websocket: WebSocketFeatures | None
) -> RollcallSchema:
    with _building:
        return build_schema(registry, root_fields, websocket)


schema = schema_for(BUILT_IN)
"""The schema of a database without custom fields."""


def printed_schema() -> str:
    """Return the SDL that an admin sees of a database without custom fields."""
    return caller_schema(schema.graphql, admin_visibility(BUILT_IN)).sdl
