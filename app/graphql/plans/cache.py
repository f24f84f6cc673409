"""The cache of query plans: the execution of a text seen before costs a look-up, its values and its statements.

Only requests that succeed are executed here. If a request cannot be planned or is rejected, or the caller's access
keeps changing, the full execution takes over, which reports the reason.
"""

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from graphql import FragmentDefinitionNode, GraphQLSchema, OperationType, VariableNode, Visitor, visit
from graphql.execution.values import VariableValues, get_argument_values

from app.core.bindings import Bindings, Source
from app.core.cache import LRUCache, entry_weight
from app.core.errors import RollcallError
from app.graphql.documents.operation import Operation, Variables, coerce_variables, compile_operation, parse_document
from app.graphql.documents.selection import Selection
from app.graphql.documents.sensitive import holds_mutations
from app.graphql.fields.queries import QUERY_BUILDER, FieldQueryBuilder, FieldRequest
from app.graphql.plans.literals import ExtractedLiterals, extract_literals, parameterize_document
from app.graphql.plans.mutations import PlannedMutation, plan_mutation
from app.graphql.plans.queries import (
    GRAPHQL,
    BoundQuery,
    BoundRequest,
    NotPlannedYet,
    PlannedField,
    PlannedQuery,
    answer_from_plan,
    count_binding,
)
from app.graphql.plans.shapes import VALUE_PREFIX, coercion_shape, literal_shapes, variable_shapes, with_slots
from app.graphql.visibility.caller_schema import caller_schema_for
from app.policy.caller_parameters import parameterize_access
from app.policy.rules import Access
from app.repositories.directory import Directory
from app.repositories.plans.plan import QueryPlan, log_planning_failure, make_plan

MAX_TEXTS, MAX_PLANS = 200, 400
"""Maximum weight of the cached texts and plans; a long one counts as several. `MAX_PLANS` also limits the shapes."""
MAX_TEXT_LENGTH = 20_000
"""Maximum number of characters of a text, or of the values, that is cached; a longer text takes the full execution."""


@dataclass(frozen=True, slots=True, eq=False)
class PreparedDocument:
    """A query's text without its literals, compiled for the full schema."""

    operation: Operation
    single_use: frozenset[str]
    """The variables that are used once, so that a value can be replaced by another of its shape."""
    text_length: int
    """Number of characters of the text."""
    mutation: PlannedMutation | None
    """The plan of a mutation; None for a query."""
    identity: object = field(default_factory=object)
    """Represents the document in cache keys, which would otherwise keep it in memory."""


@dataclass(slots=True, eq=False)
class CachedText:
    """A text as it was received: its document, its literals, and their shape and bindings."""

    prepared: PreparedDocument
    literals: ExtractedLiterals
    shape: tuple[Hashable, ...]
    bindings: Bindings


@dataclass(frozen=True, slots=True, eq=False)
class RequestShape:
    """A set of requests that differ only in values and share one plan; `plan` is None if they cannot be planned.

    If the plan depends on the values of some sources (`deciding_sources`), each combination has a plan of its own.
    """

    plan: PlannedQuery | None = None
    deciding_sources: tuple[Source, ...] = ()

    def deciding_values(self, bindings: Bindings) -> Hashable:
        """Return the values that the plan of this shape depends on."""
        values = [bindings[source] for source in self.deciding_sources]
        return tuple(map(_hashable, values) if list in map(type, values) else values)


def _hashable(value: Any) -> Hashable:
    return tuple(value) if isinstance(value, list) else value


NOT_PLANNED_YET = PlannedQuery([], [])
"""Represents a missing cache entry, because None is the entry of a query that cannot be planned."""


