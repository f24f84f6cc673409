"""Mutations seen before: nothing of them is parsed, validated or planned again; only their values are new.

A single root field that makes or changes one row goes this way. Any other, and whatever is refused before something
is written, is left to the ordinary execution.
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
from app.graphql.fields.mutations import MutationSpec
from app.graphql.fields.queries import THE_ROW_IF_ANY
from app.policy.rules import Access
from app.query.filter import compare
from app.query.limits import QueryLimits
from app.repositories.directory import Directory
from app.repositories.engine.unit_of_work import UnitOfWork
from app.repositories.plans.plan import QueryPlan, make_plan, parameterize_access
from app.repositories.services import Services

KEYS = "keys"
"""The source of the key that was written, in the plan of an answer."""
Answers = LRUCache[Any, QueryPlan]
"""The plans of what is read back, by what was asked and the form of its caller's rights."""


@dataclass(frozen=True, slots=True, eq=False)
class PlannedMutation:
    """The only root field of a mutation: what it makes of its arguments, and the fields it reads back."""

    key: str
    making: MutationSpec
    definition: GraphQLField
    nodes: list[FieldNode]
    fragments: dict[str, FragmentDefinitionNode]
    schema: GraphQLSchema
    weight: int
    """What keeping something made of it weighs."""

    def ready(self, directory: Directory, variables: dict[str, Any], answers: Answers) -> "MutationRequest":
        """A request with its values."""
        arguments = get_argument_values(self.definition, self.nodes[0], VariableValues({}, variables))
        return MutationRequest(self, directory, arguments, answers)

    def plan(self, directory: Directory, access: Access) -> QueryPlan:
        """How the row that was written is read back with such rights; raises as asking it would."""
        collection, limits = self.making.collection, directory.services.limits
        read = self.selection(limits).read(collection, self.nodes, {"limit": -1})
        sample = "00000000-0000-4000-8000-000000000000" if collection.key.kind == "uuid" else 0
        written = compare(collection.key, None, "_in", slot([sample], KEYS))
        return make_plan(read.restricted_to(written), directory.caller, parameterize_access(access), directory.services)

    def selection(self, limits: QueryLimits) -> Selection:
        """What its fields are read with: no variable stands among them."""
        return Selection(self.schema, self.fragments, {}, limits)


class MutationRequest(NamedTuple):
    """One request to change something."""

    changing: PlannedMutation
    directory: Directory
    arguments: dict[str, Any]
    answers: Answers

    @property
    def same(self) -> bool:
        """It changes something: never."""
        return False

    async def answer(self, _: Services) -> bytes | None:
        """Does it; its whole answer as JSON, or None where it was refused, so that nothing was done.

        Raises ServiceUnavailable as the repositories do.
        """
        making, access = self.changing.making, self.directory.cached_access
        repository = self.directory[making.collection.name]
        try:
            change = making.make(repository, access.user if access else None, self.arguments)
            text = (await repository.write(change, self._read_back)).result
        except ServiceUnavailable:
            raise
        except RollcallError:
            return None
        return f'{{"data":{{"{self.changing.key}":{text or "null"}}}}}'.encode()

    async def _read_back(self, work: UnitOfWork, keys: list[Any]) -> str:
        place = (self.changing, work.access.shape)
        plan = self.answers.get(place, None)
        if plan is None or plan.literal_sources:
            plan = self.answers.set(place, self.changing.plan(self.directory, work.access), self.changing.weight)
        shape = plan.decode_rows

        def told(row: Sequence[Any]) -> str:
            work.check_access_current(row)
            text: str = row[-1]
            return THE_ROW_IF_ANY.of_text(text if shape is None else orjson.dumps(shape(text)).decode())

        return await work.writer.fetch_and_commit(
            plan.statement, {**work.access.bindings, KEYS: keys, "now": work.now}, told
        )


def plan_mutation(schema: GraphQLSchema, operation: Operation, weight: int) -> PlannedMutation | None:
    """What a mutation changes; None where it takes the ordinary execution, as where a text stands in it literally.

    `weight` is that of keeping something made of its text.
    """
    definition, mutation = operation.definition, schema.mutation_type
    if definition is None or mutation is None or operation.lifted:
        return None
    fragments = {
        node.name.value: node for node in operation.document.definitions if isinstance(node, FragmentDefinitionNode)
    }
    collected = Selection(schema, fragments, {}, QueryLimits()).collect([definition]) if not _varies(definition) else {}
    if len(collected) != 1:
        return None
    key, nodes = next(iter(collected.items()))
    field = mutation.fields.get(nodes[0].name.value)
    made: Any = field and field.extensions.get("strawberry-definition")
    making = made and made.metadata.get("making")
    if field is None or making is None or len(nodes) > 1:
        return None
    changing = PlannedMutation(key, making, field, nodes, fragments, schema, weight)
    inner = changing.selection(QueryLimits()).collect(nodes)
    return None if KEY_ALIAS in inner or _holds_texts(operation) else changing


class _LiteralFinder(Visitor):
    """Whether a variable stands in what is read back, and whether a text stands anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.depth = 0
        self.varies = self.texts = False

    def enter_selection_set(self, *_: Any) -> None:
        self.depth += 1

    def leave_selection_set(self, *_: Any) -> None:
        self.depth -= 1

    def enter_directive(self, *_: Any) -> None:
        self.varies = True

    def enter_variable(self, _: VariableNode, *__: Any) -> None:
        self.varies = self.varies or self.depth > 1

    def enter_string_value(self, node: StringValueNode, *_: Any) -> None:
        self.texts = True


def _varies(definition: Any) -> bool:
    looking = _LiteralFinder()
    visit(definition, looking)
    return looking.varies


def _holds_texts(operation: Operation) -> bool:
    looking = _LiteralFinder()
    visit(operation.document, looking)
    return looking.texts
