"""Dates: what a client sends comes back equal on both databases or is rejected, and every stored date can be read."""

import pytest
import pytest_asyncio

from app.flows.import_export import import_file
from tests.base_data import static_token, uid
from tests.db.test_bootstrap_and_import import exported
from tests.http.test_graphql import ADA, PATH, bearer
from tests.writes.conftest import run_sql

pytestmark = pytest.mark.both_databases

ZERO, LAST = "0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"
ACCEPTED = {
    # sent                               received
    "0001-01-01T00:00:00Z": ZERO,  # the zero time of Go's programs
    "0001-01-01": ZERO,
    "9999-12-31T23:59:59.999Z": LAST,
    "9999-12-31T23:59:59.999999Z": LAST,
    "9999-12-31T23:59:59.999999999+00:00": LAST,
    "1969-12-31T23:59:59.999999Z": "1969-12-31T23:59:59.999Z",
    "2024-02-29T23:30:00-05:30": "2024-03-01T05:00:00.000Z",
    "2024-01-15T10:30:45.1239": "2024-01-15T10:30:45.123Z",
}
REJECTED = [
    "0001-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-00:01",
    "0000-01-01T00:00:00Z",
    "0000-12-31T23:59:59-00:01",
    "-000043-03-15T00:00:00Z",
    "0044-03-15 BC",
    "10000-01-01T00:00:00Z",
    "+010000-01-01T00:00:00Z",
    "2016-12-31T23:59:60Z",
    "2023-02-29",
    "infinity",
    "-infinity",
    "now",
    "2024-01-15T10:30:45 Europe/Prague",
]
REASON = '"last_access" in directus_users: Expected a date of the years 1 to 9999, such as 2024-01-15T10:30:45Z'


async def ask(client, query, **variables):
    response = await client.post(PATH, json={"query": query, "variables": variables}, headers=ADA)
    assert "errors" not in response.json(), response.text
    return response.json()["data"]


async def users(client, **parameters):
    response = await client.get("/users", params={"fields": "email", "limit": -1, **parameters}, headers=ADA)
    assert response.status_code == 200, response.text
    return [row["email"].partition("@")[0] for row in response.json()["data"]]


@pytest.mark.parametrize("sent", ACCEPTED)
async def test_an_accepted_date_comes_back_equal_and_finds_its_row(client, editors, sent):
    received, path = ACCEPTED[sent], f"/users/{uid('vi')}"
    patched = await client.patch(path, json={"last_access": sent}, headers=ADA)
    variable = await ask(
        client,
        "mutation ($id: ID!, $at: Date) { update_users_item(id: $id, data: {last_access: $at}) { last_access } }",
        id=uid("sam"),
        at=sent,
    )
    literal = await ask(
        client,
        f'mutation {{ create_users_item(data: {{ email: "x@x.example", last_access: "{sent}" }}) {{ last_access }} }}',
    )

    assert patched.json()["data"]["last_access"] == received
    assert variable["update_users_item"]["last_access"] == literal["create_users_item"]["last_access"] == received
    filters = [{"_eq": received}, {"_in": [received]}, {"_between": [received, received]}]
    for filter_ in filters:
        body = {"query": {"filter": {"last_access": filter_}, "limit": -1, "fields": "last_access"}}
        found = await client.request("SEARCH", "/users", json=body, headers=ADA)
        assert found.json()["data"] == [{"last_access": received}] * 3
    found = await ask(
        client, "query ($f: directus_users_filter) { users(filter: $f) { last_access } }", f={"last_access": filters[0]}
    )
    assert found["users"] == [{"last_access": received}] * 3
    assert len(await users(client)) > 3


@pytest.mark.parametrize("sent", REJECTED)
async def test_a_date_that_no_database_returns_equal_is_rejected_with_its_reason(client, editors, sent):
    patched = await client.patch(f"/users/{uid('vi')}", json={"last_access": sent}, headers=ADA)
    query = "mutation ($at: Date) { update_users_me(data: {last_access: $at}) { id } }"
    mutated = await client.post(PATH, json={"query": query, "variables": {"at": sent}}, headers=ADA)
    filtered = await client.get("/users", params={"filter[last_access][_lt]": sent}, headers=ADA)

    assert patched.json()["errors"][0]["extensions"] == {"reason": REASON, "code": "INVALID_PAYLOAD"}
    assert mutated.json()["errors"][0]["extensions"]["code"] == "INVALID_PAYLOAD"
    assert "Expected a date of the years 1 to 9999" in filtered.json()["errors"][0]["message"]


STORED = {
    "sam": ("-infinity", None),
    "vi": ("0044-03-15 BC", "-000043-03-15T00:00:00.000Z"),
    "ed": ("9999-12-31T23:59:59.999999Z", LAST),
    "ada": ("12024-02-29T10:30:45.123Z", "+012024-02-29T10:30:45.123Z"),
    "kit": ("infinity", None),
}
"""Dates as another program may have stored them, from the earliest to the latest, and as clients receive them."""
IN_ORDER, LATEST = list(STORED), ["ada", "kit"]


