"""Directus' spellings of plain values: dates, durations, sizes."""

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
    """`15m`, `7d`, `10s`, or milliseconds without a unit; ValueError for anything else."""
    found = _DURATION.fullmatch(text)
    if found:
        with suppress(OverflowError):
            return timedelta(seconds=float(found[1]) * _UNITS[(found[2] or "ms").lower()])
    raise ValueError(f'"{text}" is not a duration such as 15m, 7d or 10s')


def parse_size(text: str) -> int:
    """`1mb`, `500kb`, or bytes without a unit; ValueError for anything else."""
    found = _SIZE.fullmatch(text)
    if found:
        with suppress(OverflowError):
            return int(float(found[1]) * _BYTES[(found[2] or "b").lower()])
    raise ValueError(f'"{text}" is not a size such as 1mb or 500kb')


def parse_date(text: str) -> datetime:
    """An ISO date, with or without a time and a zone -> an aware moment; without a zone it is UTC.

    ValueError for anything else, and for dates no calendar has.
    """
    if _DATE.fullmatch(text):
        with suppress(ValueError, OverflowError):  # a zone may push the calendar's ends beyond it
            return _in_utc(datetime.fromisoformat(_SPACE_BEFORE_ZONE.sub(r"\1", text.upper())))
    raise ValueError(f'"{text}" is not a date such as 2024-01-15T10:30:45Z')


def canonical_uuid(text: str) -> str:
    """A uuid's text in lower case with hyphens; ValueError for a text that is no uuid."""
    return text if _CANONICAL_UUID.fullmatch(text) else str(UUID(text))


def format_timestamp(moment: str | datetime) -> str:
    """A moment, or a database's ISO spelling of one, as `2024-01-15T10:30:45.000Z`; finer than that is cut.

    Without a zone it is UTC, as everything is that the databases keep.
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
