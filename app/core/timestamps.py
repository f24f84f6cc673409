"""Times: as clients send and receive them, and as the database stores them.

PostgreSQL stores the years -4712 to 294276, `infinity` and `-infinity`; Python's datetimes cover the years 1 to 9999. A
`StoredTime` is a datetime if there is one for it. Otherwise it is a text: `infinity`, `-infinity`, or ISO in UTC with
the year as ECMAScript writes it, with a sign and six digits. Year 0 is 1 BC.
"""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta

StoredTime = datetime | str

INFINITIES = {"infinity": 2**63 - 1, "-infinity": -(2**63)}
"""The times after, and before, all others, as PostgreSQL numbers them."""
STORED_RANGE = range(-211_813_488_000_000_000, 9_223_371_331_200_000_000)
"""The other times that PostgreSQL stores, from the end of 4714 BC until 294276."""
_DATE = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?\s?(?:Z|[+-]\d\d(?::?\d\d)?)?)?", re.IGNORECASE | re.ASCII
)
_SPACE_BEFORE_ZONE = re.compile(r" ([Z+-])")
_FAR_TIME = re.compile(
    r"([+-]?\d{4,6})-(\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:\.\d{1,6})?)(?:Z|\+00(?::00)?)( BC)?", re.ASCII
)
_UTC_SUFFIXES = ("Z", "+00:00")
_EPOCH, _MICROSECOND = datetime(2000, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_LENGTH_AFTER_YEAR = len("-01-31T00:00:00.000000Z")
_CYCLE_YEARS, _CYCLE = 400, timedelta(days=146_097) // _MICROSECOND
"""The period after which the Gregorian calendar repeats, in years and in microseconds."""


def parse_date(text: str) -> datetime:
    """Parse an ISO date with or without time and time zone, and return it in UTC; without a zone it is taken as UTC.

    Raises:
        ValueError: The text is not a date, or the date is outside the calendar.
    """
    if _DATE.fullmatch(text):
        with suppress(ValueError, OverflowError):  # a zone may move the first and last dates out of range
            return _in_utc(datetime.fromisoformat(_SPACE_BEFORE_ZONE.sub(r"\1", text.upper())))
    raise ValueError(f'"{text}" is not a date such as 2024-01-15T10:30:45Z')


def parse_stored_time(text: str) -> StoredTime:
    """Parse a time as PostgreSQL, SQLite or this module writes it.

    Raises:
        ValueError: The text is not a time that PostgreSQL stores.
    """
    if text in INFINITIES:
        return text
    if match := _FAR_TIME.fullmatch(text):
        year = 1 - int(match[1]) if match[4] else int(match[1])
        within_calendar = datetime.fromisoformat(f"{_year_of_cycle(year):04}-{match[2]}T{match[3]}Z")
        moment = _shifted(within_calendar, year - within_calendar.year)
        if to_microseconds(moment) not in STORED_RANGE:
            raise ValueError(f'"{text}" is not a time between the years -4712 and 294276')
        return moment
    return parse_date(text)


def format_timestamp(moment: StoredTime) -> str | None:
    """Return a time, or ISO text from the database, as `2024-01-15T10:30:45.000Z`, truncated to milliseconds.

    Without a zone it is UTC, as is every time in the database. Years outside 0 to 9999 are written as in ECMAScript.
    Infinity becomes None, because clients have no such time.
    """
    if isinstance(moment, str):
        if moment.endswith(_UTC_SUFFIXES) and len(moment) >= 20 and moment[10] in "T ":
            return f"{moment[:10]}T{moment[11:19]}.{_milliseconds(moment)}Z"
        moment = parse_stored_time(moment)
    if isinstance(moment, str):
        return None if moment in INFINITIES else f"{moment[:-4]}Z"  # without the microseconds' last three digits
    return _in_utc(moment).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def to_microseconds(moment: StoredTime) -> int:
    """Return a time as PostgreSQL numbers it: in microseconds since 2000.

    Raises:
        ValueError: The text is not a time.
    """
    if isinstance(moment, datetime):
        return (moment - _EPOCH) // _MICROSECOND
    if moment in INFINITIES:
        return INFINITIES[moment]
    year, rest = int(moment[:-_LENGTH_AFTER_YEAR]), moment[-_LENGTH_AFTER_YEAR:]
    within_calendar = datetime.fromisoformat(f"{_year_of_cycle(year):04}{rest}")
    return to_microseconds(within_calendar) + (year - within_calendar.year) // _CYCLE_YEARS * _CYCLE


def from_microseconds(count: int) -> StoredTime:
    """Return the time with a number, the inverse of `to_microseconds`."""
    with suppress(OverflowError):
        return _EPOCH + timedelta(microseconds=count)
    for name, number in INFINITIES.items():
        if count == number:
            return name
    cycles, remainder = divmod(count, _CYCLE)
    return _shifted(_EPOCH + timedelta(microseconds=remainder), cycles * _CYCLE_YEARS)


def _year_of_cycle(year: int) -> int:
    """Return the first year with a datetime whose calendar is that of `year`."""
    return (year - 1) % _CYCLE_YEARS + 1


def _shifted(moment: datetime, years: int) -> StoredTime:
    """Return a time moved by a multiple of the calendar's period."""
    year = moment.year + years
    if 1 <= year <= 9999:
        return moment.replace(year=year)
    digits = "0000" if year == 0 else f"{year:+07}"
    return f"{digits}-{moment:%m-%dT%H:%M:%S.%f}Z"


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _milliseconds(moment: str) -> str:
    fraction = moment[20:23] if moment[19] == "." else ""
    return "".join(digit for digit in fraction if digit.isdigit()).ljust(3, "0")
