"""The limits on the size of a query, in query strings, SEARCH bodies and GraphQL; each error names the limit."""

import json
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio

from app.core.config import Settings
from app.core.errors import InvalidQuery
from app.query.size import SizeCounter, SizeLimits
from tests.base_data import static_token, uid
from tests.http.test_graphql import ADA, PATH, bearer, served

SIZES = {
    "query_max_fields": 100,
    "query_max_filter_parts": 10,
    "query_max_filter_depth": 8,
    "query_max_sort_keys": 3,
    "query_max_list_items": 100,
}
FIELDS, PARTS, DEPTH = "ore than 100 fields", "more than 10 parts", "more than 8 levels deep"
ITEMS, KEYS = "at most 100", "at most 3"
TITLE = {"title": {"_neq": "x"}}
SEVERAL_SORTS = ["email", "-title", "status", "id"]


def nested(levels, name="_and", inner=TITLE):
    for _ in range(levels):
        inner = {name: [inner]}
    return inner


@pytest_asyncio.fixture(scope="module")
async def client(readonly_db):
    async with served(readonly_db.settings.model_copy(update=SIZES)) as client:
        yield client


async def search(client, query, path="/users"):
    return await client.request("SEARCH", path, json={"query": query}, headers=ADA)


async def get(client, query, path="/users"):
    text = "&".join(f"{name}={quote(written(value))}" for name, value in query)
    return await client.get(f"{path}?{text}", headers=ADA)


def written(value):
    """Return the value of a parameter in a query string: names with commas, objects as JSON."""
    return ",".join(value) if isinstance(value, list) else value if isinstance(value, str) else json.dumps(value)


def reason(response):
    assert response.status_code == 400, response.text
    (error,) = response.json()["errors"]
    assert error["extensions"]["code"] == "INVALID_QUERY"
    return error["extensions"]["reason"]


FILTERS = {
    "parts of _or": ({"_or": [TITLE] * 10}, PARTS),
    "parts of _and": ({"_and": [TITLE] * 10}, PARTS),
    "empty parts": ({"_or": [{}] * 10}, PARTS),
    "operators": ({"last_access": {f"_x{n}": 1 for n in range(11)}}, PARTS),
    "fields": ({f"x{n}": 1 for n in range(11)}, PARTS),
    "parts in all branches": ({"_or": [{"_and": [TITLE] * 3}] * 4}, PARTS),
    "relations": ({"_or": [{"role": {"parent": {"name": {"_eq": "x"}}}}] * 4}, PARTS),
    "levels of _and": (nested(8), DEPTH),
    "levels of _or": (nested(8, "_or"), DEPTH),
    "levels far beyond the limit": (nested(60), DEPTH),
    "items of _in": ({"email": {"_in": ["x"] * 101}}, ITEMS),
    "items of _nin": ({"role": {"_nin": [uid("role-Editor")] * 101}}, ITEMS),
    "items of _between": ({"last_access": {"_between": ["2024-01-01"] * 101}}, ITEMS),
    "items of all lists": ({"_or": [{"email": {"_in": ["x"] * 50}}] * 3}, ITEMS),
    "items of a text": ({"email": {"_in": "x," * 100}}, ITEMS),
}


@pytest.mark.parametrize("case", FILTERS)
async def test_a_filter_over_a_limit_is_rejected_everywhere(client, case):
    filter_, expected = FILTERS[case]
    query = "query($f: directus_users_filter) { users(filter: $f) { id } }"
    graphql = await client.post(PATH, json={"query": query, "variables": {"f": filter_}}, headers=ADA)

    assert expected in reason(await search(client, {"filter": filter_}))
    assert expected in reason(await get(client, [("filter", filter_)]))
    assert expected in reason(
        await search(client, {"fields": "users.id", "deep": {"users": {"_filter": filter_}}}, "/roles")
    )
    if case not in ("operators", "fields", "items of a text"):  # which GraphQL's own types rule out
        assert expected in reason_of_graphql(graphql)


def reason_of_graphql(response):
    (error,) = response.json()["errors"]
    return error["extensions"]["reason"]


