"""The limits of a query; each error names the limit and its value."""

from typing import Any

import pytest

from app.graphql.schema import schema
from app.repositories.directory import Directory
from app.repositories.services import Services
from tests.base_data import caller

LIMITS = {
    "query_limit_default": 2,
    "query_limit_max": 4,
    "max_relational_depth": 3,
    "graphql_query_token_limit": 100,
}


@pytest.fixture
def execute(readonly_db):
    """Executes a query under low limits."""
    settings = readonly_db.settings.model_copy(update=LIMITS)

    async def execute(query):
        directory = Directory(caller("ada"), Services.from_settings(readonly_db.database, settings))
        return await schema.execute(query, context_value=directory)

    return execute


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
async def test_a_list_has_the_rows_that_the_limits_allow(execute, query, rows):
    result = await execute(f"{{ all: {query} }}")

    assert len(result.data["all"]) == rows


async def test_the_limits_apply_to_nested_lists(readonly_db):
    settings = readonly_db.settings.model_copy(update={"query_limit_default": 1})
    directory = Directory(caller("ada"), Services.from_settings(readonly_db.database, settings))
    result = await schema.execute(
        '{ roles(filter: { name: { _eq: "Editor" } }) { few: users { id } all: users(limit: -1) { id } } }',
        context_value=directory,
    )

    assert result.data is not None
    assert [(len(role["few"]), len(role["all"])) for role in result.data["roles"]] == [(1, 2)]


async def test_the_maximum_also_limits_the_default(readonly_db):
    settings = readonly_db.settings.model_copy(update={"query_limit_default": 100, "query_limit_max": 3})
    directory = Directory(caller("ada"), Services.from_settings(readonly_db.database, settings))
    result = await schema.execute("{ users { id } }", context_value=directory)

    assert result.data is not None
    assert len(result.data["users"]) == 3


@pytest.mark.parametrize(
    ("query", "message"),
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
async def test_an_error_names_the_limit_and_its_value(execute, query, message):
    result = await execute(f"{{ {query} }}")
    error = result.errors[0].original_error

    assert error.code == "INVALID_QUERY"
    assert message in error.text


async def test_a_filter_nested_as_deeply_as_allowed_is_answered(readonly_db):
    filter_: dict[str, Any] = {"title": {"_null": True}}
    for _ in range(15):
        filter_ = {"_or": [{"title": {"_eq": "b"}}, {"_and": [filter_, {"title": {"_neq": "c"}}]}]}
    query = "query($f: directus_users_filter) { users(filter: $f) { id } }"
    results = [await readonly_db.execute(query, {"f": raw}, caller("ada")) for raw in (filter_, {"_and": [filter_]})]

    assert results[0].errors is None
    assert "more than 32 levels deep" in results[1].errors[0].original_error.text


async def test_the_error_for_too_many_tokens_names_the_limit(execute):
    result = await execute("{ " + " ".join(f"a{n}: server_ping" for n in range(40)) + " }")

    assert "100 tokens" in str(result.errors[0].original_error.details)
