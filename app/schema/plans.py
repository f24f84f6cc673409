"""Queries answered from plans: a text seen before costs a look-up, its values, and its statements.

Only what goes well goes this way. Whatever can't be planned, whatever is refused, a caller whose rights have changed:
all of that is left to the ordinary execution, which says why.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from graphql import FragmentDefinitionNode, GraphQLSchema, OperationType, VariableNode, Visitor, visit
from graphql.execution.values import VariableValues, get_argument_values

from app.core.binding import Source, slot
from app.core.errors import RollcallError, ServiceUnavailable
from app.core.kept import Kept
from app.policy.load import kind_of
from app.policy.rules import Access
from app.repositories.directory import Directory
from app.repositories.plan import Plan, ask, in_form, make_plan
from app.schema.items import Asking, Question
from app.schema.lifting import Lifted, lift, lift_document
from app.schema.operation import Operation, compile_operation, read_document, take_variables
from app.schema.overlay import overlay, shown_to
from app.schema.selection import Selection

TEXTS, FORMS, PLANS = 500, 1_000, 1_000
"""Texts, forms of requests and plans that are kept at once."""
LONGEST = 20_000
"""Characters of a text that is kept; longer ones go the ordinary way."""

_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_KEY_LENGTH = 36


@dataclass(slots=True)
class Root:
    """One root field of a planned query: the plan that finds its rows, if it takes one, and how they answer it."""

    key: str
    question: Question
    plan: Plan | None

    @property
    def known(self) -> str:
        """What answers it without a statement, as JSON."""
        return orjson.dumps(self.question.known).decode()


@dataclass(slots=True)
class Planned:
    """A query of one form: its root fields, and each distinct plan among them."""

    roots: list[Root]
    plans: list[Plan]


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """Requests that differ in nothing but values; those of `decisive` sources have plans of their own."""

    decisive: frozenset[Source] = frozenset()

    def values(self, given: Mapping[Source, Any]) -> Hashable:
        """What tells apart the plans of this form."""
        return tuple(_hashable(given[source]) for source in sorted(self.decisive))


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A query's text without its literals, compiled for the full schema."""

    operation: Operation
    once: frozenset[str]
    """Variables that stand in one place only, where another value means the same."""


UNKNOWN = Planned([], [])
"""Stands where nothing was planned yet."""


