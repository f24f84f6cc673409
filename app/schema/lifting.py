"""Literals lifted out of a query's text, so that texts which differ only in them are one."""

import re
from collections import Counter
from dataclasses import dataclass, replace
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

_LITERAL = re.compile(r'"(?:[^"\\\n]|\\.)*"|(?<![\w.$@-])\d{1,9}(?![\w.])')
_PLAIN = re.compile(r'[^"\\\n,$][^"\\\n,]*')


@dataclass(frozen=True, slots=True)
class Lifted:
    """What is left of a text, and the literals that were in it, by the names of the variables they become."""

    text: str
    values: dict[str, Any]


def lift(text: str) -> Lifted:
    """Takes the strings and whole numbers out of a query's text.

    What stands in it twice stays, for the two may mean different things; so do texts with commas, which may be lists,
    and whatever begins with `$`, which may be a variable of a filter.
    """
    if any(mark in text for mark in ("#", '"""', PREFIX, TEXT_GAP[0])):
        return Lifted(text, {})
    found = Counter(_LITERAL.findall(text))
    values: dict[str, Any] = {}

    def take(match: re.Match[str]) -> str:
        literal = match[0]
        if found[literal] > 1 or (literal[0] == '"' and not _PLAIN.fullmatch(literal[1:-1])):
            return literal
        values[f"{PREFIX}{len(values)}"] = literal[1:-1] if literal[0] == '"' else int(literal)
        return TEXT_GAP if literal[0] == '"' else NUMBER_GAP

    return Lifted(_LITERAL.sub(take, text), values)


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
