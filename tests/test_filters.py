"""Filters on texts and on relations, with the same results on both databases."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql

from app.query.bind_types import PrefixUpperBound
from tests.base_data import caller, uid

ADA = caller("ada")
TITLES = ["100%", "1000", "a_b", "aXb", "back\\slash", "Back", "two\nlines", "ÄRGER"]
MATCHES = {
    ("_contains", "%"): {"100%"},
    ("_contains", "_"): {"a_b"},
    ("_contains", "\\"): {"back\\slash"},
    ("_contains", "o\nl"): {"two\nlines"},
    ("_contains", "b"): {"a_b", "aXb", "back\\slash"},
    ("_ncontains", "a"): {"100%", "1000", "two\nlines", "ÄRGER"},
    ("_icontains", "B"): {"a_b", "aXb", "back\\slash", "Back"},
    ("_icontains", "ärg"): {"ÄRGER"},
    ("_starts_with", "100"): {"100%", "1000"},
    ("_starts_with", "100%"): {"100%"},
    ("_starts_with", "a_"): {"a_b"},
    ("_starts_with", "\u00c4"): {"\u00c4RGER"},
    ("_starts_with", "\U0010ffff"): set(),
    ("_nstarts_with", "1"): {"a_b", "aXb", "back\\slash", "Back", "two\nlines", "ÄRGER"},
    ("_istarts_with", "BACK\\"): {"back\\slash"},
    ("_nistarts_with", "ä"): set(TITLES) - {"ÄRGER"},
    ("_ends_with", "%"): {"100%"},
    ("_ends_with", "_b"): {"a_b"},
    ("_ends_with", "\nlines"): {"two\nlines"},
    ("_iends_with", "XB"): {"aXb"},
    ("_niends_with", "B"): set(TITLES) - {"a_b", "aXb"},
}


@pytest.fixture
async def titles_db(restored_db):
    """The writable database with one more user for each title."""
    users = [
        {"id": f"00000000-0000-4000-8000-{n:012}", "title": title, "email": f"{n}@example.com"}
        for n, title in enumerate(TITLES)
    ]
    await restored_db.load({"directus_users": users})
    return restored_db


async def assert_matches(titles_db, operator, value, titles):
    has_id = "{ id: { _in: %s } }"
    ids = str([f"00000000-0000-4000-8000-{n:012}" for n in range(len(TITLES))]).replace("'", '"')
    query = "query($t: directus_users_filter) { users(filter: { _and: [$t, " + has_id % ids + "] }) { title } }"
    for _ in range(2):  # by full execution, then from a plan
        result = await titles_db.execute(query, {"t": {"title": {operator: value}}}, ADA)
        assert result.errors is None
        assert {row["title"] for row in result.data["users"]} == titles, (operator, value)


async def test_special_characters_of_like_match_literally(titles_db):
    for (operator, part), titles in MATCHES.items():
        await assert_matches(titles_db, operator, part, titles)


async def test_a_value_from_the_callers_own_row_matches_literally_too(titles_db):
    for (operator, part), titles in MATCHES.items():
        await titles_db.load({"directus_users": [{"id": uid("ada"), "first_name": part}]})
        await assert_matches(titles_db, operator, "$CURRENT_USER.first_name", titles)


NONE_IS_ED = {"users": {"_none": {"first_name": {"_eq": "Ed"}}}}


@pytest.mark.parametrize(
    "role",
    [
        NONE_IS_ED,
        {"_or": [{"users_func": {"count": {"_gt": 99}}}, NONE_IS_ED]},
        {"_and": [{"users_func": {"count": {"_gte": 0}}}, NONE_IS_ED]},
    ],
)
async def test_none_is_not_true_of_the_users_of_a_missing_role(readonly_db, role):
    query = "query($f: directus_users_filter) { users(filter: $f) { first_name } }"
    filter_ = {"first_name": {"_in": ["Ed", "Vi", "Nora"]}, "role": role}

    assert (await readonly_db.execute(query, {"f": filter_}, ADA)).data == {"users": [{"first_name": "Vi"}]}


@given(st.text(), st.text(), st.booleans())
@example("\ud7ff", "\ud7ffx", False)
@example("a\U0010ffff", "b", False)
@example("\U0010ffff", "\U0010ffffa", False)
def test_a_text_starts_with_a_prefix_if_it_is_between_the_prefix_and_its_upper_bound(prefix, text, starts):
    text = prefix + text if starts else text
    upper_bound = PrefixUpperBound().process_bind_param(prefix, postgresql.dialect()) or ""

    assert (prefix <= text < upper_bound) == text.startswith(prefix)
    assert upper_bound.encode() > prefix.encode()