@pytest_asyncio.fixture
async def far_dates(editors):
    if editors.database.dialect != "postgresql":
        pytest.skip("only PostgreSQL stores such dates")
    sql = "".join(
        f"UPDATE directus_users SET last_access = '{STORED[name][0]}' WHERE id = '{uid(name)}';" for name in STORED
    )
    await run_sql(editors.settings.database_url, f"UPDATE directus_users SET last_access = NULL; {sql}")
    return editors


async def test_every_stored_date_is_read_sorted_and_filtered(client, far_dates):
    received = [{"last_access": STORED[name][1]} for name in IN_ORDER]
    known = {"filter[last_access][_nnull]": "true"}
    rows = await client.get("/users", params={"fields": "last_access", "sort": "last_access", **known}, headers=ADA)
    fields = "last_access last_access_func { year day }"
    query = f'{{ users(sort: "last_access", filter: {{ last_access: {{ _nnull: true }} }}) {{ {fields} }} }}'
    graphql = (await ask(client, query))["users"]

    assert rows.json()["data"] == received
    assert [{"last_access": row["last_access"]} for row in graphql] == received
    assert [row["last_access_func"]["year"] for row in graphql] == [None, -44, 9999, 12024, None]
    assert [row["last_access_func"]["day"] for row in graphql] == [None, 15, 31, 29, None]
    assert await users(client, sort="-last_access", **known) == IN_ORDER[::-1]
    assert await users(client, sort="last_access", **{"filter[last_access][_gt]": LAST}) == ["ed", *LATEST]
    assert await users(client, **{"filter[last_access][_lt]": ZERO, "sort": "last_access"}) == ["sam", "vi"]
    assert await users(client, **{"filter[year(last_access)][_gt]": "10000"}) == ["ada"]
    assert await users(client, **{"filter[last_access][_lt]": "$NOW", "sort": "last_access"}) == ["sam", "vi"]


async def test_every_stored_date_is_aggregated_and_exported(client, far_dates):
    aggregated = await client.get(
        "/users", params={"aggregate[min]": "last_access", "aggregate[max]": "last_access"}, headers=ADA
    )
    csv = await client.get(
        "/users",
        params={
            "fields": "email,last_access",
            "sort": "-email",
            "limit": 2,
            "export": "csv",
            "filter[last_access][_nnull]": "true",
        },
        headers=ADA,
    )
    grouped = await client.get("/users", params={"groupBy[]": "last_access", "aggregate[count]": "*"}, headers=ADA)

    assert aggregated.json()["data"] == [{"min": {"last_access": None}, "max": {"last_access": None}}]
    assert csv.text.splitlines()[1:] == ['"vi@example.com","\'-000043-03-15T00:00:00.000Z"', '"sam@example.com",']
    assert {row["last_access"] for row in grouped.json()["data"]} == {None, *(text for _, text in STORED.values())}


async def test_a_row_with_such_a_date_can_be_changed_and_its_audit_log_read(client, far_dates):
    for name, (_, received) in STORED.items():
        path = f"/users/{uid(name)}"
        changed = await client.patch(path, json={"title": "Changed"}, headers=ADA)
        revisions = await client.get("/revisions", params={"sort": "-id", "limit": 1}, headers=ADA)
        assert changed.json()["data"]["last_access"] == received
        assert revisions.json()["data"][0]["data"]["last_access"] == received
        assert revisions.json()["data"][0]["delta"] == {"title": "Changed"}


async def test_every_stored_date_is_exported_and_imported_without_loss(far_dates, tmp_path):
    before = await exported(far_dates, tmp_path / "before.json")
    await run_sql(far_dates.settings.database_url, "UPDATE directus_users SET last_access = now();")
    await import_file(far_dates.database, tmp_path / "before.json")

    assert await exported(far_dates, tmp_path / "after.json") == before
    assert {row["last_access"] for row in before["directus_users"]} >= {"infinity", "-infinity"}


FAR_SPANS = ["-3000 years", "+9000 years", "-999999999 years", "+999999999 days", "-999999999 weeks"]


@pytest.mark.parametrize("span", FAR_SPANS)
async def test_a_time_span_beyond_the_calendar_is_rejected_with_its_reason(client, editors, span):
    response = await client.get("/users", params={"filter[last_access][_lt]": f"$NOW({span})"}, headers=ADA)

    assert response.status_code == 400, response.text
    assert response.json()["errors"][0]["extensions"] == {
        "reason": f'"{span}" leads to a time outside the years 1 to 9999',
        "code": "INVALID_QUERY",
    }


async def test_a_preset_beyond_the_calendar_is_rejected_with_its_reason(client, editors):
    await editors.load(
        {
            "directus_permissions": [
                {"id": 103, "presets": {"last_access": "$NOW(+9000 years)"}, "fields": "email,last_access"}
            ]
        }
    )
    response = await client.patch("/users/me", json={"email": "wes@example.com"}, headers=bearer(static_token("wes")))

    assert response.status_code == 400
    assert "outside the years 1 to 9999" in response.json()["errors"][0]["message"]
