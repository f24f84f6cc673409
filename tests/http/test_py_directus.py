"""The requests of py-directus, Directus' Python client: it sends filters and aggregates as JSON texts."""

import pytest
import pytest_asyncio

from tests.base_data import uid
from tests.http.test_graphql import ADA, served


@pytest_asyncio.fixture(scope="module")
async def client(readonly_db):
    async with served(readonly_db.settings.model_copy(update={"log_level": "error"})) as client:
        yield client


REQUESTS = [
    # body as py-directus 0.0.30 sends it, data
    ({"filter": '{\n  "first_name": {\n    "_eq": "Ed"\n  }\n}', "fields": "email"}, [{"email": "ed@example.com"}]),
    (
        {
            "filter": '{\n  "email": {\n    "_ends_with": "@example.com"\n  }\n}',
            "sort": ["email"],
            "limit": 2,
            "fields": "email",
        },
        [{"email": "ada@example.com"}, {"email": "ann@example.com"}],
    ),
    (
        {
            "filter": (
                '{\n  "_and": [\n    {\n      "_or": [\n        {\n          "first_name": {\n            "_eq": "Ed"\n'
                '          }\n        },\n        {\n          "title": {\n            "_eq": "Viewer"\n          }\n'
                '        }\n      ]\n    },\n    {\n      "status": {\n        "_eq": "active"\n      }\n    }\n  ]\n}'
            ),
            "sort": ["email"],
            "fields": "email",
        },
        [{"email": "ed@example.com"}, {"email": "vi@example.com"}],
    ),
    (
        {"filter": '{\n  "role": {\n    "name": {\n      "_eq": "Viewer"\n    }\n  }\n}', "fields": "id"},
        [{"id": uid("vi")}],
    ),
    ({"aggregate": '{\n  "count": "*"\n}'}, [{"count": "9"}]),
    (
        {"aggregate": '{\n  "count": [\n    "id"\n  ]\n}', "groupBy": "status", "limit": 1},
        [{"status": "active", "count": {"id": "7"}}],
    ),
    (
        {
            "search": "edelman",
            "page": 1,
            "limit": 5,
            "offset": 0,
            "fields": "email,role.name",
            "sort": ["-email"],
        },
        [{"email": "ed@example.com", "role": {"name": "Editor"}}],
    ),
]


@pytest.mark.parametrize(("query", "rows"), REQUESTS)
async def test_a_search_request_returns_the_rows(client, query, rows):
    response = await client.request("SEARCH", "/users", json={"query": query}, headers=ADA)

    assert response.json() == {"data": rows}


async def test_a_search_request_returns_the_counts(client):
    query = {"filter": '{\n  "first_name": {\n    "_eq": "Ed"\n  }\n}', "meta": "*", "fields": "id"}
    response = await client.request("SEARCH", "/users", json={"query": query}, headers=ADA)

    assert response.json() == {"data": [{"id": uid("ed")}], "meta": {"total_count": 9, "filter_count": 1}}


async def test_a_get_request_returns_the_rows(client):
    query = "filter=%0A%7B%0A++%22first_name%22%3A+%7B%0A++++%22_eq%22%3A+%22Ed%22%0A++%7D%0A%7D%0A&fields=id"

    assert (await client.get(f"/users?{query}", headers=ADA)).json() == {"data": [{"id": uid("ed")}]}