class PlanCache:
    """The plans of one schema, for the directories of one `Services`."""

    def __init__(self, schema: GraphQLSchema, *, max_texts: int = MAX_TEXTS, max_plans: int = MAX_PLANS) -> None:
        self._schema = schema
        self._texts: LRUCache[Hashable, CachedText] = LRUCache(max_texts)
        self._documents: LRUCache[Hashable, PreparedDocument] = LRUCache(max_texts)
        self._shapes: LRUCache[Hashable, RequestShape] = LRUCache(max_plans)
        self._plans: LRUCache[Hashable, PlannedQuery | None] = LRUCache(max_plans)
        self._returning_plans: LRUCache[Hashable, QueryPlan] = LRUCache(max_plans)
        self._coordinates: LRUCache[Hashable, frozenset[str]] = LRUCache(max_plans)
        """The coordinates of a mutation's values that coercion leaves as they are, by document and shape."""

    async def execute(
        self,
        directory: Directory,
        text: str,
        variables: dict[str, Any] | None,
        name: str | None,
        *,
        allow_mutations: bool = False,
    ) -> bytes | None:
        """Execute a request from its plan and return the response as JSON; None if it takes the full execution.

        Raises:
            InvalidCredentials: The caller is no longer an active user, or its session has ended.
            ServiceUnavailable: The database cannot be read or written.
        """

        def bind(access: Access, *, may_plan: bool) -> BoundRequest | None:
            request = (directory, access, text, variables, name)
            return self.bind(*request, allow_mutations=allow_mutations, may_plan=may_plan)

        return await answer_from_plan(directory, directory.cached_access, bind)

    def bind(
        self,
        directory: Directory,
        access: Access,
        text: str,
        variables: dict[str, Any] | None,
        name: str | None,
        *,
        allow_mutations: bool = False,
        may_plan: bool = True,
    ) -> BoundRequest | None:
        """Return a request bound to its plan for a caller with this access; None if it takes the full execution.

        With `may_plan` it may run in any thread, and its caller counts the result.

        Raises:
            NotPlannedYet: A plan has to be made first, and `may_plan` is false.
        """
        services, limits = directory.services, directory.services.limits
        if len(text) > MAX_TEXT_LENGTH or not services.plans_enabled:
            services.metrics.plan_fallbacks.add(GRAPHQL, "too_long" if services.plans_enabled else "disabled")
            return None
        key = (text, name, limits.max_tokens, limits.size.fields)
        bound: BoundRequest | None = None
        try:
            cached = self._texts.get(key, None) or self._prepare_text(*key, may_plan=may_plan)
            if cached is not None and cached.prepared.mutation is None:
                bound = self._bind_query(cached, directory, access, variables, may_plan=may_plan)
            elif cached is not None and allow_mutations:
                bound = self._bind_mutation(cached, directory, access, variables or {})
        except RecursionError as error:
            log_planning_failure(GRAPHQL, error)
        if not may_plan:
            count_binding(services.metrics, bound, services.metrics.graphql_plan_hits)
        return bound

    def _bind_mutation(
        self, cached: CachedText, directory: Directory, access: Access, variables: dict[str, Any]
    ) -> BoundRequest | None:
        prepared = cached.prepared
        coerced = self._coerce(prepared, {**variables, **cached.literals.values})
        visible = caller_schema_for(self._schema, access, directory.services.limits)
        if prepared.mutation is None or coerced is None:
            return None
        if not visible.allows(prepared.operation.coordinates) or not visible.allows(coerced.coordinates):
            return None
        return prepared.mutation.bind(directory, coerced.coerced, self._returning_plans)

    def _coerce(self, prepared: PreparedDocument, values: dict[str, Any]) -> Variables | None:
        """Return the values of a mutation, coerced; None if they are invalid."""
        shape = coercion_shape(values)
        coordinates = self._coordinates.get((prepared.identity, shape), None) if shape else None
        if coordinates is not None:
            return Variables(values, values, coordinates, ())
        variables = coerce_variables(self._schema, prepared.operation, values)
        if variables.errors:
            return None
        is_unchanged = shape and not variables.has_deferred and variables.coerced == values
        if is_unchanged and (length := len(repr(shape))) <= MAX_TEXT_LENGTH:
            self._coordinates.set((prepared.identity, shape), variables.coordinates, entry_weight(length))
        return variables

    def _bind_query(
        self,
        cached: CachedText,
        directory: Directory,
        access: Access,
        variables: dict[str, Any] | None,
        *,
        may_plan: bool,
    ) -> BoundQuery | None:
        prepared, value_shape = cached.prepared, cached.shape
        bindings: dict[Source, Any] = {**access.bindings, **cached.bindings}
        if variables:
            max_items = directory.services.limits.size.list_items
            value_shape = (*value_shape, *variable_shapes(variables, prepared.single_use, bindings, max_items))
        key = (prepared.identity, value_shape, access.shape)
        shape = self._shapes.get(key, None)
        planned = shape.plan if shape and not shape.deciding_sources else self._plan_for_values(shape, bindings)
        if planned is NOT_PLANNED_YET:
            if not may_plan:
                raise NotPlannedYet
            values = {**(variables or {}), **cached.literals.values}
            planned = self._plan_query(prepared, values, bindings, directory, access)
            if (length := len(repr(values))) <= MAX_TEXT_LENGTH:
                self._store(key, shape, planned, bindings, entry_weight(prepared.text_length + length))
        if planned is None:
            return None
        return BoundQuery(planned, access, bindings, is_reusable=not variables and not cached.literals)

    def _plan_for_values(self, shape: RequestShape | None, bindings: Bindings) -> PlannedQuery | None:
        return self._plans.get((shape, shape.deciding_values(bindings)), NOT_PLANNED_YET) if shape else NOT_PLANNED_YET

    def _store(
        self,
        key: Hashable,
        shape: RequestShape | None,
        planned: PlannedQuery | None,
        bindings: Bindings,
        weight: int,
    ) -> None:
        """Cache a plan under its shape, which is replaced if more sources turn out to decide."""
        deciding = tuple(sorted(_deciding_sources(planned, bindings).union(shape.deciding_sources if shape else ())))
        if shape is None or deciding != shape.deciding_sources:
            shape = self._shapes.set(key, RequestShape(None if deciding else planned, deciding), weight)
        if deciding:
            self._plans.set((shape, shape.deciding_values(bindings)), planned, weight)

    def _prepare_text(
        self, text: str, name: str | None, max_tokens: int, max_fields: int, *, may_plan: bool
    ) -> CachedText | None:
        literals = extract_literals(text)
        key = (literals.remaining_text, name, max_tokens, max_fields)
        prepared = self._documents.get(key, None)
        if prepared is None:
            if not may_plan:
                raise NotPlannedYet
            prepared = _prepare_document(self._schema, text, literals, name, max_tokens, max_fields)
            if prepared is None:
                return None
            self._documents.set(key, prepared, entry_weight(len(text)))
        bindings: dict[Source, Any] = {}
        shape = tuple(literal_shapes(literals, bindings))
        cached = CachedText(prepared, literals, shape, bindings)
        if prepared.mutation and literals:
            return cached  # not stored: a literal may be a password
        return self._texts.set((text, name, max_tokens, max_fields), cached, entry_weight(len(text)))

    def _plan_query(
        self,
        prepared: PreparedDocument,
        values: dict[str, Any],
        bindings: dict[Source, Any],
        directory: Directory,
        access: Access,
    ) -> PlannedQuery | None:
        """Return the plan of a query with values of this shape; None if it cannot be planned."""
        operation = prepared.operation
        slots = {name: with_slots(value, name, bindings) for name, value in values.items()}
        variables = coerce_variables(self._schema, operation, slots)
        visible = caller_schema_for(self._schema, access, directory.services.limits)
        rejected = operation.errors or variables.errors or operation.introspects
        if rejected or not visible.allows(operation.coordinates | variables.coordinates):
            return None
        try:
            return self._plan_root_fields(operation, variables.coerced, directory, parameterize_access(access))
        except RollcallError:
            return None
        except (ValueError, RecursionError) as error:
            log_planning_failure(GRAPHQL, error)
            return None

    def _plan_root_fields(
        self, operation: Operation, variables: dict[str, Any], directory: Directory, access: Access
    ) -> PlannedQuery | None:
        fragments = {
            node.name.value: node for node in operation.document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        limits = directory.services.limits
        selection = Selection(self._schema, fragments, variables, limits, limits.size_counter())
        query_type: Any = self._schema.query_type
        root_fields, plans, plan_indexes = list[PlannedField](), list[QueryPlan](), dict[Any, int]()
        for key, nodes in selection.collect([operation.definition]).items():
            definition = query_type.fields.get(nodes[0].name.value)
            build_query = _query_builder(definition)
            if build_query is None:
                return None
            arguments = get_argument_values(definition, nodes[0], VariableValues({}, variables))
            field_query = build_query(FieldRequest(access, selection, nodes, arguments))
            if field_query.query is not None and field_query.query not in plan_indexes:
                plan_indexes[field_query.query] = len(plans)
                plans.append(make_plan(field_query.query, directory.caller, access, directory.services))
            root_fields.append(PlannedField(key, field_query, plan_indexes.get(field_query.query)))
        if not plans:  # without a statement nothing would check that the caller's access is still current
            return None
        return PlannedQuery(root_fields, plans, uses_now=any("now" in plan.bound_sources for plan in plans))


def _deciding_sources(planned: PlannedQuery | None, bindings: Bindings) -> frozenset[Source]:
    """Return the sources whose values a plan contains, or that decided whether there is a plan."""
    plans = planned.plans if planned else []
    bound = frozenset[Source]().union(*(plan.bound_sources for plan in plans))
    unbound = {source for source in bindings if source.startswith(VALUE_PREFIX)} - bound
    return frozenset(unbound).union(*(plan.literal_sources for plan in plans))


def _prepare_document(
    schema: GraphQLSchema, text: str, literals: ExtractedLiterals, name: str | None, max_tokens: int, max_fields: int
) -> PreparedDocument | None:
    """Return the compiled document of a text; None if it cannot be planned or must not be cached."""
    try:
        document = parse_document(text, max_tokens, max_fields, with_locations=False)  # only errors need locations
    except RollcallError:
        return None
    if literals:
        parameterized = parameterize_document(schema, document, literals)
        if parameterized is None:
            return None
        document = parameterized
    operation = compile_operation(schema, document, name)
    definition: Any = operation.definition
    if operation.errors or definition is None or operation.introspects:
        return None
    if definition.operation is OperationType.QUERY and holds_mutations(document):
        return None  # one of the document's mutations may contain a password
    mutation = None
    if definition.operation is not OperationType.QUERY:
        mutation = plan_mutation(schema, operation, entry_weight(len(text)))
        if mutation is None:
            return None  # a mutation that is not planned is not cached: it may contain a password
    counter = _VariableCounter()
    visit(operation.document, counter)
    single_use = frozenset(name for name, count in counter.occurrences.items() if count == 2)  # defined and used once
    return PreparedDocument(operation, single_use, len(text), mutation)


class _VariableCounter(Visitor):
    """Counts how often each variable occurs in a document, its definition included."""

    def __init__(self) -> None:
        super().__init__()
        self.occurrences = Counter[str]()

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.occurrences[node.name.value] += 1


def _query_builder(definition: Any) -> FieldQueryBuilder | None:
    strawberry_field = definition and definition.extensions.get("strawberry-definition")
    builder: FieldQueryBuilder | None = strawberry_field and strawberry_field.metadata.get(QUERY_BUILDER)
    return builder
