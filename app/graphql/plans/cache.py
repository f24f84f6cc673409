"""Queries answered from plans: a text seen before costs a look-up, its values, and its statements.

Only what goes well goes this way. Whatever can't be planned, whatever is refused, a caller whose rights have changed:
all of that is left to the ordinary execution, which says why.
"""

from collections import Counter
from collections.abc import Callable, Hashable
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
from app.graphql.fields.queries import FieldQuery, FieldRequest
from app.graphql.plans.literals import ExtractedLiterals, extract_literals, parameterize_document
from app.graphql.plans.mutations import PlannedMutation, plan_mutation
from app.graphql.plans.queries import BoundQuery, BoundRequest, PlannedField, PlannedQuery, answer_from_plan
from app.graphql.plans.shapes import VALUE, coercion_shape, literal_shapes, variable_shapes, with_slots
from app.graphql.visibility.caller_schema import caller_schema_for
from app.policy.rules import Access
from app.repositories.directory import Directory
from app.repositories.plans.plan import QueryPlan, log_planning_failure, make_plan, parameterize_access

TEXTS, PLANS = 200, 400
"""Texts and plans that are kept at once, fewer of long ones; of forms of requests as many as of plans."""
LONGEST = 20_000
"""Characters of a text that is kept, and of values; longer texts go the ordinary way."""


@dataclass(frozen=True, slots=True, eq=False)
class PreparedDocument:
    """A query's text without its literals, compiled for the full schema."""

    operation: Operation
    once: frozenset[str]
    """Variables that stand in one place only, where another value means the same."""
    length: int
    """Characters of the text."""
    changing: PlannedMutation | None
    """What it changes, where it is a mutation."""
    mark: object = field(default_factory=object)
    """Stands for it in the keys of what is made of it, which would keep it otherwise."""


@dataclass(slots=True, eq=False)
class CachedText:
    """A text as it came: what it is without its literals, those, and what they give to a form and to a plan."""

    prepared: PreparedDocument
    lifted: ExtractedLiterals
    shape: tuple[Hashable, ...]
    given: Bindings


@dataclass(frozen=True, slots=True, eq=False)
class RequestShape:
    """Requests that differ in nothing but values: one plan for all of them, or none where they can't be planned.

    Where some values are `decisive`, each of those has a plan of its own.
    """

    plan: PlannedQuery | None = None
    decisive: tuple[Source, ...] = ()

    def values(self, given: Bindings) -> Hashable:
        """What tells apart the plans of this form."""
        values = [given[source] for source in self.decisive]
        return tuple(map(_hashable, values) if list in map(type, values) else values)


def _hashable(value: Any) -> Hashable:
    return tuple(value) if isinstance(value, list) else value


NOT_PLANNED_YET = PlannedQuery([], [])
"""Stands where nothing was planned yet."""


