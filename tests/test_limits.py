"""How much may be asked for at once; each breach names its limit and its value."""

from typing import Any

import pytest

from app.graphql.schema import schema
from app.repositories.directory import Directory
from app.repositories.services import Services
from tests.world import caller

LIMITS = {
    "query_limit_default": 2,
    "query_limit_max": 4,
    "max_relational_depth": 3,
    "graphql_query_token_limit": 100,
}


@pytest.fixture
def narrow(readonly_db):
    """The world as it answers under narrow limits."""
    settings = readonly_db.settings.model_copy(update=LIMITS)

    async def ask(query):
        directory = Directory(caller("ada"), Services.from_settings(readonly_db.database, settings))
        return await schema.execute(query, context_value=directory)

    return ask


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("users { id }", 2),
        ("users(limit: 3) { id }", 3),
        ("users(limit: 4) { id }", 4),
        ("users(limit: -1) { id }", 4),
        ("users(limit: 0) { id }", 0),
        ("users(limit: 4, page: 3) { id }", 1),
        ('users_aggregated(groupBy: ["email"]) { group }', 2),
        ('users_aggregated(groupBy: ["email"], limit: -1) { group }', 4),
    ],
)
async def test_a_list_has_the_rows_that_the_limits_allow(narrow, query, rows):
    result = await narrow(f"{{ all: {query} }}")

    assert len(result.data["all"]) == rows


async def test_a_list_inside_a_list_keeps_to_the_same(readonly_db):
    settings = readonly_db.settings.model_copy(update={"query_limit_default": 1})
    directory = Directory(caller("ada"), Services.from_settings(readonly_db.database, settings))
    result = await schema.execute(
        '{ roles(filter: { name: { _eq: "Editor" } }) { few: users { id } all: users(limit: -1) { id } } }',
        context_value=directory,
    )

    assert result.data is not None
    assert [(len(role["few"]), len(role["all"])) for role in result.data["roles"]] == [(1, 2)]


async def test_a_default_over_the_most_is_the_most(readonly_db):
    settings = readonly_db.settings.model_copy(update={"query_limit_default": 100, "query_limit_max": 3})
    directory = Directory(caller("ada"), Services.from_settings(readonly_db.database, settings))
    result = await schema.execute("{ users { id } }", context_value=directory)

    assert result.data is not None
    assert len(result.data["users"]) == 3


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("users(limit: 5) { id }", '"limit" must be less than or equal to 4'),
        ("roles { users(limit: 5) { id } }", '"limit" must be less than or equal to 4'),
        ("users_aggregated(limit: 5) { countAll }", '"limit" must be less than or equal to 4'),
        ("users(limit: -2) { id }", '"limit" must be greater than or equal to -1'),
        ("users(offset: -1) { id }", '"offset" must be greater than or equal to 0'),
        ("users { role { users { role { name } } } }", "At most 3 fields"),
        ("users(filter: { role: { users: { role: { name: { _null: true } } } } }) { id }", "At most 3 fields"),
        (
            "users_aggregated(filter: { role: { users: { role: { name: { _null: true } } } } }) { countAll }",
            "At most 3 fields",
        ),
        ('users(sort: ["role.users.role.name"]) { id }', "At most 3 fields"),
    ],
)
async def test_a_breach_says_which_limit_and_its_value(narrow, query, words):
    result = await narrow(f"{{ {query} }}")
    error = result.errors[0].original_error

    assert error.code == "INVALID_QUERY"
    assert words in error.text


async def test_a_filter_that_is_nested_deeper_than_sqlite_reads_is_told_so(readonly_db):
    asked: dict[str, Any] = {"title": {"_null": True}}
    for _ in range(40):
        asked = {"_or": [{"title": {"_eq": "b"}}, {"_and": [asked, {"title": {"_eq": "c"}}]}]}
    for _ in range(2):
        result = await readonly_db.execute(
            "query($f: directus_users_filter) { users(filter: $f) { id } }", {"f": asked}, caller("ada")
        )
        refused = result.errors[0].original_error if result.errors else None
        assert (refused and refused.code) == (None if readonly_db.database.dialect == "postgresql" else "INVALID_QUERY")


async def test_a_document_of_too_many_tokens_is_told_how_many_there_may_be(narrow):
    result = await narrow("{ " + " ".join(f"a{n}: server_ping" for n in range(40)) + " }")

    assert "100 tokens" in str(result.errors[0].original_error.details)