@pytest.mark.parametrize(
    "filter_",
    [
        {"_or": [TITLE] * 9},
        nested(5),
        {"email": {"_in": ["ada@example.com"] * 100}},
        {"_and": [{"role": {"name": {"_neq": "x"}}}] * 4},
    ],
)
async def test_a_filter_at_a_limit_is_answered(client, filter_):
    response = await search(client, {"filter": filter_, "limit": -1})

    assert response.status_code == 200, response.text


async def test_the_path_of_a_variable_is_limited(client):
    filter_ = {"email": {"_eq": "$CURRENT_USER." + "role.users." * 30_000 + "id"}}

    assert reason(await search(client, {"filter": filter_})) == '"$CURRENT_USER" can be followed by at most 10 fields'


TOO_LARGE: dict[str, tuple[dict[str, Any], str]] = {
    "wildcards": ({"fields": "*.*.*.*"}, FIELDS),
    "wildcards, listed several times": ({"fields": ["*.*.*", "role.*.*.*", "policies.*.*.*"]}, FIELDS),
    "names": ({"fields": [f"x{n}" for n in range(101)]}, "at most 100"),
    "a text of names": ({"fields": "id," * 101}, ITEMS),
    "paths": ({"fields": [f"role.users.x{n}" for n in range(101)]}, "at most 100"),
    "aliases": ({"fields": "id", "alias": {f"a{n}": "email" for n in range(101)}}, '"alias" has 101 entries'),
    "aliases of nested rows": (
        {"fields": "role.id", "deep": {"role": {"_alias": {f"a{n}": "name" for n in range(101)}}}},
        '"alias" has 101 entries',
    ),
    "fields of aliased relations": (
        {"fields": [f"a{n}.*" for n in range(12)], "alias": {f"a{n}": "role" for n in range(12)}},
        FIELDS,
    ),
    "deep": ({"fields": "role.id", "deep": {"role": {f"_x{n}": 1 for n in range(101)}}}, '"deep" has 101 entries'),
    "aggregates": ({"aggregate": {"count": ["id"] * 101}}, ITEMS),
    "aggregates of wildcards": ({"aggregate": {"count": ["*", *["id"] * 100]}}, ITEMS),
    "groups": ({"aggregate": {"count": "*"}, "groupBy": ["email"] * 101}, ITEMS),
    "sort keys": ({"sort": SEVERAL_SORTS}, KEYS),
    "sort keys in a text": ({"sort": ",".join(SEVERAL_SORTS)}, KEYS),
    "sort keys of all lists": (
        {"fields": "role.users.id", "sort": "email,title", "deep": {"role": {"users": {"_sort": "email,title"}}}},
        KEYS,
    ),
    "sort keys of groups": (
        {"aggregate": {"count": "*"}, "groupBy": ["email", "title"], "sort": ["-count", "-email", "countAll", "title"]},
        KEYS,
    ),
    "repeated sort keys": ({"sort": ["email"] * 101}, ITEMS),
    "meta": ({"meta": "total_count," * 101}, ITEMS),
}


@pytest.mark.parametrize("case", TOO_LARGE)
async def test_a_query_over_a_limit_is_rejected(client, case):
    query, expected = TOO_LARGE[case]

    assert expected in reason(await search(client, query))
    assert expected in reason(await get(client, query.items()))


REPEATED = "selects the same fields, or fragments together, too often"
GRAPHQL = {
    "server_ping " * 150: REPEATED,
    "users { role { users { id } } } " * 150: REPEATED,
    "server_ping "
    + " ".join(f"...F{n}" for n in range(150))
    + " } "
    + " ".join(f"fragment F{n} on Query {{ server_ping" + " }" * (n < 149) for n in range(150)): REPEATED,
    "server_ping } " + "fragment F on Query { " + "server_ping " * 150: REPEATED,
    "... F } fragment F on Query { roles { ...G } } fragment G on directus_roles { children { ...G } ": FIELDS,
    "server_ping" + " " * 100_000: "100015 characters; at most 100000",
    'users(filter: { email: { _in: "' + "x," * 1_000 + '" } }) { id }': "at most 1000 items",
    "users { " + " ".join(f"a{n}: email" for n in range(101)) + " }": FIELDS,
    " ".join(f"a{n}: users {{ id email role {{ id name }} }}" for n in range(21)): FIELDS,
    f"users(sort: {json.dumps(SEVERAL_SORTS)}) {{ id }}": KEYS,
    f"roles {{ users(sort: {json.dumps(SEVERAL_SORTS)}) {{ id }} }}": KEYS,
    "users(filter: { _or: [" + "{ title: { _null: true } }" * 10 + "] }) { id }": PARTS,
    'users(filter: { email: { _in: "' + "x," * 100 + '" } }) { id }': ITEMS,
    "users_aggregated(groupBy: [" + ",".join(f'"x{n}"' for n in range(101)) + "]) { group }": FIELDS,
    "users_aggregated { count { " + " ".join(f"a{n}: email" for n in range(101)) + " } }": FIELDS,
}


