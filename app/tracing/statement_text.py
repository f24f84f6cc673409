"""The text of a statement without any value: bound parameters have none in it, and literals are replaced."""

import re
from functools import lru_cache

MAX_LENGTH = 4_000
LITERAL = re.compile(r"""'(?:[^']|'')*(?:'|\Z)|("[^"]*")|(?<![$\w.])\d+(?:\.\d+)?\b""")
"""A text or a number; not the number of a parameter, or one within a name. A quoted name is the group."""
WORD = re.compile(r"\w+")


def describe_statement(text: str) -> tuple[str, str]:
    """Return the operation of a statement, such as `SELECT`, and the beginning of its text without literals.

    Each is replaced by a question mark. Keys of responses are literals too, and a client may choose them.
    """
    return _described(text[:MAX_LENGTH])


@lru_cache(maxsize=512)
def _described(text: str) -> tuple[str, str]:
    first_word = WORD.search(text)
    return first_word[0].upper() if first_word else "", LITERAL.sub(lambda match: match[1] or "?", text)
