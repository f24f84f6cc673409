"""The schema: one Strawberry schema for everybody, with each caller's overlay on it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable, Iterable
from functools import cached_property, partial
from typing import Any

import orjson
import strawberry
import structlog
from graphql import ExecutionResult as CoreResult
from graphql import GraphQLError, GraphQLSchema, execute
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.types import ExecutionResult
from strawberry.types.execution import ExecutionContext
from strawberry.types.graphql import OperationType
from strawberry.utils.await_maybe import await_maybe

from app.core.cache import LRUCache, entry_weight
from app.core.errors import InvalidCredentials, RollcallError, TwoFactorSetupRequired
from app.graphql.documents.operation import Operation, Variables, coerce_variables, compile_operation, parse_document
from app.graphql.documents.sensitive import check_single_sensitive, holds_mutations
from app.graphql.documents.tfa_enrollment import requires_completed_tfa
from app.graphql.fields.account import (
    account_mutations,
    extension_mutations,
    extension_queries,
    invite_mutations,
    make_account_types,
)
from app.graphql.fields.mutations import make_mutation_types, mutations
from app.graphql.fields.queries import FinishedValue, GraphQLContext, StaleAccess, queries
from app.graphql.fields.server import make_server_types, server_queries
from app.graphql.plans.cache import PlanCache
from app.graphql.types import builder
from app.graphql.types.scalars import SCALARS
from app.graphql.visibility.caller_schema import CallerSchema, caller_schema, caller_schema_for
from app.policy.rules import Access
from app.policy.visibility import ADMIN_VISIBILITY
from app.query.collection import COLLECTIONS
from app.repositories.directory import Directory
from app.repositories.engine.reading import MAX_READ_ATTEMPTS

INTROSPECTIONS, LONGEST_INTROSPECTION = 2_000, 1_000_000
"""How much of finished introspections is kept, by `weight`, and bytes of the longest of them with its question."""

introspections: LRUCache[Hashable, CoreResult] = LRUCache(INTROSPECTIONS)
"""Finished introspections, by the overlay that they show, and what was asked."""

log = structlog.get_logger(__name__)


class FinishedValueExecutor(StrawberryGraphQLCoreExecutionContext):
    """graphql-core's executor, but for finished answers: their sub-fields aren't visited again.

    And for what is written in ways that the schema doesn't print: it was coerced already.
    """

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        if isinstance(self.context_value, GraphQLContext):
            self.variable_values.coerced.update(self.context_value.written)

    def complete_value(
        self, return_type: Any, details: Any, info: Any, path: Any, result: Any, position_context: Any
    ) -> Any:
        if isinstance(result, FinishedValue):
            if result.value is not None:
                return result.value
            result = None
        return super().complete_value(return_type, details, info, path, result, position_context)


class VisibilityExtension(SchemaExtension):
    """Lets a document in only as far as its caller's schema goes.

    Everything is compared with the full schema first; only where that refuses, or the schema itself is asked for,
    is the caller's own built, to find the words: what may not be seen answers as what doesn't exist. Whoever has to
    set up a second factor first is told so, whatever else was asked.
    """

    execution_context: ExecutionContext
    _operation: Operation
    _overlay: CallerSchema
    _access: Access

    async def on_parse(self) -> AsyncIterator[None]:
        """Text -> document, within the limits of one query."""
        context = self.execution_context
        schema: Any = context.schema
        document = parse_document(context.query or "", context.context.services.limits.max_tokens)
        self._document = document
        self._operation = compile_operation(schema.graphql, document, context.operation_name)
        if self._operation.definition is None:
            raise GraphQLError(f'There is no single operation named "{context.operation_name or ""}" in the query.')
        context.graphql_document = self._operation.document
        yield

    async def on_validate(self) -> AsyncIterator[None]:
        """Document and variables against what this caller may see."""
        context = self.execution_context
        schema: Any = context.schema
        directory = context.context
        access = await directory.access()
        variables = coerce_variables(schema.graphql, self._operation, context.variables)
        self._look(schema, directory, access)
        if self._operation.introspects or self._refused(variables):
            access = await directory.revalidate(access)
            self._look(schema, directory, access)
        context.pre_execution_errors = check_single_sensitive(self._operation)
        if self._refused(variables):
            context.pre_execution_errors = self._words(context.variables)
        context.variables = variables.values
        context.context = GraphQLContext(directory, access, variables.coerced if variables.fixed else {})
        yield

    async def on_execute(self) -> AsyncIterator[None]:
        """Questions about the schema are answered by the caller's own."""
        context = self.execution_context
        if self._operation.introspects:
            context.result = await self._introspect(context)
        yield

    def _look(self, schema: Any, directory: Directory, access: Access) -> None:
        self._access = access
        self._overlay = caller_schema_for(schema.graphql, access, directory.services.limits)

    def _refused(self, variables: Variables) -> bool:
        touched = self._operation.coordinates | variables.coordinates
        wrong = bool(self._operation.errors or variables.errors) or not self._overlay.allows(touched)
        return wrong or self._enrolls_first()

    def _enrolls_first(self) -> bool:
        return self._access.tfa_setup_required and requires_completed_tfa(self._operation)

    def _words(self, given: dict[str, Any] | None) -> list[GraphQLError]:
        """Why the document or its variables are refused, in the words of the caller's own schema."""
        if self._enrolls_first():
            wanted = TwoFactorSetupRequired()
            return [GraphQLError(wanted.text, original_error=wanted)]
        seen, suggest, name = self._overlay.schema, self._overlay.introspection, self.execution_context.operation_name
        own = compile_operation(seen, self._document, name, suggest=suggest)
        if own.errors:
            return list(own.errors)
        if not self._overlay.introspection and self._operation.introspects:
            return [GraphQLError("GraphQL introspection is not allowed, but the query contained __schema or __type.")]
        wrong = coerce_variables(seen, own, given, suggest=suggest).errors
        return list(wrong) or [GraphQLError("The query asks for something that does not exist.")]

    async def _introspect(self, context: ExecutionContext) -> CoreResult:
        own = compile_operation(self._overlay.schema, self._document, context.operation_name)
        run: Callable[[], Any] = partial(
            execute,
            self._overlay.introspection_schema,
            own.document,
            variable_values=context.variables,
            operation_name=context.operation_name,
            context_value=context.context,
            executor_class=FinishedValueExecutor,
        )
        if not own.only_introspects or holds_mutations(self._document):
            result: CoreResult = await await_maybe(run())
            return result
        asked = (context.query or "", context.operation_name or "", repr(context.variables))
        known = introspections.get((self._overlay, *asked), None)
        if known is not None:
            return known
        # A whole schema takes a tenth of a second, in which nobody else should have to wait.
        answer: CoreResult = await asyncio.to_thread(run)
        length = sum(map(len, asked)) + len(orjson.dumps(answer.data))
        if length <= LONGEST_INTROSPECTION:
            introspections.set((self._overlay, *asked), answer, entry_weight(length))
        return answer