@pytest.mark.parametrize("query", GRAPHQL, ids=lambda query: query[:30])
async def test_a_graphql_query_over_a_limit_is_rejected(client, query):
    response = await client.post(PATH, json={"query": f"{{ {query} }}"}, headers=ADA)

    assert GRAPHQL[query] in response.text
    assert {error["extensions"]["code"] for error in response.json()["errors"]} <= {
        "INVALID_QUERY",
        "GRAPHQL_VALIDATION",
    }


async def test_a_list_that_is_too_long_gets_no_plan_of_a_shorter_one(client):
    query = "query($emails: [String]) { users(filter: { email: { _in: $emails } }) { id } }"
    responses = [
        await client.post(
            PATH, json={"query": query, "variables": {"emails": [f"x{n}" for n in range(count)]}}, headers=ADA
        )
        for count in (3, 3, 101, 100)
    ]

    assert [ITEMS in response.text for response in responses] == [False, False, True, False]
    assert responses[3].json() == {"data": {"users": []}}


@pytest.mark.parametrize("sort", ["email,-email,email", "status,status,-status,id,-id"])
async def test_repeated_sort_keys_are_dropped(client, sort):
    once = ",".join(dict.fromkeys(key.removeprefix("-") for key in sort.split(",")))
    repeated, plain = [(await get(client, [("sort", text), ("fields", "email")])).json() for text in (sort, once)]
    query = "query($s: [String]) { users(sort: $s) { email } }"
    variables = {"s": sort.split(",") * 30}
    graphql = (await client.post(PATH, json={"query": query, "variables": variables}, headers=ADA)).json()

    assert repeated == plain
    assert graphql["data"]["users"] == plain["data"]


async def test_two_thousand_sort_keys_that_repeat_a_few_are_answered(readonly_db):
    async with served(readonly_db.settings) as client:
        response = await search(client, {"sort": ["email", "-title"] * 1_000, "fields": "id"})

    assert len(response.json()["data"]) > 1


async def test_wildcards_stop_at_the_limit_however_many_there_are(client):
    for stars in (4, 10):
        assert FIELDS in reason(await get(client, [("fields", ".".join("*" * stars))]))
    assert "At most 10 fields are allowed in a path" in reason(await get(client, [("fields", ".".join("*" * 11))]))


async def test_wildcards_of_a_caller_who_sees_little_are_small(client):
    response = await client.get("/users?fields=*.*.*.*", headers=bearer(static_token("sam")))

    assert response.status_code == 200


def test_the_defaults_are_those_of_the_settings():
    settings = Settings(_env_file=None)

    assert (
        SizeLimits(
            settings.query_max_fields,
            settings.query_max_filter_parts,
            settings.query_max_filter_depth,
            settings.query_max_sort_keys,
            settings.query_max_list_items,
        )
        == SizeLimits()
    )


def test_what_counts_as_a_part_of_a_filter():
    for filter_, parts in {
        "{}": 1,
        '{"title": {"_eq": "x"}}': 1,
        '{"title": "x"}': 1,
        '{"title": {}}': 1,
        '{"last_access": {"_gt": 1, "_lt": 2}}': 2,
        '{"_or": [{"title": {"_eq": "x"}}, {"title": {"_in": [1, 2]}}]}': 3,
        '{"role": {"users": {"email": {"_eq": "x"}}}}': 3,
        '{"_and": [{}, {}]}': 3,
    }.items():
        SizeCounter(SizeLimits(filter_parts=parts)).add_filter(json.loads(filter_))
        with pytest.raises(InvalidQuery):
            SizeCounter(SizeLimits(filter_parts=parts - 1)).add_filter(json.loads(filter_))
