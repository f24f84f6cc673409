"""Planned mutations: a mutation seen before is not parsed, validated or planned again, only its values are new.

Only mutations with a single root field that returns one row are planned. All others take the full execution, and so
does one that is rejected before anything is written.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from graphql import FieldNode, FragmentDefinitionNode, GraphQLField, GraphQLSchema, StringValueNode, Visitor, visit
from graphql.execution.values import VariableValues, get_argument_values
from graphql.language import VariableNode

from app.core.bindings import slot
from app.core.cache import LRUCache
from app.core.errors import RollcallError, ServiceUnavailable
from app.graphql.documents.normalize_document import KEY_ALIAS
from app.graphql.documents.operation import Operation
from app.graphql.documents.selection import Selection
from app.graphql.fields.mutations import MUTATION_SPEC, MutationSpec
from app.graphql.fields.queries import OPTIONAL_ROW
from app.policy.caller_parameters import parameterize_access
from app.policy.rules import Access
from app.query.filter import compare
from app.query.limits import QueryLimits
from app.repositories.directory import Directory
from app.repositories.engine.unit_of_work import UnitOfWork
from app.repositories.plans.plan import QueryPlan, make_plan
from app.repositories.services import Services

WRITTEN_KEYS = "keys"
"""The source of the written row's key in the plan that reads it back."""
ReturningPlans = LRUCache[Any, QueryPlan]
"""The plans that read written rows back, by mutation and the shape of the caller's access."""
SAMPLE_UUID = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True, slots=True, eq=False)
class PlannedMutation:
    """The only root field of a mutation: the command it builds of its arguments, and the fields it returns."""

    response_key: str
    spec: MutationSpec
    field: GraphQLField
    nodes: list[FieldNode]
    fragments: dict[str, FragmentDefinitionNode]
    schema: GraphQLSchema
    cache_weight: int
    """The weight of a plan of this mutation in a cache."""

    def bind(
        self, directory: Directory, variables: dict[str, Any], returning_plans: ReturningPlans
    ) -> "MutationRequest":
        """Return a request with its values."""
        arguments = get_argument_values(self.field, self.nodes[0], VariableValues({}, variables))
        return MutationRequest(self, directory, arguments, returning_plans)

    def plan_returning(self, directory: Directory, access: Access) -> QueryPlan:
        """Plan how the written row is read back with this access; raises what executing the query would."""
        collection, limits = self.spec.collection, directory.services.limits
        read = self.selection(limits).read(collection, self.nodes, {"limit": -1})
        sample = SAMPLE_UUID if collection.key.kind == "uuid" else 0
        is_written = compare(collection.key, None, "_in", slot([sample], WRITTEN_KEYS))
        return make_plan(
            read.restricted_to(is_written), directory.caller, parameterize_access(access), directory.services
        )

    def selection(self, limits: QueryLimits) -> Selection:
        """Return the Selection for the returned fields, in which there are no variables."""
        return Selection(self.schema, self.fragments, {}, limits, limits.size_counter())


class MutationRequest(NamedTuple):
    """A planned mutation with the arguments of one request."""

    mutation: PlannedMutation
    directory: Directory
    arguments: dict[str, Any]
    returning_plans: ReturningPlans

    @property
    def is_reusable(self) -> bool:
        """False, because a mutation writes."""
        return False

    async def execute(self, _: Services) -> bytes | None:
        """Write, and return the response as JSON; None if the write was rejected, in which case nothing was written.

        Raises:
            ServiceUnavailable: The database cannot be read or written.
        """
        spec, access = self.mutation.spec, self.directory.cached_access
        repository = self.directory[spec.collection.name]
        try:
            command = spec.build_command(repository, access.user if access else None, self.arguments)
            text = (await repository.write(command, self._fetch_returning)).result
        except ServiceUnavailable:
            raise
        except RollcallError:
            self.directory.renew_budget()
            return None
        return f'{{"data":{{"{self.mutation.response_key}":{text or "null"}}}}}'.encode()

    async def _fetch_returning(self, work: UnitOfWork, keys: list[Any]) -> str:
        cache_key = (self.mutation, work.access.shape)
        plan = self.returning_plans.get(cache_key, None)
        if plan is None or plan.literal_sources:
            plan = self.mutation.plan_returning(self.directory, work.access)
            self.returning_plans.set(cache_key, plan, self.mutation.cache_weight)
        decode_rows = plan.decode_rows

        def result(row: Sequence[Any]) -> str:
            work.check_access_current(row)
            text: str = row[-1]
            return OPTIONAL_ROW.from_json(text if decode_rows is None else orjson.dumps(decode_rows(text)).decode())

        work.raise_last_error()
        bindings = {**work.access.bindings, WRITTEN_KEYS: keys, "now": work.now}
        return await work.writer.fetch_and_commit(plan.statement, bindings, result)


def plan_mutation(schema: GraphQLSchema, operation: Operation, cache_weight: int) -> PlannedMutation | None:
    """Return the plan of a mutation; None if it takes the full execution.

    A mutation in which string literals remain is not planned: one may be a password, and plans are cached.
    """
    definition, mutation = operation.definition, schema.mutation_type
    if definition is None or mutation is None or operation.hoisted:
        return None
    fragments = {
        node.name.value: node for node in operation.document.definitions if isinstance(node, FragmentDefinitionNode)
    }
    if _selects_by_variable(definition):
        return None
    limits = QueryLimits()
    root_fields = Selection(schema, fragments, {}, limits, limits.size_counter()).collect([definition])
    if len(root_fields) != 1:
        return None
    response_key, nodes = next(iter(root_fields.items()))
    field = mutation.fields.get(nodes[0].name.value)
    strawberry_field: Any = field and field.extensions.get("strawberry-definition")
    spec = strawberry_field and strawberry_field.metadata.get(MUTATION_SPEC)
    if field is None or spec is None or len(nodes) > 1:
        return None
    planned = PlannedMutation(response_key, spec, field, nodes, fragments, schema, cache_weight)
    selected = planned.selection(limits).collect(nodes)
    return None if KEY_ALIAS in selected or _has_string_literals(operation) else planned


class _LiteralFinder(Visitor):
    """Finds out whether a directive or a selected field uses a variable, and whether there is any string literal."""

    def __init__(self) -> None:
        super().__init__()
        self.depth = 0
        self.has_variables = self.has_strings = False

    def enter_selection_set(self, *_: Any) -> None:
        self.depth += 1

    def leave_selection_set(self, *_: Any) -> None:
        self.depth -= 1

    def enter_directive(self, *_: Any) -> None:
        self.has_variables = True

    def enter_variable(self, _: VariableNode, *__: Any) -> None:
        self.has_variables = self.has_variables or self.depth > 1

    def enter_string_value(self, node: StringValueNode, *_: Any) -> None:
        self.has_strings = True


def _selects_by_variable(definition: Any) -> bool:
    """Return whether what the mutation returns may depend on variables; any directive counts as one that does."""
    finder = _LiteralFinder()
    visit(definition, finder)
    return finder.has_variables


def _has_string_literals(operation: Operation) -> bool:
    finder = _LiteralFinder()
    visit(operation.document, finder)
    return finder.has_strings
