"""Reads YAML from its parser's events: one document without aliases, tags and duplicate keys.

Plain words mean what they mean in JSON, and nothing else: `no`, `on` and `2024-01-01` are texts.
"""

import re
from collections.abc import Iterator
from math import isfinite
from typing import Any

import yaml
from yaml.reader import Reader

from app.core.values import is_storable
from app.policy_files.located import DocumentError, Located, Position, Scalar

MAX_VALUES = 500_000
"""Maximum number of values in a file, keys included."""
MAX_DEPTH = 100
"""Maximum nesting of lists and mappings."""
WORDS: dict[str, Scalar] = {"": None, "null": None, "~": None, "true": True, "false": False}
INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})")
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MERGE_KEY = "<<"


def read_document(content: bytes, file: str) -> Located:
    """Return the only document of a file.

    Raises:
        DocumentError: The content is empty, not UTF-8, not YAML, or uses what is not allowed.
    """
    text = _decode(content, file)
    events = yaml.parse(text, Loader=LOADER)
    try:
        document = _EventReader(events, file).document()
    except yaml.YAMLError as error:
        raise _syntax_error(error, file) from None
    if document is None or document.value is None:
        raise Position(file, 1).error("the file is empty.")
    return document


def _decode(content: bytes, file: str) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise Position(file, line).error("the file is not UTF-8.") from None
    if match := Reader.NON_PRINTABLE.search(text):
        line = text.count("\n", 0, match.start()) + 1
        raise Position(file, line).error("this is not YAML: control characters are not allowed.")
    return text


def _syntax_error(error: yaml.YAMLError, file: str) -> DocumentError:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable"
    position = Position(file, mark.line + 1) if mark else Position(file, 1)
    return position.error(f"this is not YAML: {problem}.")


class _EventReader:
    """Builds located values from the events of a parser, which reads as it is iterated."""

    def __init__(self, events: Iterator[Any], file: str) -> None:
        self._events, self._file = events, file
        self._values_left = MAX_VALUES

    def document(self) -> Located | None:
        """Return the document; None if there is none."""
        document: Located | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if document is not None:
                    raise self._at(event).error("a file has one document only.")
                document = self._value(next(self._events), 0)
        return document

    def _value(self, event: Any, depth: int) -> Located:
        at = self._at(event)
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise at.error("anchors and aliases are not allowed. Repeat the value.")
        if event.tag is not None:
            raise at.error(f"tags such as {event.tag} are not allowed.")
        self._values_left -= 1
        if self._values_left < 0:
            raise at.error(f"a file can have at most {MAX_VALUES} values.")
        if depth > MAX_DEPTH:
            raise at.error(f"values can be nested at most {MAX_DEPTH} levels deep.")
        if isinstance(event, yaml.ScalarEvent):
            if not is_storable(event.value):
                raise at.error("a text cannot contain the character U+0000 or an unpaired surrogate.")
            return Located(_scalar(event), at)
        if isinstance(event, yaml.SequenceStartEvent):
            return Located([self._value(item, depth + 1) for item in self._until(yaml.SequenceEndEvent)], at)
        return self._mapping(at, depth)

    def _mapping(self, at: Position, depth: int) -> Located:
        values: dict[str, Located] = {}
        positions: dict[str, Position] = {}
        for event in self._until(yaml.MappingEndEvent):
            key = self._value(event, depth + 1)
            if not isinstance(key.value, str):
                raise key.at.error("a key must be a text. Put it in quotes.")
            if key.value == MERGE_KEY and event.implicit[0]:
                raise key.at.error("merge keys are not allowed. Repeat the values.")
            if key.value in values:
                raise key.at.error(f"the key {key.value!r} occurs twice, first in line {positions[key.value].line}.")
            positions[key.value] = key.at
            values[key.value] = self._value(next(self._events), depth + 1)
        return Located(values, at, positions)

    def _until(self, end: type[Any]) -> Iterator[Any]:
        for event in self._events:
            if isinstance(event, end):
                return
            yield event

    def _at(self, event: Any) -> Position:
        return Position(self._file, event.start_mark.line + 1)


def _scalar(event: Any) -> Scalar:
    text: str = event.value
    if not event.implicit[0]:  # quoted, or a block of text
        return text
    if text in WORDS:
        return WORDS[text]
    if INTEGER.fullmatch(text):
        return int(text)
    return float(text) if NUMBER.fullmatch(text) and isfinite(float(text)) else text
