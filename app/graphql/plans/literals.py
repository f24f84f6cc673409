"""Literals lifted out of a query's text, so that texts which differ only in them are one."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLSchema,
    IntValueNode,
    NameNode,
    OperationDefinitionNode,
    StringValueNode,
    TypeInfo,
    TypeInfoVisitor,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    parse_type,
    visit,
)

PREFIX = "_literal_"
"""Begins the name of a variable that stands where a literal was; no client's may."""

TEXT_GAP, NUMBER_GAP = "\x01", "\x02"
"""What is left where a literal was: no query's text has such a character, but in a string."""

MOST = 100
"""Literals of a kind that are lifted at most; what comes after them stays."""
TEXTS, NUMBERS = (tuple(f"{PREFIX}{kind}_{number}" for number in range(MOST)) for kind in ("text", "number"))
"""The names of the variables they become."""

_NUMBER = re.compile(r"([0-9](?<![\w.@-].)(?:(?<!0)[0-9]{0,8})?)(?![\w.])")
"""A whole number without a sign. It begins with what nearly no place of a text is, so that it is found quickly."""


@dataclass(slots=True, eq=False)
class ExtractedLiterals:
    """What is left of a query's text, and the literals that were in it: strings and numbers, each in their order."""

    left: str
    texts: Sequence[str] = ()
    numbers: Sequence[int] = ()

    def __bool__(self) -> bool:
        return bool(self.texts or self.numbers)

    @property
    def values(self) -> dict[str, Any]:
        """The literals by the names of the variables they become."""
        return dict(chain(zip(TEXTS, self.texts, strict=False), zip(NUMBERS, self.numbers, strict=False)))


def extract_literals(text: str) -> ExtractedLiterals:
    """Takes the strings and whole numbers out of a query's text.

    What stands in it twice stays, for the two may mean different things; so do texts with commas, which may be lists.
    Everything stays in a query that has variables, since what differs between its requests is in them, or `$` variables
    of a filter, and where strings can't be told from the rest at a glance.
    """
    pieces = text.split('"')
    if len(pieces) % 2 == 0 or "$" in text or "\\" in text or "#" in text or '"""' in text or _has_gaps(text):
        return ExtractedLiterals(text)
    texts = pieces[1::2]
    left, numbers = _lift_numbers(TEXT_GAP.join(pieces[::2]))
    if not (_stand_once(texts) and all(texts) and _is_plain("".join(texts))):
        left, texts = _lift_some(left.split(TEXT_GAP), texts, TEXT_GAP, '"{}"')
    return ExtractedLiterals(left, texts, numbers)


@lru_cache(maxsize=100)
def _lift_numbers(text: str) -> tuple[str, Sequence[int]]:
    """A text without strings -> the same with marks for its numbers, and those: mostly it was there before."""
    parts = _NUMBER.split(text)
    gaps, numbers = parts[::2], parts[1::2]
    left = NUMBER_GAP.join(gaps)
    if not _stand_once(numbers):
        left, numbers = _lift_some(gaps, numbers, NUMBER_GAP, "{}")
    return left, [int(number) for number in numbers]


def _has_gaps(text: str) -> bool:
    return TEXT_GAP in text or NUMBER_GAP in text


def _stand_once(literals: Sequence[str]) -> bool:
    """Whether each of them does, and all may be lifted."""
    return len(set(literals)) == len(literals) <= MOST


def _lift_some(gaps: Sequence[str], literals: Sequence[str], mark: str, spelled: str) -> tuple[str, list[str]]:
    """A text cut at its literals -> the same with a mark for each that is lifted, and those."""
    times, left, lifted = Counter(literals), [gaps[0]], list[str]()
    for literal, gap in zip(literals, gaps[1:], strict=True):
        lifts = literal and times[literal] == 1 and _is_plain(literal) and len(lifted) < MOST
        left += (mark if lifts else spelled.format(literal), gap)
        if lifts:
            lifted.append(literal)
    return "".join(left), lifted


def _is_plain(literal: str) -> bool:
    return "," not in literal and literal.isprintable()


def parameterize_document(
    schema: GraphQLSchema, document: DocumentNode, lifted: ExtractedLiterals
) -> DocumentNode | None:
    """The document with variables where those literals are; None where they can't be found again."""
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if len(operations) != 1:
        return None
    info = TypeInfo(schema)
    lifter = _Lifter(info, lifted)
    rewritten: DocumentNode = visit(document, TypeInfoVisitor(info, lifter))
    if lifter.lost or lifter.left:
        return None
    made = tuple(_definition(name, type_) for name, type_ in lifter.types.items())
    definitions = tuple(
        replace(node, variable_definitions=(*(node.variable_definitions or ()), *made))
        if isinstance(node, OperationDefinitionNode)
        else node
        for node in rewritten.definitions
    )
    return replace(rewritten, definitions=definitions)


class _Lifter(Visitor):
    """Finds the literals in the order in which the text has them."""

    def __init__(self, info: TypeInfo, lifted: ExtractedLiterals) -> None:
        super().__init__()
        self._info, self.left = info, lifted.values
        self.types: dict[str, str] = {}
        self.lost = False

    def enter_string_value(self, node: StringValueNode, *_: Any) -> ValueNode | None:
        return self._lift(node.value)

    def enter_int_value(self, node: IntValueNode, *_: Any) -> ValueNode | None:
        return self._lift(int(node.value))

    def enter_variable_definition(self, node: VariableDefinitionNode, *_: Any) -> None:
        self.lost = self.lost or node.default_value is not None

    def _lift(self, value: str | int) -> VariableNode | None:
        name = next((name for name, lifted in self.left.items() if type(lifted) is type(value)), None)
        if name is None or self.left[name] != value:
            return None
        del self.left[name]
        type_ = self._info.get_input_type()
        if type_ is None or self._info.get_directive() is not None:
            self.lost = True
            return None
        self.types[name] = str(type_)
        return VariableNode(name=NameNode(value=name))


def _definition(name: str, type_: str) -> VariableDefinitionNode:
    variable = VariableNode(name=NameNode(value=name))
    return VariableDefinitionNode(variable=variable, type=parse_type(type_), default_value=None, directives=())
