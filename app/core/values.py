"""Parses and formats durations, sizes, dates and UUIDs as Directus does."""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)?\s*", re.IGNORECASE | re.ASCII)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(b|kb|mb|gb)?\s*", re.IGNORECASE | re.ASCII)
_BYTES = {"b": 1, "kb": 1024, "mb": 1024**2, "gb": 1024**3}
_DATE = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?\s?(?:Z|[+-]\d\d(?::?\d\d)?)?)?", re.IGNORECASE | re.ASCII
)
_CANONICAL_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_SPACE_BEFORE_ZONE = re.compile(r" ([Z+-])")
_UTC_SUFFIXES = ("Z", "+00:00")


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


def parse_date(text: str) -> datetime:
    """Parse an ISO date with or without time and time zone, and return it in UTC; without a zone it is taken as UTC.

    Raises:
        ValueError: The text is not a date, or the date is outside the calendar.
    """
    if _DATE.fullmatch(text):
        with suppress(ValueError, OverflowError):  # a zone may move the first and last dates out of range
            return _in_utc(datetime.fromisoformat(_SPACE_BEFORE_ZONE.sub(r"\1", text.upper())))
    raise ValueError(f'"{text}" is not a date such as 2024-01-15T10:30:45Z')


def canonical_uuid(text: str) -> str:
    """Return a UUID in lower case with hyphens.

    Raises:
        ValueError: The text is not a UUID.
    """
    return text if _CANONICAL_UUID.fullmatch(text) else str(UUID(text))


def format_timestamp(moment: str | datetime) -> str:
    """Return a time, or ISO text from the database, as `2024-01-15T10:30:45.000Z`, truncated to milliseconds.

    Without a zone it is UTC, as is every time in the database.
    """
    if isinstance(moment, str):
        if moment.endswith(_UTC_SUFFIXES) and len(moment) >= 20:
            return f"{moment[:10]}T{moment[11:19]}.{_milliseconds(moment)}Z"
        moment = datetime.fromisoformat(moment)
    return _in_utc(moment).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _milliseconds(moment: str) -> str:
    fraction = moment[20:23] if moment[19] == "." else ""
    return "".join(digit for digit in fraction if digit.isdigit()).ljust(3, "0")
