"""Operators with null, false, "", [] and 0, and filters without operators: in rules and in clients' filters.

The rows are those of a real Directus, unless a comment says otherwise. Each rule belongs to a caller of its own.
"""

from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import quote

import orjson
import pytest
import pytest_asyncio

from app.flows.import_export import import_rows
from tests.base_data import Rows, make_access, make_policy, make_read_permission, make_user, static_token, uid
from tests.conftest import BACKENDS, open_copy
from tests.http.test_graphql import ADA, PATH, bearer, served

ROWS: dict[str, dict[str, Any]] = {
    "absent": {},
    "empty": {"title": "", "tags": []},
    "x": {"title": "x", "tags": ["a"], "last_access": "2024-01-15T10:30:45Z"},
    "zero": {"title": "0", "email_notifications": False},
    "false": {"title": "false"},
    "nullx": {"title": "nullx"},
}
"""The other fields of the users by their first names; "x" and "zero" have a role."""
VALUES: list[Any] = [None, False, "", [], 0]

# A field, an operator, and the rows for each of VALUES: `-` none, `*` all, `~x` all but x, `!` an error or, of a rule,
# that it grants nothing. After a bar: the rows that a client's filter matches, if they differ.
OPERATORS = [
    ("title", "_eq", "absent", "false", "empty | !", "!", "zero"),
    ("title", "_neq", "~absent", "~absent false", "~absent empty | !", "!", "~absent zero"),
    ("title", "_in", "-", "false", "empty", "- | !", "zero"),
    ("title", "_nin", "-", "~absent false", "~absent empty", "* | !", "~absent zero"),
    ("title", "_null", "absent", "~absent", "absent", "absent | !", "absent | !"),
    ("title", "_nnull", "~absent", "absent", "~absent", "~absent | !", "~absent | !"),
    ("title", "_empty", "absent empty", "~absent empty", "absent empty", "absent empty | !", "absent empty | !"),
    ("title", "_nempty", "~absent empty", "absent empty", "~absent empty", "~absent empty | !", "~absent empty | !"),
    # Directus searches for the text "null", or crashes.
    *(
        ("title", f"_{name}", "-", "false", "~absent | !", "!", "zero")
        for name in ("contains", "icontains", "starts_with", "istarts_with", "ends_with", "iends_with")
    ),
    *(
        ("title", f"_{name}", "-", "~absent false", "- | !", "!", "~absent zero")
        for name in ("ncontains", "nstarts_with", "nistarts_with", "nends_with", "niends_with")
    ),
    ("title", "_regex", "!", "!", "!", "!", "!"),
    ("title", "_gt", "!", "!", "!", "!", "!"),
    ("role", "_eq", "~x zero", "!", "!", "!", "!"),
    ("role", "_neq", "x zero", "!", "!", "!", "!"),
    ("role", "_in", "-", "!", "!", "- | !", "!"),
    ("role", "_nin", "-", "!", "!", "* | !", "!"),
    ("role", "_null", "~x zero", "x zero", "~x zero", "~x zero | !", "~x zero | !"),
    ("email_notifications", "_eq", "-", "zero", "!", "!", "zero"),
    ("email_notifications", "_neq", "*", "~zero", "!", "!", "~zero"),
    ("last_access", "_eq", "~x", "!", "!", "!", "!"),
    ("last_access", "_neq", "x", "!", "!", "!", "!"),
    *(("last_access", name, "-", "!", "!", "!", "!") for name in ("_lt", "_lte", "_gt", "_gte")),
    ("last_access", "_in", "-", "!", "!", "- | !", "!"),
    ("last_access", "_nin", "-", "!", "!", "* | !", "!"),
    # Directus ignores the operator in a client's filter.
    ("last_access", "_between", "!", "!", "!", "!", "!"),
    ("last_access", "_nbetween", "!", "!", "!", "!", "!"),
    # Directus compares with the number 0 instead of null, false and "".
    ("count(tags)", "_eq", "~x empty", "!", "!", "!", "empty"),
    ("count(tags)", "_neq", "x empty", "!", "!", "!", "x"),
    ("count(tags)", "_gt", "-", "!", "!", "!", "x"),
    ("count(tags)", "_in", "-", "!", "!", "- | !", "empty"),
    ("count(tags)", "_null", "~x empty", "x empty", "~x empty", "~x empty | !", "~x empty | !"),
    ("tags", "_null", "~x empty", "x empty", "~x empty", "~x empty | !", "~x empty | !"),
    ("token", "_empty", "*", "-", "*", "* | !", "* | !"),
]
IS_X = {"title": {"_eq": "x"}}
HAS_POLICIES: dict[str, Any] = {"policies": {"_some": {}}}
HAS_NONE: dict[str, Any] = {"policies": {"_none": {}}}
FILTERS: list[tuple[dict[str, Any], str]] = [
    ({}, "*"),
    ({"title": {}}, "*"),
    ({"_and": []}, "*"),
    ({"_or": []}, "*"),
    ({"_or": [{"title": {}}, {"role": {"name": {}}}]}, "*"),
    ({"_or": [{"title": {}}, IS_X]}, "x"),
    ({"_or": [{"role": {}}, IS_X]}, "x"),
    ({"_or": [{"role": {"name": {}}}, IS_X]}, "x"),
    ({"_or": [{"policies": {}}, IS_X]}, "x"),
    ({"_or": [{"policies": {"policy": {"name": {}}}}, IS_X]}, "x"),
    ({"_or": [{"count(tags)": {}}, IS_X]}, "x"),
    ({"_or": [{"_and": []}, IS_X]}, "x"),
    ({"_or": [{"_or": []}, IS_X]}, "x"),
    ({"_or": [{"_and": [{}, {"title": {}}]}, IS_X]}, "x"),
    # Directus returns an error for a rule with `{}` in its `_or`, and ignores such an `_or` within another.
    ({"_or": [{}, IS_X]}, "x | *"),
    ({"_or": [{"_or": [{}, {"title": {"_eq": "0"}}]}, IS_X]}, "x zero | x"),
    ({"_and": [{}, {"title": {}}, IS_X]}, "x"),
    ({"_or": [{"title": {}, "first_name": {"_eq": "zero"}}, IS_X]}, "x zero"),
    ({"role": {"_or": [{"name": {}}, {"name": {"_eq": "Staff"}}]}}, "-"),
    ({"role": {"_and": [{"name": {}}, {"name": {"_eq": "Viewer"}}]}}, "x zero"),
    # Directus ignores `_some` and `_none` without operators. Here they ask whether there are related rows, except as a
    # branch of a rule's `_or`, where that would show more rows than Directus does.
    (HAS_POLICIES, "-"),
    ({"policies": {"_none": {"policy": {}}}}, "*"),
    ({"_or": [HAS_NONE, IS_X]}, "x | *"),
    ({"_or": [{"_and": [HAS_NONE, {}]}, IS_X]}, "x | *"),
    ({"_or": [HAS_POLICIES]}, "-"),
    ({"_and": [HAS_NONE, IS_X]}, "x"),
    ({"title": {"_in": ["x", ""]}}, "x empty"),
    ({"title": {"_in": ["x", None]}}, "x"),
    ({"title": {"_nin": ["x", ""]}}, "~absent x empty"),
    ({"title": {"_nin": ["x", None]}}, "-"),
    ({"_or": [{"title": {"_in": []}}, IS_X]}, "x | !"),
    ({"_or": [{"title": {"_null": None}}, IS_X]}, "absent x"),
    ({"title": {"_eq": "Null"}}, "-"),
    ({"title": {"_eq": "null"}}, "absent"),
    ({"title": {"_neq": "NULL"}}, "~absent"),
    ({"title": {"_in": ["null", "x"]}}, "x"),
    ({"title": {"_starts_with": "null"}}, "nullx"),
    ({"title": {"_contains": "null"}}, "nullx"),
    ({"title": "null"}, "absent"),
    ({"title": ""}, "empty | !"),
    ({"title": {"_null": "false"}}, "~absent"),
    ({"title": {"_null": "true"}}, "absent"),
    ({"title": {"_null": "null"}}, "absent"),
    ({"title": {"_null": "0"}}, "absent | !"),
    ({"title": None}, "!"),
    ({"role": {"_eq": "null"}}, "~x zero"),
    ({"last_access": {"_gt": "null"}}, "-"),
    ({"last_access": {"_between": [None, "2025-01-01"]}}, "-"),
]
CASES: dict[str, list[tuple[dict[str, Any], str]]] = {
    **{
        f"{field} {operator}": [({field: {operator: v}}, rows) for v, rows in zip(VALUES, cells, strict=True)]
        for field, operator, *cells in OPERATORS
    },
    **{f"{filter_}": [(filter_, rows)] for filter_, rows in FILTERS},
}
"""The filters and their rows by the name of the test case."""
QUERY_STRINGS = [
    ("filter[title][_eq]=null", "absent"),
    ("filter[title]=NULL", "absent"),
    ("filter[title][_eq]=", "!"),
    ("filter[title][_in]=null,x", "x"),
    ("filter[title][_in]=x,", "empty x"),
    ("filter[title][_in]=", "empty"),
    ("filter[title][_in][]=&filter[title][_in][]=x", "empty x"),
    ("filter[title][_null]=null", "absent"),
    ("filter[title][_null]=", "absent"),
    ("filter[title][_null]=false", "~absent"),
    ("filter[title][_null]=0", "!"),
    ("filter[role][_eq]=null", "~x zero"),
    ("filter[role][_in]=null", "-"),
    ("filter[role][_neq]=NULL", "x zero"),
    ("filter[role][name][_eq]=null", "~x zero"),
    ("filter[last_access][_eq]=null", "~x"),
    ("filter[email_notifications][_eq]=0", "zero"),
]
FLAGS = ("_null", "_nnull", "_empty", "_nempty")


