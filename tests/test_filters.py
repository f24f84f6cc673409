"""What filters find in texts, on both databases alike."""

import pytest

from tests.world import caller

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
async def titled(fresh):
    people = [{"id": f"00000000-0000-4000-8000-{n:012}", "title": title} for n, title in enumerate(TITLES)]
    await fresh.load({"directus_users": [{**one, "email": f"{n}@example.com"} for n, one in enumerate(people)]})
    return fresh


async def test_texts_are_found_letter_for_letter_whatever_the_letters_mean_elsewhere(titled):
    ours = "{ id: { _in: %s } }"
    ids = str([f"00000000-0000-4000-8000-{n:012}" for n in range(len(TITLES))]).replace("'", '"')
    query = "query($t: directus_users_filter) { users(filter: { _and: [$t, " + ours % ids + "] }) { title } }"
    for (operator, part), titles in FOUND.items():
        for _ in range(2):  # in the ordinary way, and from a plan
            found = await titled.execute(query, {"t": {"title": {operator: part}}}, ADA)
            assert found.errors is None
            assert {row["title"] for row in found.data["users"]} == titles, (operator, part)
