"""The size of a document: what it selects is counted before it is validated, whose costs grow with the square of it."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from app.core.errors import GraphQLValidation

CHARACTERS_PER_TOKEN = 20
"""Characters of a document that are allowed for each token that is allowed, white space and comments included."""
MAX_SELECTIONS = 20_000
"""Maximum number of selected fields and fragments of a document, each fragment counted wherever it is spread."""
MAX_PAIRS = 10_000
"""Maximum number of pairs that validation compares: fields of one name, and fragments, that are selected together."""

_NUMBER, _BLOCK_STRING = r"-?\d++(?:\.\d++)?+(?:[eE][+-]?\d++)?+", r'"""(?:[^"\\]++|\\(?:""")?+|"(?!""))*+"""'
_TOKEN_OR_COMMENT = re.compile(
    rf'{_BLOCK_STRING}|"(?:[^"\\\n\r]++|\\.)*+"|{_NUMBER}|\w++|\.\.\.|[!$&()\[\]{{}}:=@|]|(#)[^\n\r]*+', re.ASCII
)
"""A token, or a comment, which is a group; in a text with syntax errors there may be more tokens."""

Level = list[SelectionSetNode]
"""The selection sets of all fields that are merged into one field of the response."""


def check_text_size(text: str, max_tokens: int) -> None:
    """Check the size of a text, in a fraction of the time it takes to parse.

    Raises:
        GraphQLValidation: It is longer than its maximum number of tokens may be, or contains more tokens.
    """
    if len(text) > (max_length := max_tokens * CHARACTERS_PER_TOKEN):
        raise _too_large(f"has {len(text)} characters; at most {max_length} are allowed")
    if len(text) > max_tokens and has_more_tokens(text, max_tokens):
        raise _too_large(f"contains more than {max_tokens} tokens")


def has_more_tokens(text: str, max_tokens: int) -> bool:
    """Return whether a text contains more than `max_tokens` tokens; comments are none."""
    tokens = (match for match in _TOKEN_OR_COMMENT.finditer(text) if match.lastindex is None)
    return next(islice(tokens, max_tokens, None), None) is not None


def check_selections(document: DocumentNode, max_fields: int) -> None:
    """Check what the operations of a document select together, each fragment counted wherever it is spread.

    Raises:
        GraphQLValidation: They select more than `max_fields` fields of the response, or too much to be validated.
    """
    counter = _SelectionCounter(document, max_fields)
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            counter.count(node.selection_set)
    for name in counter.fragments.keys() - counter.spread:  # they are validated too
        counter.count(counter.fragments[name])


class _SelectionCounter:
    def __init__(self, document: DocumentNode, max_fields: int) -> None:
        self.fragments: Mapping[str, SelectionSetNode] = {
            node.name.value: node.selection_set
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        self.spread: set[str] = set()
        """The names of the fragments that were spread somewhere."""
        self.fields = self._selections = self._pairs = 0
        self._max_fields = max_fields

    def count(self, root: SelectionSetNode) -> None:
        pending = [[root]]
        while pending:
            pending += self._count_level(pending.pop())

    def _count_level(self, level: Level) -> Iterable[Level]:
        """Count the fields of one object in the response; return the levels below it."""
        occurrences, spread, sets = Counter[str](), set[str](), list(level)
        nested: dict[str, Level] = {}
        while sets:
            for node in sets.pop().selections:
                self._add_selection()
                if isinstance(node, FieldNode):
                    key = (node.alias or node.name).value
                    occurrences[key] += 1
                    if node.selection_set:
                        nested.setdefault(key, []).append(node.selection_set)
                elif isinstance(node, InlineFragmentNode):
                    sets.append(node.selection_set)
                elif isinstance(node, FragmentSpreadNode) and node.name.value not in spread:
                    spread.add(node.name.value)
                    sets += filter(None, [self.fragments.get(node.name.value)])
        self.spread |= spread
        self._add_fields(len(occurrences))
        self._add_pairs(len(spread), *occurrences.values())
        return nested.values()

    def _add_selection(self) -> None:
        self._selections += 1
        if self._selections > MAX_SELECTIONS:
            raise _too_large(f"selects more than {MAX_SELECTIONS} fields and fragments")

    def _add_fields(self, count: int) -> None:
        self.fields += count
        if self.fields > self._max_fields:
            raise _too_large(f"selects more than {self._max_fields} fields")

    def _add_pairs(self, *counts: int) -> None:
        self._pairs += sum(count * (count - 1) // 2 for count in counts)
        if self._pairs > MAX_PAIRS:
            raise _too_large("selects the same fields, or fragments together, too often")


def _too_large(problem: str) -> GraphQLValidation:
    return GraphQLValidation([{"message": f"The query {problem}."}])
