"""`min` and `max`: REST has them for texts, dates and numbers, GraphQL for numbers, as recorded from Directus."""

import pytest

from tests.http.test_graphql import ADA
from tests.security.entry_points import error_code, post_graphql


def both(field):
    return {"aggregate[min]": field, "aggregate[max]": field}


async def test_rest_returns_the_extremes_of_texts_dates_and_numbers(members, client):
    texts = await client.get("/users", params=both("first_name"), headers=ADA)
    dates = await client.get("/users", params=both("last_access"), headers=ADA)
    numbers = await client.get("/permissions", params=both("id"), headers=ADA)
    (text,), (date,), (number,) = (response.json()["data"] for response in (texts, dates, numbers))

    assert text["min"]["first_name"] == "Ada" < text["max"]["first_name"]
    assert date["min"]["last_access"] < date["max"]["last_access"]
    assert number["min"]["id"] < number["max"]["id"]


@pytest.mark.parametrize(
    ("path", "field"),
    [("/users", "id"), ("/users", "role"), ("/users", "tags"), ("/users", "email_notifications"), ("/policies", "id")],
)
async def test_rest_rejects_the_extremes_of_a_field_without_an_order(client, members, path, field):
    response = await client.get(path, params={"aggregate[max]": field}, headers=ADA)

    assert (response.status_code, error_code(response)) == (400, "INVALID_QUERY")
    assert response.json()["errors"][0]["extensions"]["reason"] == f'"max" is not supported for "{field}"'


@pytest.mark.parametrize(
    "query",
    [
        "{ users_aggregated { min { last_access } } }",
        "{ users_aggregated { max { first_name } } }",
        "{ permissions_aggregated { max { action } } }",
        "{ policies_aggregated { min { admin_access } } }",
    ],
)
async def test_graphql_has_no_extremes_of_fields_that_are_not_numbers(client, members, query):
    response = await post_graphql(client, query, headers=ADA)

    assert (response.status_code, error_code(response)) == (400, "GRAPHQL_VALIDATION")
