"""The regular expressions inside a filter as it is stored."""

from collections.abc import Iterator
from typing import Any

from app.query.operators import REGEX


def regexes_in(raw: Any) -> Iterator[str]:
    """Yield the regular expressions of a JSON filter of any collection, also of one that is not served.

    A variable in place of one is yielded too; read as a regular expression, it is valid.
    """
    items = [raw]
    while items:
        item = items.pop()
        if isinstance(item, dict):
            if isinstance(pattern := item.get(REGEX), str):
                yield pattern
            items += item.values()
        elif isinstance(item, list):
            items += item