def rows_of(text):
    """Return the first names that a cell of the tables stands for; None for an error."""
    words = text.lstrip("~").split()
    if text in ("*", "-", "!"):
        return {"*": set(ROWS), "-": set(), "!": None}[text]
    return set(ROWS) - {*words} if text.startswith("~") else {*words}


def caller_name(rule):
    """Return the name of the caller whose only rule this is."""
    return f"has-{uid(str(rule))}"


def rule_rows(text):
    return rows_of(text.split(" | ")[0])


def client_rows(text):
    return rows_of(text.split(" | ")[-1])


@pytest_asyncio.fixture(scope="module", params=BACKENDS)
async def client(request, templates, tmp_path_factory):
    """A server with ROWS, and for each case a caller whose only rule is the filter of the case."""
    users = [make_user(f"value-{name}", None, first_name=name, token=None, **row) for name, row in ROWS.items()]
    for user in users:
        user["role"] = uid("role-Viewer") if user["first_name"] in ("x", "zero") else None
    filters = [filter_ for cases in CASES.values() for filter_, _ in cases]
    names = [caller_name(filter_) for filter_ in filters]
    rows: Rows = {
        "directus_users": [*users, *(make_user(name, None) for name in names)],
        "directus_policies": list(map(make_policy, names)),
        "directus_access": [make_access(name, user=name) for name in names],
        "directus_permissions": [
            make_read_permission(1000 + number, caller_name(filter_), "users", "*", filter_)
            for number, filter_ in enumerate(filters)
        ],
    }
    async with AsyncExitStack() as stack:
        system = await open_copy(stack, request.param, templates, tmp_path_factory.mktemp("values"))
        await import_rows(system.database, rows, replace=False)
        settings = system.settings.model_copy(update={"log_level": "error"})
        yield await stack.enter_async_context(served(settings))


