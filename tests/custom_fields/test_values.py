"""Custom fields of every kind are written, read, filtered, sorted and aggregated like built-in ones."""

from typing import Any

import pytest

from tests.base_data import uid
from tests.custom_fields.database import UNDESCRIBED, UNKNOWN
from tests.http.test_graphql import ADA, PATH

pytestmark = pytest.mark.both_databases

VI, ED = f"/users/{uid('vi')}", uid("ed")
ROUND_TRIPS: dict[str, list[Any]] = {
    # field: [(as it is sent, as REST returns it, as GraphQL returns it)]
    "phone": [("+49 1", "+49 1", "+49 1"), (5, "5", "5")],
    "badge_number": [("8", 8, 8)],
    "points": [(2**63 - 1, str(2**63 - 1), str(2**63 - 1)), ("12", "12", "12")],
    "rating": [(1.5, 1.5, 1.5), ("2.25", 2.25, 2.25), (3, 3, 3)],
    "salary": [("1234.567", "1234.57", 1234.57), (12, "12.00", 12), (0.1, "0.10", 0.1), (-0.005, "-0.01", -0.01)],
    "remote": [(True, True, True), ("false", False, False)],
    "skills": [({"a": 1}, {"a": 1}, {"a": 1}), ('["a"]', ["a"], ["a"])],
    "labels": [("a,b", ["a", "b"], ["a", "b"]), ([], [], [])],
    "external_ref": [("6F1B0E5C-94F2-4A5F-8A3A-0F3B3C1D2E4F", *["6f1b0e5c-94f2-4a5f-8a3a-0f3b3c1d2e4f"] * 2)],
    "birthday": [("1990-05-17", "1990-05-17", "1990-05-17"), ("1990-05-17T23:30:00-02:00", *["1990-05-18"] * 2)],
    "shift_start": [("08:30", "08:30:00", "08:30:00"), ("08:30:00.120", "08:30:00.12", "08:30:00.12")],
    "hired_at": [
        ("2020-01-02T03:04:05+02:00", *["2020-01-02T01:04:05"] * 2),
        ("2020-01-02", *["2020-01-02T00:00:00"] * 2),
    ],
    "checked_at": [("2020-01-02T03:04:05.678Z", *["2020-01-02T03:04:05.678Z"] * 2)],
    "secret_note": [("psst", "**********", "**********")],
    "manager": [(ED, ED, None)],
}
INVALID: dict[str, list[Any]] = {
    "phone": ["x" * 33],
    "badge_number": ["x", 1.5, True, 2**31],
    "points": ["x", 1.5, 2**63],
    "rating": ["x", "nan", True, 1e39],
    "salary": ["x", "99999999999.99", True],
    "remote": ["x", None],
    "external_ref": ["x", 5],
    "birthday": ["x", "", 20, "1990-02-30"],
    "shift_start": ["25:00:00", "x", "", "8"],
    "hired_at": ["x", ""],
    "manager": ["x", uid("nobody")],
    "level": [0],
}
FILTERS: dict[str, list[Any]] = {
    "phone": [("_contains", "49"), ("_eq", "+49 1"), ("_in", ["+49 1"])],
    "badge_number": [("_gt", 6), ("_between", [7, 7])],
    "points": [("_eq", "9007199254740993"), ("_gte", "9007199254740993")],
    "rating": [("_eq", 1.1), ("_lt", 2)],
    "salary": [("_eq", "1234.57"), ("_between", [1234, 1235]), ("_nin", [1, 2])],
    "remote": [("_eq", True)],
    "skills": [("_nnull", True)],
    "labels": [("_contains", "b")],
    "external_ref": [("_eq", "6f1b0e5c-94f2-4a5f-8a3a-0f3b3c1d2e4f")],
    "birthday": [("_lt", "1991-01-01"), ("_eq", "1990-05-17"), ("_lt", "$NOW")],
    "shift_start": [("_gte", "08:30:00"), ("_eq", "08:30:00")],
    "hired_at": [("_eq", "2020-01-02T01:04:05"), ("_gt", "2020-01-01")],
    "checked_at": [("_gt", "2020-01-01")],
    "pin": [("_nnull", True), ("_nempty", True)],
    "manager": [("_eq", ED)],
}
ROW = {
    "phone": "+49 1",
    "badge_number": 7,
    "points": "9007199254740993",
    "rating": 1.1,
    "salary": "1234.57",
    "remote": True,
    "skills": ["a", "b"],
    "labels": ["a", "b"],
    "external_ref": "6f1b0e5c-94f2-4a5f-8a3a-0f3b3c1d2e4f",
    "birthday": "1990-05-17",
    "shift_start": "08:30:00",
    "hired_at": "2020-01-02T01:04:05",
    "checked_at": "2020-01-02T03:04:05.000Z",
    "pin": "1234",
    "manager": ED,
}


