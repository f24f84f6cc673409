"""JSON as a person types it into a form: parsed with the line and the column of each error."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

JsonPath = tuple[str | int, ...]
"""The names and indexes that lead to a value inside a JSON value."""

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+')


class JsonTextError(ValueError):
    """A text is not JSON. `offset` is where in the text."""

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(reason)
        self.reason, self.offset = reason, offset


@dataclass(frozen=True, slots=True)
class ParsedText:
    """A parsed JSON text: its value, and the offset of each part of it: of names in objects, of items in lists."""

    text: str
    value: Any
    offsets: dict[JsonPath, int]

    def offset(self, path: Sequence[str | int]) -> int:
        """Return the offset of a part, or of the closest part around it that the text has."""
        steps = tuple(path)
        while steps and steps not in self.offsets:
            steps = steps[:-1]
        return self.offsets.get(steps, 0)


@dataclass(slots=True)
class _Container:
    """An open object or list, with the name or the index of its current part; None before a name."""

    is_object: bool
    step: str | int | None


def parse_json_text(text: str) -> ParsedText:
    """Parse a JSON text.

    Raises:
        JsonTextError: The text is not JSON, is nested too deeply, has a name twice in one object, or half a character.
    """
    try:
        value = json.loads(text, parse_constant=_reject_constant)
    except json.JSONDecodeError as error:
        raise JsonTextError(error.msg, error.pos) from None
    except RecursionError:
        raise JsonTextError("Too deeply nested", 0) from None
    except ValueError as error:  # a number that JSON does not have, such as NaN, or one with too many digits
        raise JsonTextError(str(error), 0) from None
    _require_characters(text, value)
    return ParsedText(text, value, _part_offsets(text))


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Return the position of an offset as people count: from 1."""
    start = text.rfind("\n", 0, offset) + 1
    return text.count("\n", 0, offset) + 1, offset - start + 1


def _require_characters(text: str, value: Any) -> None:
    """Check that no string has half of a surrogate pair, which neither databases nor pages can contain."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        match = _SURROGATE.search(text)
        raise JsonTextError("This escape is half of a character", match.start() if match else 0) from None


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _part_offsets(text: str) -> dict[JsonPath, int]:
    offsets: dict[JsonPath, int] = {}
    stack: list[_Container] = []
    for match in _TOKEN.finditer(text):
        part, container = match[0], stack[-1] if stack else None
        if part in ("}", "]"):
            stack.pop()
        elif part == ",":
            _start_next_part(container)
        elif part != ":":
            is_name = container is not None and container.step is None
            if container is not None and is_name:
                container.step = json.loads(part)
            if is_name or (container is not None and not container.is_object):
                _record(offsets, stack, match.start())
            if not is_name and part in ("{", "["):
                stack.append(_Container(part == "{", None if part == "{" else 0))
    return offsets


def _start_next_part(container: _Container | None) -> None:
    if container is not None:
        container.step = None if container.is_object else int(container.step or 0) + 1


def _record(offsets: dict[JsonPath, int], stack: list[_Container], offset: int) -> None:
    path = tuple(container.step for container in stack if container.step is not None)
    if path in offsets:
        raise JsonTextError(f'"{path[-1]}" occurs twice in this object', offset)
    offsets[path] = offset
