"""Bind types for values that the two databases take differently: lists, and parts of texts."""

import re
import sys
from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Dialect, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import TypeDecorator, TypeEngine

_LIKE_SPECIAL, _LIKE_ESCAPED = re.compile(r"([\\%_])"), r"\\\1"
_MAX_CODE_POINT = chr(sys.maxunicode)
_SURROGATES = range(0xD800, 0xE000)
"""Code points that do not occur in valid text."""


class ListParam(TypeDecorator[Sequence[Any]]):
    """A list bound as one parameter: an array on PostgreSQL, a JSON text on SQLite."""

    impl = Text
    cache_ok = True

    def __init__(self, item: TypeEngine[Any]) -> None:
        self.item = item
        super().__init__()

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(ARRAY(self.item) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Sequence[Any] | None, dialect: Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        process = self.item.dialect_impl(dialect).bind_processor(dialect)
        return orjson.dumps([process(item) if process else item for item in value]).decode()


class PrefixUpperBound(TypeDecorator[str]):
    """A prefix bound as its exclusive upper bound: the first text by code point after all texts with that prefix.

    With it a prefix search becomes a range, so that an index serves every prefix with the same query plan. A prefix of
    nothing but the greatest code point has no such bound; a long run of that code point serves instead, because no real
    text reaches it.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        stem = value.rstrip(_MAX_CODE_POINT)
        if not stem:
            return value + _MAX_CODE_POINT * 100
        successor = ord(stem[-1]) + 1
        return stem[:-1] + chr(_SURROGATES.stop if successor in _SURROGATES else successor)


class LikePattern(TypeDecorator[str]):
    """A text to search for, bound as a LIKE pattern on PostgreSQL, which is the fastest search there.

    The pattern allows any text `before` and `after` it. On SQLite the text is bound unchanged, because LIKE is
    case-insensitive there.
    """

    impl = Text
    cache_ok = True

    def __init__(self, before: bool, after: bool) -> None:  # its cache key ignores keyword-only ones
        self.before, self.after = before, after
        super().__init__()

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None or dialect.name != "postgresql":
            return value
        escaped = _LIKE_SPECIAL.sub(_LIKE_ESCAPED, value) if any(mark in value for mark in "%_\\") else value
        return f"{'%' * self.before}{escaped}{'%' * self.after}"