async def change(client, path=VI, **values):
    response = await client.patch(path, json=values, headers=ADA)
    assert response.status_code == 200, response.text
    return response.json()["data"]


async def graphql(client, query, **variables):
    response = await client.post(PATH, json={"query": query, "variables": variables}, headers=ADA)
    assert "errors" not in response.json(), response.text
    return response.json()["data"]


async def found(client, filter_):
    response = await client.request(
        "SEARCH", "/users", json={"query": {"filter": filter_, "fields": ["email"]}}, headers=ADA
    )
    assert response.status_code == 200, response.text
    return [row["email"] for row in response.json()["data"]]


@pytest.mark.parametrize("field", ROUND_TRIPS)
async def test_a_value_is_returned_as_directus_returns_it(custom, client, field):
    for sent, rest, graphql_value in ROUND_TRIPS[field]:
        assert (await change(client, **{field: sent}))[field] == rest
        assert (await client.get(f"{VI}?fields={field}", headers=ADA)).json()["data"] == {field: rest}
        if field != "manager":
            query = f'{{ users_by_id(id: "{uid("vi")}") {{ {field} }} }}'
            assert (await graphql(client, query))["users_by_id"] == {field: graphql_value}


@pytest.mark.parametrize("field", INVALID)
async def test_an_invalid_value_is_rejected_with_a_reason(custom, client, field):
    for value in INVALID[field]:
        response = await client.patch(VI, json={field: value}, headers=ADA)
        assert response.status_code == 400, (value, response.text)
        assert field in response.text


@pytest.mark.parametrize("field", FILTERS)
async def test_a_field_is_filtered_by_the_operators_of_its_kind(custom, client, field):
    await change(client, **ROW)
    for operator, value in FILTERS[field]:
        assert await found(client, {field: {operator: value}}) == ["vi@example.com"], operator


async def test_functions_relations_and_aliases_are_filtered_too(custom, client):
    await change(client, **ROW)

    for filter_ in (
        {"year(birthday)": {"_eq": 1990}},
        {"hour(shift_start)": {"_eq": 8}},
        {"second(hired_at)": {"_eq": 5}},
        {"count(skills)": {"_eq": 2}},
        {"manager": {"email": {"_eq": "ed@example.com"}}},
        {"manager": {"reports": {"_some": {"phone": {"_eq": "+49 1"}}}}},
    ):
        assert await found(client, filter_) == ["vi@example.com"]
    assert await found(client, {"reports": {"_some": {"badge_number": {"_eq": 7}}}}) == ["ed@example.com"]


@pytest.mark.parametrize("field", ["phone", "points", "rating", "salary", "birthday", "shift_start", "manager.email"])
async def test_rows_are_sorted_by_a_custom_field(custom, client, field):
    await change(client, **ROW)
    names = [uid(name) for name in ("vi", "ada")]
    query = {"filter": {"id": {"_in": names}}, "sort": [f"{field}"], "fields": ["email"]}
    response = await client.request("SEARCH", "/users", json={"query": query}, headers=ADA)

    assert [row["email"] for row in response.json()["data"]] == ["vi@example.com", "ada@example.com"]


async def test_numbers_are_aggregated_and_rows_grouped(custom, client):
    await change(client, **ROW)
    await change(client, f"/users/{ED}", salary="0.43", rating=2, remote=True)
    sums, extremes = (
        "aggregate[sum]=salary,points&aggregate[avg]=rating",
        "aggregate[min]=birthday&aggregate[max]=salary",
    )
    query = f"{sums}&{extremes}&groupBy=remote"
    response = await client.get(f"/users?{query}&filter[remote][_eq]=true", headers=ADA)

    (group,) = response.json()["data"]
    assert group["sum"] == {"salary": "1235.00", "points": "9007199254740993"}
    assert group["avg"]["rating"] == pytest.approx(1.55)
    assert (group["min"], group["max"]) == ({"birthday": "1990-05-17"}, {"salary": "1234.57"})
    data = await graphql(
        client, '{ users_aggregated(groupBy: ["remote"], sort: ["-remote"]) { sum { salary rating } max { salary } } }'
    )
    assert data["users_aggregated"][0] == {
        "sum": {"salary": 1235, "rating": pytest.approx(3.1)},
        "max": {"salary": 1234.57},
    }


async def test_groups_have_the_values_of_custom_fields_and_of_their_functions(custom, client):
    await change(client, **ROW)
    for group, value in (
        ("salary", "1234.57"),
        ("birthday", "1990-05-17"),
        ("year(birthday)", "1990"),
        ("labels", ["a", "b"]),
    ):
        response = await client.get(
            f"/users?aggregate[count]=*&groupBy={group}&filter[phone][_nnull]=true", headers=ADA
        )
        (row,) = response.json()["data"]
        assert value in row.values()


