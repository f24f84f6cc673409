"""Literals lifted out of a query's text, so that texts which differ only in them are one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
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

TEXT_GAP, NUMBER_GAP = "\x01s", "\x01i"
"""What is left where a literal was: no query's text has such a character, but in a string."""

NAMES = tuple(f"{PREFIX}{number}" for number in range(100))
"""Of so many literals at most; what comes after them stays."""

_NUMBER = re.compile(r"(?<![\w.@-])(\d{1,9})(?![\w.])")


@dataclass(slots=True, eq=False)
class Lifted:
    """What is left of a text, and the literals that were in it, by the names of the variables they become."""

    text: str
    values: dict[str, Any]


def lift(text: str) -> Lifted:
    """Takes the strings and whole numbers out of a query's text.

    What stands in it twice stays, for the two may mean different things; so do texts with commas, which may be lists.
    Everything stays in a query that has variables, since what differs between its requests is in them, or `$` variables
    of a filter, and where strings can't be told from the rest at a glance.
    """
    pieces = text.split('"')
    if len(pieces) % 2 == 0 or "$" in text or "\\" in text or "#" in text or TEXT_GAP[0] in text or '"""' in text:
        return Lifted(text, {})
    parts = _cut(pieces)
    literals = parts[1::2]
    all_once = len(set(literals)) == len(literals)
    values: dict[str, Any] = {}
    for place, literal in enumerate(literals[: len(NAMES)]):
        if not all_once and literals.count(literal) > 1:
            continue
        if literal[0] != '"':
            values[NAMES[len(values)]] = int(literal)
            parts[2 * place + 1] = NUMBER_GAP
        elif _is_plain(literal):
            values[NAMES[len(values)]] = literal[1:-1]
            parts[2 * place + 1] = TEXT_GAP
    return Lifted("".join(parts), values)


def _cut(pieces: Sequence[str]) -> list[str]:
    """A text, of whose `pieces` every second one is a string, cut so that every second part is a literal."""
    parts = [*_numbers(pieces[0])]
    for place in range(1, len(pieces), 2):
        parts.append(f'"{pieces[place]}"')
        parts += _numbers(pieces[place + 1])
    return parts


@lru_cache(maxsize=500)
def _numbers(piece: str) -> list[str]:
    """A piece of a text cut at its numbers: every second part is one."""
    return _NUMBER.split(piece)


def _is_plain(literal: str) -> bool:
    return len(literal) > len('""') and "," not in literal and literal.isprintable()


def lift_document(schema: GraphQLSchema, document: DocumentNode, lifted: Lifted) -> DocumentNode | None:
    """The document with variables where those literals are; None where they can't be found again."""
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if len(operations) != 1:
        return None
    info = TypeInfo(schema)
    lifter = _Lifter(info, lifted)
    rewritten: DocumentNode = visit(document, TypeInfoVisitor(info, lifter))
    if lifter.lost or len(lifter.types) != len(lifted.values):
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

    def __init__(self, info: TypeInfo, lifted: Lifted) -> None:
        super().__init__()
        self._info, self._left = info, list(lifted.values.items())
        self.types: dict[str, str] = {}
        self.lost = False

    def enter_string_value(self, node: StringValueNode, *_: Any) -> ValueNode | None:
        return self._lift(node.value)

    def enter_int_value(self, node: IntValueNode, *_: Any) -> ValueNode | None:
        return self._lift(int(node.value))

    def enter_variable_definition(self, node: VariableDefinitionNode, *_: Any) -> None:
        self.lost = self.lost or node.default_value is not None

    def _lift(self, value: str | int) -> VariableNode | None:
        if not self._left or type(self._left[0][1]) is not type(value) or self._left[0][1] != value:
            return None
        type_ = self._info.get_input_type()
        name, _ = self._left.pop(0)
        if type_ is None or self._info.get_directive() is not None:
            self.lost = True
            return None
        self.types[name] = str(type_)
        return VariableNode(name=NameNode(value=name))


def _definition(name: str, type_: str) -> VariableDefinitionNode:
    variable = VariableNode(name=NameNode(value=name))
    return VariableDefinitionNode(variable=variable, type=parse_type(type_), default_value=None, directives=())