class RollcallSchema(strawberry.Schema):
    """Strawberry's schema; `execute` takes a Directory as `context_value` and gives plain Python data."""

    @property
    def graphql(self) -> GraphQLSchema:
        """The graphql-core schema underneath: all of it, for nobody's eyes in particular."""
        return self._schema

    @cached_property
    def plans(self) -> PlanCache:
        """The plans of queries that were seen before."""
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
        """Runs a query: from its plan where that will do, else in the ordinary way."""
        allowed = tuple(allowed_operation_types) if allowed_operation_types is not None else None
        changing = allowed is None or OperationType.MUTATION in allowed
        wire = await self.execute_planned(context_value, query, variable_values, operation_name, changing=changing)
        if wire is not None:
            return ExecutionResult(orjson.loads(wire)["data"], None)
        asked = (query, variable_values, context_value, root_value, operation_name)
        return await self.execute_full(*asked, allowed, operation_extensions)

    async def execute_planned(
        self,
        directory: Directory,
        query: str | None,
        variables: dict[str, Any] | None,
        name: str | None,
        *,
        changing: bool = False,
    ) -> bytes | None:
        """The whole answer to a query as JSON, from its plan; None where it takes the ordinary execution."""
        try:
            if not query:
                return None
            return await self.plans.answer(directory, query, variables, name, changing=changing)
        except InvalidCredentials:
            return None

    async def execute_full(self, *asked: Any, **more: Any) -> ExecutionResult:
        """Runs a query as Strawberry does; takes what `execute` takes.

        It is run again from the start where rights changed under it, so that it is judged by those in force.
        """
        for _ in range(MAX_READ_ATTEMPTS):
            result = await super().execute(*asked, **more)
            if not any(isinstance(error.original_error, StaleAccess) for error in result.errors or ()):
                break
        return result

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Errors of ours are answers; anything else is a fault to be looked into, without what a client sent."""
        for error in errors:
            fault = error.original_error
            if fault is not None and not isinstance(fault, RollcallError | GraphQLError):
                log.error("resolver_failed", path=error.path, exc_info=fault)


def build_schema() -> RollcallSchema:
    """The schema of everything that is served."""
    builder.make_collections(COLLECTIONS.values())
    make_server_types()
    make_account_types()
    builder.define_type("Query", (*server_queries(), *queries(), *extension_queries()))
    make_mutation_types()
    mine, *others = mutations()
    accounts = (*account_mutations(), mine, *invite_mutations())
    builder.define_type("Mutation", (*accounts, *others, *extension_mutations()))
    return RollcallSchema(
        builder.get_type("Query"),
        builder.get_type("Mutation"),
        extensions=[VisibilityExtension],
        execution_context_class=FinishedValueExecutor,
        config=StrawberryConfig(auto_camel_case=False, scalar_map=SCALARS),
    )


schema = build_schema()


def printed_schema() -> str:
    """The SDL as a caller sees it who may read everything."""
    return caller_schema(schema.graphql, ADMIN_VISIBILITY).sdl
