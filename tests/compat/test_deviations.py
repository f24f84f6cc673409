"""What we do where we do otherwise than Directus: each intended deviation, shown."""

import json
import re
from pathlib import Path

import pytest

from app.repositories.base import Services
from app.repositories.directory import Directory
from app.schema.schema import schema
from tests.world import caller, uid

DEVIATIONS = json.loads((Path(__file__).parent / "deviations.json").read_text())
ADA = caller("ada")


@pytest.mark.parametrize("case", DEVIATIONS)
def test_every_deviation_says_why(case):
    assert re.match(r"(leak|escalation|crash|silent|hidden|safer|documented): \w", DEVIATIONS[case])


async def test_auth_data_reads_as_asterisks(world):
    result = await world.execute(f'{{ users_by_id(id: "{uid("sam")}") {{ auth_data }} }}', caller=ADA)

    assert result.data == {"users_by_id": {"auth_data": "**********"}}


@pytest.mark.parametrize("key", ["", "nonsense", "00000000-0000-4000-8000-000000000000"])
async def test_an_id_that_leads_nowhere_is_forbidden_however_it_is_spelled(world, key):
    result = await world.execute(f'{{ users_by_id(id: "{key}") {{ id }} }}', caller=ADA)

    assert result.data == {"users_by_id": None}
    assert result.errors[0].original_error.code == "FORBIDDEN"


async def test_a_selection_of_nothing_but_the_type_answers_the_type(world):
    result = await world.execute("{ users_me { role { __typename } } }", caller=ADA)

    assert result.data == {"users_me": {"role": {"__typename": "directus_roles"}}}


@pytest.mark.parametrize("variables", [None, {"f": {"status": {"_foo": 1}}}, {"f": "x"}, {"f": {"status": {"_eq": 5}}}])
async def test_bad_variables_are_refused_with_the_reason_before_anything_is_asked(world, variables):
    query = "query($f: directus_users_filter!) { users(filter: $f) { id } }"
    await world.directory(ADA).access()
    asked = world.database.reader.statements
    result = await world.execute(query, variables, ADA)

    assert result.data is None
    assert "$f" in result.errors[0].message
    assert world.database.reader.statements - asked <= 1  # whether the refusal still holds


@pytest.mark.parametrize(
    ("filter_", "words"),
    [
        ('{ id: { _eq: "abc" } }', "a uuid is needed here"),
        ('{ id: { _in: ["abc"] } }', "a uuid is needed here"),
        ("{ id: { _neq: 1 } }", "a uuid is needed here"),
        ('{ last_access: { _gt: "yesterday" } }', "a date is needed here"),
        ('{ last_access: { _between: ["2024-01-01"] } }', "has to be an array of two values"),
        ('{ last_access_func: { year: { _eq: "many" } } }', "Invalid numeric value"),
        ('{ title: { _eq: "" } }', "_empty"),
        ("{ title: { _in: [] } }", "has to be an array of values"),
        ("{ title: null }", "Invalid filter object"),
        ('{ tags: { _contains: "a" } }', '"json" field type does not contain the "_contains" filter operator'),
    ],
)
async def test_what_can_not_be_asked_is_told_without_the_databases_words(world, filter_, words):
    result = await world.execute(f"{{ users(filter: {filter_}) {{ id }} }}", caller=ADA)
    error = result.errors[0].original_error

    assert error.code == "INVALID_QUERY"
    assert words in error.text
    assert "select" not in error.text.lower()


@pytest.mark.parametrize(
    ("filter_", "found"),
    [
        ("{ role: { _null: true } }", ["Nora"]),
        ('{ role: { name: { _eq: "Self" } } }', ["Sam"]),
        ('{ role: { users: { _none: { status: { _neq: "draft" } } } } }', []),
        ('{ role: { users: { _none: { status: { _eq: "invited" } } }, name: { _eq: "Viewer" } } }', ["Vi"]),
        ('{ _or: { first_name: { _eq: "Kit" } } }', ["Kit"]),
        ("{ last_access_func: { second: { _eq: 45 } } }", ["Ada"]),
        ("{ auth_data_func: { count: { _eq: 1 } } }", []),
        ("{ theme_light_overrides_func: { count: { _eq: 2 } } }", ["Ann"]),
    ],
)
async def test_what_can_be_asked_finds_what_it_says(world, filter_, found):
    result = await world.execute(f"{{ users(filter: {filter_}) {{ first_name }} }}", caller=ADA)

    assert [row["first_name"] for row in result.data["users"]] == found


async def test_introspection_can_be_closed(world):
    settings = world.settings.model_copy(update={"graphql_introspection": False})
    closed = Directory(ADA, Services.over(world.database, settings))
    result = await schema.execute("{ __schema { queryType { name } } }", context_value=closed)

    assert result.data is None
    assert result.errors
    assert "introspection is not allowed" in result.errors[0].message


@pytest.mark.parametrize("name", [None, "C"])
async def test_an_operation_that_can_not_be_told_is_refused(world, name):
    query = "query A { server_ping } query B { server_ping }"
    result = await schema.execute(query, context_value=world.directory(ADA), operation_name=name)

    assert result.data is None
    assert result.errors
    assert "no single operation" in result.errors[0].message


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ('filter: { last_name: { _contains: "%" } }', []),
        ('filter: { last_name: { _starts_with: "E_" } }', []),
        ('search: "%"', []),
        ('search: "_"', []),
        ('filter: { last_name: { _icontains: "čAP" } }', ["Sam"]),
        ('filter: { last_name: { _ends_with: "man" } }', ["Ed"]),
    ],
)
async def test_text_is_looked_for_letter_by_letter(world, arguments, found):
    """Directus hands `%` and `_` on to LIKE, where they match anything."""
    result = await world.execute(f"{{ users({arguments}) {{ first_name }} }}", caller=ADA)

    assert [row["first_name"] for row in result.data["users"]] == found