class Plans:
    """The plans of one schema, for the directories of one set of services."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._texts: Kept[Hashable, Prepared] = Kept(TEXTS)
        self._lifted: Kept[str, Lifted] = Kept(TEXTS)
        self._forms: Kept[Hashable, Form] = Kept(FORMS)
        self._plans: Kept[Hashable, Planned | None] = Kept(PLANS)

    async def answer(
        self, directory: Directory, text: str, variables: dict[str, Any] | None, name: str | None
    ) -> bytes | None:
        """The whole answer to a query as JSON, or None where the ordinary execution has to find it.

        Raises ServiceUnavailable as the repositories do.
        """
        access = directory.services.book.known(directory.caller)
        if access is None or directory.caller.system or len(text) > LONGEST:
            return None
        try:
            return await self._answer(directory, access, text, variables, name)
        except RecursionError:
            return None

    async def _answer(
        self, directory: Directory, access: Access, text: str, variables: dict[str, Any] | None, name: str | None
    ) -> bytes | None:
        prepared, literals = self._prepared(text, name, directory)
        if prepared is None:
            return None
        values = {**variables, **literals} if variables else literals
        given = {**access.own, "now": directory.services.clock()}
        shape = tuple(_take(prepared, name_, value, given) for name_, value in values.items())
        key = (prepared, shape, access.form, kind_of(directory.caller), access.user is None)
        form = self._forms.get(key, None) or self._forms.keep(key, Form())
        planned = self._plans.get((form, form.values(given)), UNKNOWN)
        if planned is UNKNOWN:
            planned = self._plan(prepared, values, given, directory, access)
            decisive = form.decisive | _decisive(planned, given)
            if decisive != form.decisive:
                form = self._forms.keep(key, Form(decisive))
            self._plans.keep((form, form.values(given)), planned)
        return None if planned is None else await _ask(planned, directory, access, given)

    def _prepared(self, text: str, name: str | None, directory: Directory) -> tuple[Prepared | None, dict[str, Any]]:
        lifted = self._lifted.get(text, None) or self._lifted.keep(text, lift(text))
        tokens = directory.services.limits.tokens
        key = (lifted.text, name, tokens)
        prepared = self._texts.get(key, None)
        if prepared is None:
            made = _prepare(self._schema, text, lifted, name, tokens)
            if made is None or made.operation.definition.operation is not OperationType.QUERY:  # type: ignore[union-attr]
                self._lifted.drop(text)  # what isn't planned isn't kept: it may be a mutation, with a password in it
                return None, {}
            prepared = self._texts.keep(key, made)
        return prepared, lifted.values

    def _plan(
        self,
        prepared: Prepared,
        values: dict[str, Any],
        given: dict[Source, Any],
        directory: Directory,
        access: Access,
    ) -> Planned | None:
        """The query planned for this request and those like it; None where it can't be."""
        operation = prepared.operation
        slots = {name: _slotted(value, name, given) for name, value in values.items()}
        variables = take_variables(self._schema, operation, slots)
        seen = overlay(self._schema, shown_to(access), introspection=directory.services.limits.introspection)
        refused = operation.errors or variables.errors or operation.introspects
        if refused or not seen.admits(operation.coordinates | variables.coordinates):
            return None
        try:
            return self._roots(operation, variables.coerced, directory, in_form(access))
        except (RollcallError, ValueError, RecursionError):
            return None

    def _roots(
        self, operation: Operation, variables: dict[str, Any], directory: Directory, access: Access
    ) -> Planned | None:
        fragments = {
            node.name.value: node for node in operation.document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        selection = Selection(self._schema, fragments, variables, directory.services.limits)
        query: Any = self._schema.query_type
        roots, plans = [], dict[Any, Plan]()
        for key, nodes in selection.collect([operation.definition]).items():
            definition = query.fields.get(nodes[0].name.value)
            found: Callable[[Asking], Question] | None = _asked(definition)
            if found is None:
                return None
            arguments = get_argument_values(definition, nodes[0], VariableValues({}, variables))
            question = found(Asking(access, selection, nodes, arguments))
            plan = None
            if question.asked is not None:
                plan = plans.get(question.asked) or make_plan(
                    question.asked, directory.caller, access, directory.services
                )
                plans[question.asked] = plan
            roots.append(Root(key, question, plan))
        return Planned(roots, list(plans.values()))


VALUE = "$"
"""Begins the source of a value that a client gave."""


def _decisive(planned: Planned | None, given: Mapping[Source, Any]) -> frozenset[Source]:
    """The sources whose values the plan holds, or that decided whether there is one."""
    plans = planned.plans if planned else []
    drawn = frozenset[Source]().union(*(plan.bound for plan in plans))
    free = {source for source in given if source.startswith(VALUE)} - drawn
    return frozenset(free).union(*(plan.fixed for plan in plans))


async def _ask(planned: Planned, directory: Directory, access: Access, given: Mapping[Source, Any]) -> bytes | None:
    try:
        if len(planned.plans) == 1:
            answers = [await ask(planned.plans[0], access, given, directory.services)]
        else:
            answers = await asyncio.gather(*(ask(plan, access, given, directory.services) for plan in planned.plans))
        if None in answers:
            return None
        found = {id(plan): text for plan, text in zip(planned.plans, answers, strict=True) if text is not None}
        members = (
            f'"{root.key}":{root.question.answer.of_text(found[id(root.plan)]) if root.plan else root.known}'
            for root in planned.roots
        )
        return f'{{"data":{{{",".join(members)}}}}}'.encode()
    except ServiceUnavailable:
        raise
    except (RollcallError, ValueError):
        return None


def _prepare(schema: GraphQLSchema, text: str, lifted: Lifted, name: str | None, tokens: int) -> Prepared | None:
    try:
        document = read_document(text, tokens)
    except RollcallError:
        return None
    if lifted.values:
        found = lift_document(schema, document, lifted)
        if found is None:
            return None
        document = found
    operation = compile_operation(schema, document, name)
    if operation.errors or operation.definition is None:
        return None
    uses = _Uses()
    visit(operation.document, uses)
    once = frozenset(variable for variable, times in uses.counted.items() if times == 2)  # defined, and used
    return Prepared(operation, once)


class _Uses(Visitor):
    """How often a variable's name stands in a document, its definition included."""

    def __init__(self) -> None:
        super().__init__()
        self.counted = Counter[str]()

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.counted[node.name.value] += 1


def _asked(definition: Any) -> Callable[[Asking], Question] | None:
    made = definition and definition.extensions.get("strawberry-definition")
    found: Callable[[Asking], Question] | None = made and made.metadata.get("ask")
    return found


def _take(prepared: Prepared, name: str, value: Any, given: dict[Source, Any]) -> Hashable:
    """The form of a variable's value; what in it may differ goes into `given`."""
    if name not in prepared.once:
        return (name, "=", repr(value))
    return (name, _form(value, f"{VALUE}{name}", given))


def _form(value: Any, source: Source, given: dict[Source, Any]) -> Hashable:
    kind = type(value)
    if kind is dict:
        return tuple((key, _form(inner, f"{source}.{key}", given)) for key, inner in value.items())
    if kind is list:
        forms = {_scalar(item) for item in value}
        if len(forms) == 1 and (one := forms.pop()):
            given[source] = value
            return f"[{one}]"
        return ("[]", *(_form(item, f"{source}.{at}", given) for at, item in enumerate(value)))
    if scalar := _scalar(value):
        given[source] = value
        return scalar
    return ("=", repr(value))


def _scalar(value: Any) -> str | None:
    """The kind of a value that another of its kind may stand in for; None where the value itself matters."""
    if type(value) is int:
        return "number" if 0 <= value < 2**31 else None
    if type(value) is not str or not value or value[0] == "$" or "," in value:
        return None
    if len(value) != _KEY_LENGTH:
        return "text"
    return "key" if _UUID.fullmatch(value) else None


def _slotted(value: Any, name: str, given: Mapping[Source, Any]) -> Any:
    """The value with a Slot wherever `given` holds a part of it."""

    def walk(value: Any, source: Source) -> Any:
        if source in given:
            return slot(value, source)
        if isinstance(value, dict):
            return {key: walk(inner, f"{source}.{key}") for key, inner in value.items()}
        if isinstance(value, list):
            return [walk(item, f"{source}.{at}") for at, item in enumerate(value)]
        return value

    return walk(value, f"{VALUE}{name}")


def _hashable(value: Any) -> Hashable:
    return tuple(value) if isinstance(value, list) else value