async def test_the_search_finds_texts_but_no_concealed_ones(custom, client):
    await change(client, phone="find me here", secret_note="find me nowhere")

    response = await client.get("/users?search=find me&fields=email", headers=ADA)
    assert response.json()["data"] == [{"email": "vi@example.com"}]
    assert (await client.get("/users?search=nowhere&fields=email", headers=ADA)).json()["data"] == []


async def test_csv_exports_have_columns_of_custom_fields(custom, client):
    await change(client, phone="1", salary=5, birthday="1990-05-17", manager=ED)
    path = "/users?export=csv&fields=email,phone,salary,birthday,manager.email&filter[phone][_nnull]=true"

    assert (await client.get(path, headers=ADA)).text.splitlines() == [
        '"email","phone","salary","birthday","manager.email"',
        '"vi@example.com","1","5.00","1990-05-17","ed@example.com"',
    ]


async def test_a_row_is_created_with_nested_rows_and_its_defaults(custom, client):
    fields = "email,level,remote,manager.phone,reports.email"
    body = {"email": "new@example.com", "manager": {"email": "boss@example.com", "phone": "1"}, "reports": [uid("vi")]}
    response = await client.post(f"/users?fields={fields}", json=body, headers=ADA)

    assert response.json()["data"] == {
        "email": "new@example.com",
        "level": 3,
        "remote": False,
        "manager": {"phone": "1"},
        "reports": [{"email": "vi@example.com"}],
    }


async def test_the_server_sets_who_wrote_a_row_and_when(custom, client):
    fields = "made_on,made_by,changed_on,changed_by"
    body = {"email": "new@example.com", "made_by": ED, "made_on": "2001-01-01T00:00:00Z"}
    created = (await client.post(f"/users?fields=id,{fields}", json=body, headers=ADA)).json()["data"]
    assert (created["made_by"], created["changed_on"], created["changed_by"]) == (uid("ada"), None, None)
    assert created["made_on"] > "2026"

    path = f"/users/{created['id']}?fields={fields}"
    changed = (await client.patch(path, json={"phone": "1", "changed_by": None}, headers=ADA)).json()["data"]
    assert (changed["made_on"], changed["changed_by"]) == (created["made_on"], uid("ada"))
    assert changed["changed_on"] >= created["made_on"]


async def test_a_hashed_value_is_stored_as_its_hash_and_never_shown(custom, client):
    await change(client, pin="1234")
    statement = f"SELECT pin FROM directus_users WHERE id = '{uid('vi')}'"
    async with custom.database.transaction() as connection:
        stored = (await connection.exec_driver_sql(statement)).scalar()

    assert stored.startswith("$argon2")
    revision = await client.get(f"/revisions?filter[item]={uid('vi')}&sort=-id&limit=1&fields=data,delta", headers=ADA)
    assert "1234" not in revision.text
    assert "argon2" not in revision.text


@pytest.mark.parametrize("pin", ["12345", "12a4"])
async def test_a_hashed_value_is_validated_before_it_is_hashed(custom, client, pin):
    response = await client.patch(VI, json={"pin": pin}, headers=ADA)

    (error,) = response.json()["errors"]
    assert (response.status_code, error["extensions"]["field"]) == (400, "pin")
    assert pin not in response.text


async def test_changes_are_in_the_audit_log(custom, client):
    await change(client, salary="5", birthday="1990-05-17")
    path = f"/revisions?filter[item]={uid('vi')}&sort=-id&limit=1&fields=data,delta"
    (revision,) = (await client.get(path, headers=ADA)).json()["data"]

    assert revision["delta"]["salary"] == "5.00"
    assert revision["data"]["birthday"] == "1990-05-17"


@pytest.mark.parametrize("name", [UNDESCRIBED[0], UNKNOWN[0]])
async def test_a_column_without_description_or_kind_is_not_served(custom, client, name):
    assert name not in (await client.get(VI, headers=ADA)).json()["data"]
    assert (await client.get(f"{VI}?fields={name}", headers=ADA)).status_code == 403
    assert (await client.patch(VI, json={name: "x"}, headers=ADA)).status_code == 403


async def test_custom_fields_are_in_the_sdl_and_in_the_openapi_document(custom, client):
    sdl = (await client.get("/server/specs/graphql", headers=ADA)).text
    for line in (
        "shift_start_func: time_functions",
        "birthday: Date",
        "salary: Float",
        "remote: Boolean!",
        "pin: Hash",
    ):
        assert f"  {line}\n" in sdl
    assert '"""With the country code"""\n  phone: String\n' in sdl
    assert "reports(filter: directus_users_filter" in sdl
    assert "shift_start" in (await client.get("/server/specs/oas", headers=ADA)).text
