"""Durations and sizes in Directus' formats."""

from datetime import timedelta

import pytest

from app.core.values import parse_duration, parse_size

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
