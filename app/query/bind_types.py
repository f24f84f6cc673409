"""How values are bound that the two databases take differently: lists, and parts of texts."""

import re
import sys
from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Dialect, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import TypeDecorator, TypeEngine

_MEANING, _ESCAPED = re.compile(r"([\\%_])"), r"\\\1"
_GREATEST = chr(sys.maxunicode)
_SURROGATES = range(0xD800, 0xE000)
"""Code points that no text holds."""


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
        spell = self.item.dialect_impl(dialect).bind_processor(dialect)
        return orjson.dumps([spell(item) if spell else item for item in value]).decode()


class PrefixUpperBound(TypeDecorator[str]):
    """What a text begins with, bound as the first text by code point that comes after all that begin so.

    So an index finds them whatever the text is, by one and the same plan. After the greatest code points there comes
    only a row of more of them, which no text begins with.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        kept = value.rstrip(_GREATEST)
        if not kept:
            return value + _GREATEST * 100
        following = ord(kept[-1]) + 1
        return kept[:-1] + chr(_SURROGATES.stop if following in _SURROGATES else following)


class LikePattern(TypeDecorator[str]):
    """A part that texts are looked through for: a pattern of LIKE on PostgreSQL, which finds it soonest.

    Anything may stand `before` and `after` it. SQLite's LIKE doesn't tell capitals from small letters: there it stays.
    """

    impl = Text
    cache_ok = True

    def __init__(self, *, before: bool, after: bool) -> None:
        self.before, self.after = before, after
        super().__init__()

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None or dialect.name != "postgresql":
            return value
        literally = _MEANING.sub(_ESCAPED, value) if any(mark in value for mark in "%_\\") else value
        return f"{'%' * self.before}{literally}{'%' * self.after}"
