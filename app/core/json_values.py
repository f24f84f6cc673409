"""Which JSON values both databases store and every client can read."""

import re
from typing import Any

import orjson

MAX_JSON_DEPTH = 100
"""The maximum nesting of a JSON value from a client."""
MAX_STORED_JSON_DEPTH = 200
"""The same for a stored value, such as a revision's data or what Directus stored; orjson writes 254 levels in all."""
_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def normalized_json(value: Any, max_depth: int = MAX_JSON_DEPTH) -> Any:
    """Return a JSON value with the types that decoding it from a database gives.

    Raises:
        ValueError: The value is no JSON, is nested too deeply, or contains U+0000, in which PostgreSQL cannot search.
    """
    try:
        text = orjson.dumps(value)
        normalized = orjson.loads(text)
    except (orjson.JSONDecodeError, TypeError):
        raise ValueError(f"Expected JSON, such as a list, nested at most {max_depth} levels deep") from None
    if _ESCAPED_NUL.search(text):
        raise ValueError("A string must not contain U+0000 or an unpaired surrogate")
    if _exceeds_depth(normalized, max_depth):
        raise ValueError(f"JSON can be nested at most {max_depth} levels deep")
    return normalized


def _exceeds_depth(value: Any, max_depth: int) -> bool:
    level = [value]
    for _ in range(max_depth + 1):
        level = [item for item in level if isinstance(item, list | dict)]
        if not level:
            return False
        level = [child for item in level for child in (item.values() if isinstance(item, dict) else item)]
    return True