async def get(client, query, headers=ADA):
    """Return the first names of the users that REST returns; None if it returns an error."""
    path = f"/users?fields=first_name&limit=-1&search=value-&{query}"
    response = await client.get(path, headers=headers)
    assert response.status_code in (200, 400, 403)
    return {row["first_name"] for row in response.json()["data"]} if response.status_code == 200 else None


async def execute(client, filter_, headers=ADA):
    """Return the first names of the users that GraphQL returns; None if it returns an error."""
    query = 'query($f: directus_users_filter) { users(filter: $f, search: "value-", limit: -1) { first_name } }'
    body = {"query": query, "variables": {"f": filter_}}
    response = (await client.post(PATH, headers=headers, json=body)).json()
    return None if "errors" in response else {row["first_name"] for row in response["data"]["users"]}


def in_graphql(filter_):
    """Return a filter as GraphQL's schema writes it; None if it has no such form."""
    result: dict[str, Any] = {}
    for name, value in filter_.items():
        if name in ("_and", "_or"):
            parts = [in_graphql(part) for part in value]
            if None in parts:
                return None
            result[name] = parts
        elif isinstance(value, dict) and all(map(has_graphql_type, value, value.values())):
            result |= {"tags_func": {"count": value}} if name == "count(tags)" else {name: value}
        else:
            return None
    return result


def has_graphql_type(operator, value):
    return isinstance(value, bool | None) if operator in FLAGS else not isinstance(value, int)


@pytest.mark.sampled
@pytest.mark.one_database
@pytest.mark.parametrize("case", CASES)
async def test_a_rule_grants_the_rows_that_its_operators_match(client, case):
    for rule, rows in CASES[case]:
        assert await get(client, "", bearer(static_token(caller_name(rule)))) == rule_rows(rows), rule


@pytest.mark.sampled
@pytest.mark.parametrize(("rule", "rows"), FILTERS)
async def test_a_rule_grants_the_same_rows_over_graphql(client, rule, rows):
    assert await execute(client, {}, bearer(static_token(caller_name(rule)))) == rule_rows(rows)


@pytest.mark.parametrize("case", CASES)
async def test_a_filter_matches_the_rows_that_its_operators_match(client, case):
    for filter_, rows in CASES[case]:
        assert await get(client, f"filter={quote(orjson.dumps(filter_))}") == client_rows(rows), filter_
        if (graphql_filter := in_graphql(filter_)) is not None:
            assert await execute(client, graphql_filter) == client_rows(rows), filter_


@pytest.mark.sampled
@pytest.mark.parametrize(("query", "rows"), QUERY_STRINGS)
async def test_a_text_in_a_query_string_may_stand_for_null(client, query, rows):
    assert await get(client, query) == client_rows(rows)
