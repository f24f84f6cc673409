"""Parses durations, sizes and UUIDs as Directus does, and says which texts a database stores."""

import re
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

KEY_LENGTH = 36
"""Length of a key that is a UUID."""

_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)?\s*", re.IGNORECASE | re.ASCII)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(b|kb|mb|gb)?\s*", re.IGNORECASE | re.ASCII)
_BYTES = {"b": 1, "kb": 1024, "mb": 1024**2, "gb": 1024**3}
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_CANONICAL_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")


def parse_duration(text: str) -> timedelta:
    """Parse `15m`, `7d`, `10s`, or milliseconds without a unit.

    Raises:
        ValueError: The text is not a duration.
    """
    match = _DURATION.fullmatch(text)
    if match:
        with suppress(OverflowError):
            return timedelta(seconds=float(match[1]) * _UNITS[(match[2] or "ms").lower()])
    raise ValueError(f'"{text}" is not a duration such as 15m, 7d or 10s')


def parse_size(text: str) -> int:
    """Parse `1mb`, `500kb`, or bytes without a unit.

    Raises:
        ValueError: The text is not a size.
    """
    match = _SIZE.fullmatch(text)
    if match:
        with suppress(OverflowError):
            return int(float(match[1]) * _BYTES[(match[2] or "b").lower()])
    raise ValueError(f'"{text}" is not a size such as 1mb or 500kb')


def canonical_uuid(text: str) -> str:
    """Return a UUID in lower case with hyphens.

    Raises:
        ValueError: The text is not a UUID.
    """
    return text if _CANONICAL_UUID.fullmatch(text) else str(UUID(text))


def is_storable(text: str) -> bool:
    """Return whether both databases store a text: it contains neither U+0000 nor an unpaired surrogate."""
    return (text.isascii() and "\0" not in text) or not _UNSTORABLE.search(text)
