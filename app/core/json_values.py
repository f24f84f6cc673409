"""Which JSON values both databases store and every client can read."""

import re
from functools import lru_cache
from typing import Any

import orjson

MAX_JSON_DEPTH = 100
"""The maximum nesting of a JSON value from a client."""
MAX_STORED_JSON_DEPTH = 200
"""The same for a stored value, such as a revision's data or what Directus stored; orjson writes 254 levels in all."""
_NEXT_VALUE = rb'(?:[^",\[{]++|"(?:[^"\\]++|\\.)*+"|[\[{](?=\s*+[\]}]))*+[,\[{]'
"""The text up to a comma or the beginning of a list or object that is not empty: as many as it contains values."""
_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def normalized_json(value: Any, max_depth: int = MAX_JSON_DEPTH, max_values: int | None = None) -> Any:
    """Return a JSON value with the types that decoding it from a database gives.

    Raises:
        ValueError: The value is no JSON, is nested too deeply, contains too many values, or contains U+0000, in which
            PostgreSQL cannot search.
    """
    try:
        text = orjson.dumps(value)
        normalized = orjson.loads(text)
    except (orjson.JSONDecodeError, TypeError):
        raise ValueError(f"Expected JSON, such as a list, nested at most {max_depth} levels deep") from None
    if _ESCAPED_NUL.search(text):
        raise ValueError("A string must not contain U+0000 or an unpaired surrogate")
    if problem := json_size_problem(normalized, max_depth, max_values):
        raise ValueError(f"JSON {problem}")
    return normalized


def json_size_problem(value: Any, max_depth: int, max_values: int | None = None) -> str | None:
    """Return why a JSON value is too large, as a phrase that follows its name; None if it is not.

    Objects and lists are nested at most `max_depth` levels, and contain at most `max_values` values in all.
    """
    level, count = [value], 0
    for _ in range(max_depth + 1):
        level = [item for item in level if isinstance(item, list | dict)]
        if not level:
            return None
        count += sum(map(len, level))
        if max_values is not None and count > max_values:
            return too_many_values(max_values)
        level = [child for item in level for child in (item.values() if isinstance(item, dict) else item)]
    return f"can be nested at most {max_depth} levels deep"


def too_many_values(max_values: int) -> str:
    """Return why a JSON value with more values than these is too large, as a phrase that follows its name."""
    return f"can contain at most {max_values} values"


def has_too_many_values(text: bytes, max_values: int) -> bool:
    """Return whether a JSON text contains more than `max_values` values, in a fraction of the time it takes to parse.

    The result for a text that is not JSON means nothing.
    """
    if text.count(b",") + text.count(b"[") + text.count(b"{") <= max_values:  # those in strings included
        return False
    return _more_values_than(max_values).match(text) is not None


@lru_cache(maxsize=8)
def _more_values_than(count: int) -> re.Pattern[bytes]:
    return re.compile(b"(?:%b){%d}+" % (_NEXT_VALUE, count + 1), re.DOTALL)
