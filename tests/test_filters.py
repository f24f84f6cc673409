"""What filters find in texts, and behind relations, on both databases alike."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql

from app.query.bind_types import PrefixUpperBound
from tests.world import caller, uid

ADA = caller("ada")
TITLES = ["100%", "1000", "a_b", "aXb", "back\\slash", "Back", "two\nlines", "ÄRGER"]
FOUND = {
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
async def titled(writable_db):
    people = [{"id": f"00000000-0000-4000-8000-{n:012}", "title": title} for n, title in enumerate(TITLES)]
    await writable_db.load({"directus_users": [{**one, "email": f"{n}@example.com"} for n, one in enumerate(people)]})
    return writable_db


async def assert_found(titled, operator, value, titles):
    ours = "{ id: { _in: %s } }"
    ids = str([f"00000000-0000-4000-8000-{n:012}" for n in range(len(TITLES))]).replace("'", '"')
    query = "query($t: directus_users_filter) { users(filter: { _and: [$t, " + ours % ids + "] }) { title } }"
    for _ in range(2):  # in the ordinary way, and from a plan
        found = await titled.execute(query, {"t": {"title": {operator: value}}}, ADA)
        assert found.errors is None
        assert {row["title"] for row in found.data["users"]} == titles, (operator, value)


async def test_texts_are_found_letter_for_letter_whatever_the_letters_mean_elsewhere(titled):
    for (operator, part), titles in FOUND.items():
        await assert_found(titled, operator, part, titles)


async def test_a_part_that_stands_in_ones_own_row_is_no_pattern_either(titled):
    for (operator, part), titles in FOUND.items():
        await titled.load({"directus_users": [{"id": uid("ada"), "first_name": part}]})
        await assert_found(titled, operator, "$CURRENT_USER.first_name", titles)


NONE_IS_ED = {"users": {"_none": {"first_name": {"_eq": "Ed"}}}}


@pytest.mark.parametrize(
    "role",
    [
        NONE_IS_ED,
        {"_or": [{"users_func": {"count": {"_gt": 99}}}, NONE_IS_ED]},
        {"_and": [{"users_func": {"count": {"_gte": 0}}}, NONE_IS_ED]},
    ],
)
async def test_behind_a_role_that_somebody_has_not_nobody_is_as_wanted(readonly_db, role):
    query = "query($f: directus_users_filter) { users(filter: $f) { first_name } }"
    some = {"first_name": {"_in": ["Ed", "Vi", "Nora"]}, "role": role}

    assert (await readonly_db.execute(query, {"f": some}, ADA)).data == {"users": [{"first_name": "Vi"}]}


@given(st.text(), st.text(), st.booleans())
@example("\ud7ff", "\ud7ffx", False)
@example("a\U0010ffff", "b", False)
@example("\U0010ffff", "\U0010ffffa", False)
def test_a_text_begins_with_another_if_it_stands_between_that_and_what_is_beyond(beginning, text, begins):
    text = beginning + text if begins else text
    beyond = PrefixUpperBound().process_bind_param(beginning, postgresql.dialect()) or ""

    assert (beginning <= text < beyond) == text.startswith(beginning)
    assert beyond.encode() > beginning.encode()
