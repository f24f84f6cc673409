"""Values of a document with their positions, so that each error names the file and the line."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Self

from app.core.errors import OperatorError

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Position:
    """A line of a file, counted from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        """Return the position as errors name it."""
        return f"{self.file}, line {self.line}"

    def error(self, message: str) -> "DocumentError":
        """Return the error that something at this position is wrong."""
        return DocumentError(f"{self}: {message}")


class DocumentError(OperatorError):
    """A document is invalid. The message begins with the file and the line."""


@dataclass(frozen=True, slots=True)
class Located:
    """A value, and where it begins: a scalar, a list, or a mapping whose keys are texts.

    The methods that return a typed value raise:

    Raises:
        DocumentError: The value has another type.
    """

    value: "Scalar | list[Located] | dict[str, Located]"
    at: Position
    key_positions: Mapping[str, Position] | None = None
    """Where each key of a mapping is."""

    def text(self, name: str) -> str:
        """Return a text that is not empty; `name` says in an error what the value is."""
        if not isinstance(self.value, str):
            raise self._wrong_type(name, "a text")
        if not self.value:
            raise self.at.error(f"{name} must not be empty.")
        return self.value

    def flag(self, name: str) -> bool:
        """Return a truth value."""
        if not isinstance(self.value, bool):
            raise self._wrong_type(name, "true or false")
        return self.value

    def integer(self, name: str) -> int:
        """Return an integer that is not negative."""
        if not isinstance(self.value, int) or isinstance(self.value, bool) or self.value < 0:
            raise self._wrong_type(name, "an integer that is not negative")
        return self.value

    def items(self, name: str) -> "list[Located]":
        """Return the items of a list; null is an empty one."""
        if self.value is None:
            return []
        if not isinstance(self.value, list):
            raise self._wrong_type(name, "a list")
        return self.value

    def mapping(self, name: str) -> "dict[str, Located]":
        """Return a mapping."""
        if not isinstance(self.value, dict):
            raise self._wrong_type(name, "a mapping")
        return self.value

    def entry(self, name: str, allowed: Iterable[str]) -> "Entry":
        """Return a mapping that has no other keys than these."""
        values, keys = self.mapping(name), list(allowed)
        for key in values:
            if key not in keys:
                raise self.key_position(key).error(f"{name} has no key {key!r}. {suggestion(key, keys)}")
        return Entry(name, values, self.at)

    def key_position(self, key: str) -> Position:
        """Return where a key of the mapping is."""
        return (self.key_positions or {}).get(key, self.at)

    def plain(self) -> Any:
        """Return the value without positions."""
        match self.value:
            case list(items):
                return [item.plain() for item in items]
            case dict(items):
                return {key: item.plain() for key, item in items.items()}
            case scalar:
                return scalar

    def walk(self) -> "Iterator[Self | Located]":
        """Yield this value and all values in it."""
        yield self
        inner = self.value.values() if isinstance(self.value, dict) else self.value
        for item in inner if not isinstance(inner, Scalar) else ():
            yield from item.walk()

    def _wrong_type(self, name: str, expected: str) -> DocumentError:
        return self.at.error(f"{name} must be {expected}, not {type_name(self.value)}.")


@dataclass(frozen=True, slots=True)
class Entry:
    """A mapping whose keys are known; `name` says in errors what it describes."""

    name: str
    values: Mapping[str, Located]
    at: Position

    def get(self, key: str) -> Located | None:
        """Return the value of a key; None if the key is missing or its value is null."""
        value = self.values.get(key)
        return None if value is None or value.value is None else value

    def require(self, key: str) -> Located:
        """Return the value of a key.

        Raises:
            DocumentError: The key is missing or its value is null.
        """
        if (value := self.get(key)) is None:
            raise self.at.error(f"{self.name} needs {key!r}.")
        return value

    def optional_text(self, key: str) -> str | None:
        """Return the text of a key, which may be empty; None if there is none.

        Raises:
            DocumentError: The value is no text.
        """
        value = self.get(key)
        return None if value is None else "" if value.value == "" else value.text(repr(key))

    def optional_flag(self, key: str) -> bool:
        """Return the truth value of a key; false if there is none.

        Raises:
            DocumentError: The value is no truth value.
        """
        value = self.get(key)
        return value is not None and value.flag(repr(key))

    def items(self, key: str) -> list[Located]:
        """Return the items of a list; none if the key is missing.

        Raises:
            DocumentError: The value is no list.
        """
        value = self.get(key)
        return [] if value is None else value.items(repr(key))

    def texts(self, key: str) -> list[str] | None:
        """Return a list of texts; None if the key is missing.

        Raises:
            DocumentError: The value is no list of texts.
        """
        value = self.get(key)
        return None if value is None else [item.text(f"an item of {key!r}") for item in value.items(repr(key))]


def type_name(value: Any) -> str:
    """Return what a value is, as errors say it."""
    names = {dict: "a mapping", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return a sentence that names the nearest of the known names, or all of them if none is near."""
    names = list(known)
    if near := get_close_matches(name, names, 1):
        return f"Did you mean {near[0]!r}?"
    return f"It may be {', '.join(map(repr, names))}." if len(names) <= 15 else ""
