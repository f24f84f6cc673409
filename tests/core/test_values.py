"""Durations, sizes and dates in Directus' formats."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.values import format_timestamp, parse_date, parse_duration, parse_size

MOMENTS = st.datetimes(timezones=st.just(UTC))

DURATIONS = {
    "15m": timedelta(minutes=15),
    "7d": timedelta(days=7),
    "10s": timedelta(seconds=10),
    "1.5h": timedelta(minutes=90),
    "2 W": timedelta(weeks=2),
    "250": timedelta(milliseconds=250),
    "250ms": timedelta(milliseconds=250),
}
SIZES = {"1mb": 1_048_576, "500kb": 512_000, "2 GB": 2_147_483_648, "0.5kb": 512, "1000": 1_000, "7b": 7}
DATES = {
    "2024-01-15": datetime(2024, 1, 15, tzinfo=UTC),
    "2024-01-15T10:30": datetime(2024, 1, 15, 10, 30, tzinfo=UTC),
    "2024-01-15 10:30:45": datetime(2024, 1, 15, 10, 30, 45, tzinfo=UTC),
    "2024-01-15T10:30:45Z": datetime(2024, 1, 15, 10, 30, 45, tzinfo=UTC),
    "2024-01-15t10:30:45.5z": datetime(2024, 1, 15, 10, 30, 45, 500_000, tzinfo=UTC),
    "2024-01-15T10:30:45+02:00": datetime(2024, 1, 15, 8, 30, 45, tzinfo=UTC),
    "2024-01-15 10:30:45 -0530": datetime(2024, 1, 15, 16, 0, 45, tzinfo=UTC),
}
NOT_DATES = [
    "",
    "today",
    "2024",
    "2024-1-5",
    "2024-02-30",
    "0000-01-01",
    "10000-01-01",
    "2024-01-15T25:00:00Z",
    "2024-01-15T10:30:45Z'; --",
    "2024-01-15\n",
    "٢٠٢٤-01-15",
    "0001-01-01T00:00:00+05:00",
    "9999-12-31T23:59:59-05:00",
]


@pytest.mark.parametrize("text", DURATIONS)
def test_durations_are_parsed_as_by_directus(text):
    assert parse_duration(text) == DURATIONS[text]


@pytest.mark.parametrize("text", ["", "soon", "-5m", "5 fortnights", "m", "1e3s", "9" * 40 + "d"])
def test_an_invalid_duration_is_rejected(text):
    with pytest.raises(ValueError, match="is not a duration such as 15m"):
        parse_duration(text)


@pytest.mark.parametrize("text", SIZES)
def test_size_units_are_powers_of_1024(text):
    assert parse_size(text) == SIZES[text]


@pytest.mark.parametrize("text", ["", "lots", "-1mb", "1tb", "9" * 400])
def test_an_invalid_size_is_rejected(text):
    with pytest.raises(ValueError, match="is not a size such as 1mb"):
        parse_size(text)


@pytest.mark.parametrize("text", DATES)
def test_dates_are_converted_to_utc_which_is_the_default_zone(text):
    assert parse_date(text) == DATES[text]


@pytest.mark.parametrize("text", NOT_DATES)
def test_an_invalid_date_is_rejected(text):
    with pytest.raises(ValueError, match="is not a date such as"):
        parse_date(text)


@given(st.text())
def test_any_text_is_a_date_or_a_value_error(text):
    try:
        parse_date(text)
    except ValueError:
        return

    assert format_timestamp(parse_date(text)).endswith("Z")


@pytest.mark.parametrize(
    "stored",
    [
        datetime(2024, 1, 15, 10, 30, 45, tzinfo=UTC),
        datetime(2024, 1, 15, 12, 30, 45, 999, tzinfo=timezone(timedelta(hours=2))),
        datetime(2024, 1, 15, 10, 30, 45),  # noqa: DTZ001 - as from a driver without time zones
        "2024-01-15T10:30:45Z",
        "2024-01-15T10:30:45+00:00",
        "2024-01-15 10:30:45.000999+00:00",
        "2024-01-15 10:30:45+00",
        "2024-01-15T10:30:45",
    ],
)
def test_timestamps_are_formatted_in_utc_with_milliseconds(stored):
    assert format_timestamp(stored) == "2024-01-15T10:30:45.000Z"


@given(MOMENTS)
def test_a_formatted_timestamp_parses_to_the_time_truncated_to_milliseconds(moment):
    truncated = moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    assert parse_date(format_timestamp(moment)) == truncated
    assert format_timestamp(moment.isoformat()) == format_timestamp(moment)


@given(MOMENTS, MOMENTS)
def test_formatting_preserves_the_order_of_times(one, other):
    assert (format_timestamp(one) <= format_timestamp(other)) or one > other
