"""Times as clients send and receive them, and as the database stores them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.timestamps import (
    INFINITIES,
    STORED_RANGE,
    format_timestamp,
    from_microseconds,
    parse_date,
    parse_stored_time,
    to_microseconds,
)

MOMENTS = st.datetimes(timezones=st.just(UTC))


def formatted(moment: datetime) -> str:
    text = format_timestamp(moment)
    assert text is not None
    return text


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

    assert formatted(parse_date(text)).endswith("Z")


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

    assert parse_date(formatted(moment)) == truncated
    assert format_timestamp(moment.isoformat()) == format_timestamp(moment)


@given(MOMENTS, MOMENTS)
def test_formatting_preserves_the_order_of_times(one, other):
    assert (formatted(one) <= formatted(other)) or one > other


FAR_TIMES = {
    # as PostgreSQL writes it in JSON:        as clients receive it
    "infinity": None,
    "-infinity": None,
    "0044-03-15T00:00:00+00:00 BC": "-000043-03-15T00:00:00.000Z",
    "0001-12-31T23:59:59.999999+00:00 BC": "0000-12-31T23:59:59.999Z",
    "4713-11-24T00:00:00+00:00 BC": "-004712-11-24T00:00:00.000Z",
    "10000-02-29T10:30:45.5+00:00": "+010000-02-29T10:30:45.500Z",
    "294276-12-31T23:59:59.999999+00:00": "+294276-12-31T23:59:59.999Z",
}


@pytest.mark.parametrize("text", FAR_TIMES)
def test_a_time_without_a_datetime_is_formatted_as_by_ecmascript(text):
    assert format_timestamp(text) == FAR_TIMES[text]
    assert format_timestamp(parse_stored_time(text)) == FAR_TIMES[text]


@pytest.mark.parametrize(
    "text", ["", "Infinity", "now", "10000-02-30T00:00:00Z", "294277-01-01T00:00:00Z", "-009999-01-01T00:00:00Z"]
)
def test_a_text_that_is_no_stored_time_is_rejected(text):
    with pytest.raises(ValueError, match=r"time|date|day"):
        parse_stored_time(text)


@given(st.integers(STORED_RANGE.start, STORED_RANGE.stop - 1) | st.sampled_from(sorted(INFINITIES.values())))
def test_every_time_of_postgresql_has_a_form_in_python(count):
    moment = from_microseconds(count)

    assert to_microseconds(moment) == count
    if isinstance(moment, str):
        assert parse_stored_time(moment) == moment


@pytest.mark.parametrize(
    ("moment", "count"),
    [
        (datetime(2000, 1, 1, tzinfo=UTC), 0),
        (datetime.min.replace(tzinfo=UTC), -63_082_281_600_000_000),
        ("0000-12-31T23:59:59.999999Z", -63_082_281_600_000_001),
        ("-000043-03-15T00:00:00.000000Z", -64_464_508_800_000_000),
        ("+010000-01-01T00:00:00.000000Z", 252_455_616_000_000_000),
    ],
)
def test_times_are_numbered_as_by_postgresql(moment, count):
    assert to_microseconds(moment) == count
    assert from_microseconds(count) == moment
