"""Validations with parts that have no operator, and with null, "" and [] as values."""

import re
from datetime import UTC, datetime

import pytest

from app.policy.validation import validate
from app.query.collection import USERS
from app.query.filter import parse_filter

IS_X = {"title": {"_eq": "x"}}
VALIDATIONS = [
    # validation, titles that satisfy it among: missing, None, "", "x", "y"
    ({"title": {}}, ["missing", None, "", "x", "y"]),
    ({"_and": []}, ["missing", None, "", "x", "y"]),
    ({"_or": [{}, IS_X]}, ["missing", "x"]),
    ({"_or": [{"title": {}}, IS_X]}, ["missing", "x"]),
    ({"_or": [{"role": {}}, {"_and": []}, IS_X]}, ["missing", "x"]),
    ({"_and": [{}, {"title": {}}, IS_X]}, ["missing", "x"]),
    ({"title": {"_eq": ""}}, ["missing", ""]),
    ({"title": {"_eq": None}}, ["missing", None]),
    ({"title": {"_neq": "null"}}, ["missing", "", "x", "y"]),
    ({"title": {"_in": ["", "x"]}}, ["missing", "", "x"]),
    ({"title": {"_in": []}}, ["missing"]),
    ({"title": {"_nin": []}}, ["missing", None, "", "x", "y"]),
    ({"title": {"_null": None}}, ["missing", None]),
    ({"title": {"_nempty": 0}}, ["missing", "x", "y"]),
    ({"title": {"_contains": None}}, ["missing"]),
    ({"title": {"_nistarts_with": None}}, ["missing"]),
    ({"title": {"_regex": None}}, ["missing"]),
    ({"title": {"_regex": ""}}, ["missing", "", "x", "y"]),
    ({"title": {"_submitted": True}}, [None, "", "x", "y"]),
    ({"title": {"_submitted": False}}, [None, "", "x", "y"]),
]


async def match_regex(pattern, text, _):
    return re.search(pattern, text) is not None


async def is_valid(validation, values):
    """Return whether written values satisfy a validation without variables."""
    return not await validate(validation, values, lambda *_: (), match_regex)


@pytest.mark.parametrize(("raw", "valid"), VALIDATIONS)
async def test_a_validation_accepts_the_values_that_its_operators_match(raw, valid):
    validation = parse_filter(USERS, raw, stored=True, for_payload=True)
    payloads = {title: {USERS.fields["title"]: title} for title in (None, "", "x", "y")}

    assert [
        title for title, values in {"missing": {}, **payloads}.items() if await is_valid(validation, values)
    ] == valid


@pytest.mark.parametrize("operator", ["_lt", "_lte", "_gt", "_gte", "_between", "_nbetween"])
async def test_no_value_is_before_or_after_null(operator):
    operand = [None, "2025-01-01"] if "between" in operator else None
    validation = parse_filter(USERS, {"last_access": {operator: operand}}, stored=True)

    assert not await is_valid(validation, {USERS.fields["last_access"]: datetime(2024, 1, 1, tzinfo=UTC)})
