"""Extraction of literals from the text of a query, so that texts which differ only in literals share one plan."""

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

from app.query.filter import NULL_TEXTS

VARIABLE_PREFIX = "_literal_"
"""Prefix of the variables that replace literals. No literal is extracted from a text with variables of its own."""

TEXT_PLACEHOLDER, NUMBER_PLACEHOLDER = "\x01", "\x02"
"""What replaces an extracted literal in the text. GraphQL allows these characters only within strings."""

MAX_LITERALS = 100
"""Maximum number of extracted literals of each kind; further ones remain in the text."""
TEXT_VARIABLES, NUMBER_VARIABLES = (
    tuple(f"{VARIABLE_PREFIX}{kind}_{index}" for index in range(MAX_LITERALS)) for kind in ("text", "number")
)
"""The names of the variables that replace literals, in the order of the literals."""

_DECIDING_TEXTS = NULL_TEXTS | {""}
"""Texts whose queries differ from those with other texts in more than a value."""
_INTEGER = re.compile(r"([0-9](?<![\w.@-].)(?:(?<!0)[0-9]{0,8})?)(?![\w.])")
"""An integer without a sign. The pattern begins with a digit, which is rare in a text, so that the search is fast."""


@dataclass(slots=True, eq=False)
class ExtractedLiterals:
    """A query's text with placeholders for its extracted literals, and these: strings and integers, in text order."""

    remaining_text: str
    texts: Sequence[str] = ()
    numbers: Sequence[int] = ()

    def __bool__(self) -> bool:
        return bool(self.texts or self.numbers)

    @property
    def values(self) -> dict[str, Any]:
        """The literals by the names of the variables that replace them."""
        return dict(
            chain(zip(TEXT_VARIABLES, self.texts, strict=False), zip(NUMBER_VARIABLES, self.numbers, strict=False))
        )


def extract_literals(text: str) -> ExtractedLiterals:
    """Extract the strings and integers from the text of a query.

    A literal that occurs twice remains, because the two may mean different things; so does a string with a comma, which
    may be a list. Nothing is extracted from a text that contains `$`: the requests of a query with variables differ in
    these, and a filter may contain variables of Directus. Nor is anything extracted if comments, escapes or block
    strings make it hard to tell strings from the rest of the text.
    """
    pieces = text.split('"')
    if len(pieces) % 2 == 0 or "$" in text or "\\" in text or "#" in text or '"""' in text or _has_placeholders(text):
        return ExtractedLiterals(text)
    texts = pieces[1::2]
    remaining, numbers = _extract_numbers(TEXT_PLACEHOLDER.join(pieces[::2]))
    if not (_are_unique(texts) and _DECIDING_TEXTS.isdisjoint(texts) and _is_simple("".join(texts))):
        remaining, texts = _extract_some(remaining.split(TEXT_PLACEHOLDER), texts, TEXT_PLACEHOLDER, '"{}"')
    return ExtractedLiterals(remaining, texts, numbers)


@lru_cache(maxsize=100)
def _extract_numbers(text: str) -> tuple[str, Sequence[int]]:
    """Return a text without strings with placeholders for its integers, and these.

    Cached, because most texts differ only in their strings.
    """
    parts = _INTEGER.split(text)
    gaps, numbers = parts[::2], parts[1::2]
    remaining = NUMBER_PLACEHOLDER.join(gaps)
    if not _are_unique(numbers):
        remaining, numbers = _extract_some(gaps, numbers, NUMBER_PLACEHOLDER, "{}")
    return remaining, [int(number) for number in numbers]


def _has_placeholders(text: str) -> bool:
    return TEXT_PLACEHOLDER in text or NUMBER_PLACEHOLDER in text


def _are_unique(literals: Sequence[str]) -> bool:
    """Return whether no literal occurs twice and there are variables for all of them."""
    return len(set(literals)) == len(literals) <= MAX_LITERALS


def _extract_some(
    gaps: Sequence[str], literals: Sequence[str], placeholder: str, template: str
) -> tuple[str, list[str]]:
    """Join a text that was split at its literals; return it with placeholders for the extracted ones, and these.

    `template` is how a literal that remains is written.
    """
    counts, parts, extracted = Counter(literals), [gaps[0]], list[str]()
    for literal, gap in zip(literals, gaps[1:], strict=True):
        is_plain = counts[literal] == 1 and literal not in _DECIDING_TEXTS and _is_simple(literal)
        extracts = is_plain and len(extracted) < MAX_LITERALS
        parts += (placeholder if extracts else template.format(literal), gap)
        if extracts:
            extracted.append(literal)
    return "".join(parts), extracted


def _is_simple(literal: str) -> bool:
    return "," not in literal and literal.isprintable()


def parameterize_document(
    schema: GraphQLSchema, document: DocumentNode, literals: ExtractedLiterals
) -> DocumentNode | None:
    """Return the document with variables in place of the extracted literals; None if that is not possible."""
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if len(operations) != 1:
        return None
    info = TypeInfo(schema)
    replacer = _LiteralReplacer(info, literals)
    rewritten: DocumentNode = visit(document, TypeInfoVisitor(info, replacer))
    if replacer.failed or replacer.pending:
        return None
    added = tuple(_variable_definition(name, type_) for name, type_ in replacer.types.items())
    definitions = tuple(
        replace(node, variable_definitions=(*(node.variable_definitions or ()), *added))
        if isinstance(node, OperationDefinitionNode)
        else node
        for node in rewritten.definitions
    )
    return replace(rewritten, definitions=definitions)


class _LiteralReplacer(Visitor):
    """Replaces the extracted literals by variables. A visit meets them in the order of the text."""

    def __init__(self, info: TypeInfo, literals: ExtractedLiterals) -> None:
        super().__init__()
        self._info, self.pending = info, literals.values
        self.types: dict[str, str] = {}
        self.failed = False

    def enter_string_value(self, node: StringValueNode, *_: Any) -> ValueNode | None:
        return self._replace(node.value)

    def enter_int_value(self, node: IntValueNode, *_: Any) -> ValueNode | None:
        return self._replace(int(node.value))

    def enter_variable_definition(self, node: VariableDefinitionNode, *_: Any) -> None:
        self.failed = self.failed or node.default_value is not None

    def _replace(self, value: str | int) -> VariableNode | None:
        name = next((name for name, literal in self.pending.items() if type(literal) is type(value)), None)
        if name is None or self.pending[name] != value:
            return None
        del self.pending[name]
        type_ = self._info.get_input_type()
        if type_ is None or self._info.get_directive() is not None:
            self.failed = True
            return None
        self.types[name] = str(type_)
        return VariableNode(name=NameNode(value=name))


def _variable_definition(name: str, type_: str) -> VariableDefinitionNode:
    variable = VariableNode(name=NameNode(value=name))
    return VariableDefinitionNode(variable=variable, type=parse_type(type_), default_value=None, directives=())
