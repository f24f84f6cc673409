"""The current time, and adjustments of it."""

import calendar
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]

_ADJUSTMENT = re.compile(r"\s*([+-]?\d{1,9})\s*(ms|[a-z]+?)s?\s*", re.ASCII)
_MONTHS = {"year": 12, "y": 12, "month": 1, "mo": 1}
_SECONDS = {
    "week": 604_800.0,
    "w": 604_800.0,
    "day": 86_400.0,
    "d": 86_400.0,
    "hour": 3_600.0,
    "h": 3_600.0,
    "minute": 60.0,
    "min": 60.0,
    "m": 60.0,
    "second": 1.0,
    "sec": 1.0,
    "s": 1.0,
    "ms": 0.001,
}


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def adjusted(moment: datetime, adjustment: str) -> datetime:
    """Return a time moved by `+1 day`, `-2 months` or `3h`, as Directus' `$NOW(…)` does.

    A day beyond the end of the resulting month becomes that month's last day.

    Raises:
        ValueError: The adjustment cannot be parsed, or the result is outside the calendar.
    """
    match = _ADJUSTMENT.fullmatch(adjustment.lower())
    unit = match[2] if match else ""
    try:
        if match and unit in _MONTHS:
            return _add_months(moment, int(match[1]) * _MONTHS[unit])
        if match and unit in _SECONDS:
            return moment + timedelta(seconds=int(match[1]) * _SECONDS[unit])
    except OverflowError:
        raise ValueError(f'"{adjustment}" leads to a time outside the years 1 to 9999') from None
    raise ValueError(f'"{adjustment}" is not a time span such as "-1 day"')


def _add_months(moment: datetime, months: int) -> datetime:
    years, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    if not 1 <= years <= 9999:
        raise OverflowError
    day = min(moment.day, calendar.monthrange(years, month + 1)[1])
    return moment.replace(year=years, month=month + 1, day=day)