class PlanCache:
    """The plans of one schema, for the directories of one set of services."""

    def __init__(self, schema: GraphQLSchema, *, texts: int = TEXTS, plans: int = PLANS) -> None:
        self._schema = schema
        self._seen: LRUCache[Hashable, CachedText] = LRUCache(texts)
        self._texts: LRUCache[Hashable, PreparedDocument] = LRUCache(texts)
        self._forms: LRUCache[Hashable, RequestShape] = LRUCache(plans)
        self._plans: LRUCache[Hashable, PlannedQuery | None] = LRUCache(plans)
        self._answers: LRUCache[Hashable, QueryPlan] = LRUCache(plans)
        self._coordinates: LRUCache[Hashable, frozenset[str]] = LRUCache(plans)
        """What the values of mutations touch that no coercion changes, by their form."""

    async def answer(
        self,
        directory: Directory,
        text: str,
        variables: dict[str, Any] | None,
        name: str | None,
        *,
        changing: bool = False,
    ) -> bytes | None:
        """The whole answer to a query as JSON, or None where the ordinary execution has to find it.

        A mutation is answered only where it may be `changing` things. Raises ServiceUnavailable as the repositories do.
        """
        return await answer_from_plan(
            directory, lambda access: self.find(directory, access, text, variables, name, changing=changing)
        )

    def find(
        self,
        directory: Directory,
        access: Access,
        text: str,
        variables: dict[str, Any] | None,
        name: str | None,
        *,
        changing: bool = False,
    ) -> BoundRequest | None:
        """A request with its plan, for the `access` that is known; None where it takes the ordinary execution."""
        if len(text) > LONGEST or not directory.services.plans_enabled:
            return None
        try:
            key = (text, name, directory.services.limits.max_tokens)
            seen = self._seen.get(key, None) or self._see(*key)
            if seen is None:
                return None
            if seen.prepared.changing is None:
                return self._find(seen, directory, access, variables)
            return self._change(seen, directory, access, variables or {}) if changing else None
        except RecursionError as error:
            log_planning_failure("graphql", error)
            return None

    def _change(
        self, seen: CachedText, directory: Directory, access: Access, variables: dict[str, Any]
    ) -> BoundRequest | None:
        prepared, given = seen.prepared, {**variables, **seen.lifted.values}
        taken = self._take(prepared, given)
        shown = caller_schema_for(self._schema, access, directory.services.limits)
        if prepared.changing is None or taken is None:
            return None
        if not shown.allows(prepared.operation.coordinates) or not shown.allows(taken.coordinates):
            return None
        return prepared.changing.ready(directory, taken.coerced, self._answers)

    def _take(self, prepared: PreparedDocument, given: dict[str, Any]) -> Variables | None:
        """The values of a mutation, coerced; None where they are refused."""
        form = coercion_shape(given)
        known = self._coordinates.get((prepared.mark, form), None) if form else None
        if known is not None:
            return Variables(given, given, known, ())
        taken = coerce_variables(self._schema, prepared.operation, given)
        if taken.errors:
            return None
        if form and not taken.fixed and taken.coerced == given and (length := len(repr(form))) <= LONGEST:
            self._coordinates.set((prepared.mark, form), taken.coordinates, entry_weight(length))
        return taken

    def _find(
        self, seen: CachedText, directory: Directory, access: Access, variables: dict[str, Any] | None
    ) -> BoundQuery | None:
        prepared, shape = seen.prepared, seen.shape
        given: dict[Source, Any] = {**access.bindings, **seen.given}
        if variables:
            shape = (*shape, *variable_shapes(variables, prepared.once, given))
        alike = (prepared.mark, shape, access.shape)
        form = self._forms.get(alike, None)
        planned = form.plan if form and not form.decisive else self._decided(form, given)
        if planned is NOT_PLANNED_YET:
            values = {**(variables or {}), **seen.lifted.values}
            planned = self._plan(prepared, values, given, directory, access)
            if (length := len(repr(values))) <= LONGEST:
                self._keep(alike, form, planned, given, entry_weight(prepared.length + length))
        return None if planned is None else BoundQuery(planned, access, given, not variables and not seen.lifted)

    def _decided(self, form: RequestShape | None, given: Bindings) -> PlannedQuery | None:
        return self._plans.get((form, form.values(given)), NOT_PLANNED_YET) if form else NOT_PLANNED_YET

    def _keep(
        self, alike: Hashable, form: RequestShape | None, planned: PlannedQuery | None, given: Bindings, weight: int
    ) -> None:
        decisive = tuple(sorted(_decisive(planned, given).union(form.decisive if form else ())))
        if form is None or decisive != form.decisive:
            form = self._forms.set(alike, RequestShape(None if decisive else planned, decisive), weight)
        if decisive:
            self._plans.set((form, form.values(given)), planned, weight)

    def _see(self, text: str, name: str | None, tokens: int) -> CachedText | None:
        lifted = extract_literals(text)
        key = (lifted.left, name, tokens)
        prepared = self._texts.get(key, None)
        if prepared is None:
            prepared = _prepare(self._schema, text, lifted, name, tokens)
            if prepared is None:
                return None
            self._texts.set(key, prepared, entry_weight(len(text)))
        given: dict[Source, Any] = {}
        shape = tuple(literal_shapes(lifted, given))
        seen = CachedText(prepared, lifted, shape, given)
        if prepared.changing and lifted:
            return seen  # a password may be among them
        return self._seen.set((text, name, tokens), seen, entry_weight(len(text)))

    def _plan(
        self,
        prepared: PreparedDocument,
        values: dict[str, Any],
        given: dict[Source, Any],
        directory: Directory,
        access: Access,
    ) -> PlannedQuery | None:
        """The query planned for this request and those like it; None where it can't be."""
        operation = prepared.operation
        slots = {name: with_slots(value, name, given) for name, value in values.items()}
        variables = coerce_variables(self._schema, operation, slots)
        seen = caller_schema_for(self._schema, access, directory.services.limits)
        refused = operation.errors or variables.errors or operation.introspects
        if refused or not seen.allows(operation.coordinates | variables.coordinates):
            return None
        try:
            return self._roots(operation, variables.coerced, directory, parameterize_access(access))
        except RollcallError:
            return None
        except (ValueError, RecursionError) as error:
            log_planning_failure("graphql", error)
            return None

    def _roots(
        self, operation: Operation, variables: dict[str, Any], directory: Directory, access: Access
    ) -> PlannedQuery | None:
        fragments = {
            node.name.value: node for node in operation.document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        selection = Selection(self._schema, fragments, variables, directory.services.limits)
        query: Any = self._schema.query_type
        roots, plans, places = list[PlannedField](), list[QueryPlan](), dict[Any, int]()
        for key, nodes in selection.collect([operation.definition]).items():
            definition = query.fields.get(nodes[0].name.value)
            found: Callable[[FieldRequest], FieldQuery] | None = _asked(definition)
            if found is None:
                return None
            arguments = get_argument_values(definition, nodes[0], VariableValues({}, variables))
            question = found(FieldRequest(access, selection, nodes, arguments))
            if question.asked is not None and question.asked not in places:
                places[question.asked] = len(plans)
                plans.append(make_plan(question.asked, directory.caller, access, directory.services))
            roots.append(PlannedField(key, question, places.get(question.asked)))
        if not plans:  # nothing would look whether the rights behind it still hold
            return None
        return PlannedQuery(roots, plans, timed=any("now" in plan.sources for plan in plans))


def _decisive(planned: PlannedQuery | None, given: Bindings) -> frozenset[Source]:
    """The sources whose values the plan holds, or that decided whether there is one."""
    plans = planned.plans if planned else []
    drawn = frozenset[Source]().union(*(plan.sources for plan in plans))
    free = {source for source in given if source.startswith(VALUE)} - drawn
    return frozenset(free).union(*(plan.literal_sources for plan in plans))


def _prepare(
    schema: GraphQLSchema, text: str, lifted: ExtractedLiterals, name: str | None, tokens: int
) -> PreparedDocument | None:
    try:
        document = parse_document(text, tokens, located=False)  # what goes well tells no place
    except RollcallError:
        return None
    if lifted:
        found = parameterize_document(schema, document, lifted)
        if found is None:
            return None
        document = found
    operation = compile_operation(schema, document, name)
    definition: Any = operation.definition
    if operation.errors or definition is None or operation.introspects:
        return None
    if definition.operation is OperationType.QUERY and holds_mutations(document):
        return None  # a password may stand beside what is asked for
    changing = None
    if definition.operation is not OperationType.QUERY:
        changing = plan_mutation(schema, operation, entry_weight(len(text)))
        if changing is None:
            return None  # what isn't planned isn't kept: it may hold a password
    uses = _Uses()
    visit(operation.document, uses)
    once = frozenset(variable for variable, times in uses.counted.items() if times == 2)  # defined, and used
    return PreparedDocument(operation, once, len(text), changing)


class _Uses(Visitor):
    """How often a variable's name stands in a document, its definition included."""

    def __init__(self) -> None:
        super().__init__()
        self.counted = Counter[str]()

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.counted[node.name.value] += 1


def _asked(definition: Any) -> Callable[[FieldRequest], FieldQuery] | None:
    made = definition and definition.extensions.get("strawberry-definition")
    found: Callable[[FieldRequest], FieldQuery] | None = made and made.metadata.get("ask")
    return found
