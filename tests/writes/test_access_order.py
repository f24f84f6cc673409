"""Access rows are sorted by `sort`, and numbered in it when they are added to a role or a user."""

import pytest
import pytest_asyncio

from app.core.caller import SYSTEM
from app.graphql.schema import schema
from tests.base_data import caller, uid
from tests.http.test_graphql import ADA
from tests.writes.editors import make_permission

ADMIN, STAFF = caller("ada"), uid("role-Staff")
STAFFS, EDITORS, VIEWERS = (uid(f"policy-{name}") for name in ("Staff", "Editors", "Viewers"))
NUMBERS = [None, 30, 2, None, 1]


@pytest_asyncio.fixture
async def sorted_access(editors):
    """The database in which the access rows of Staff have `NUMBERS`, and no others have a number."""
    rows = [
        {"id": uid(f"sorted-{index}"), "policy": STAFFS, "role": STAFF, "sort": number}
        for index, number in enumerate(NUMBERS)
    ]
    roles = editors.directory(SYSTEM)["roles"]
    await roles.update_one(STAFF, {"policies": rows})
    return editors


async def numbers(client, path):
    response = await client.get(path, headers=ADA)
    assert response.status_code == 200, response.text
    return response.json()["data"]


async def test_rows_are_sorted_by_it_unless_the_query_says_otherwise(client, sorted_access):
    of_staff = f"/access?fields=sort&filter[role][_eq]={STAFF}"
    ascending = [{"sort": number} for number in (1, 2, 30, None, None)]

    assert await numbers(client, of_staff) == ascending
    assert await numbers(client, f"{of_staff}&sort=") == ascending
    assert await numbers(client, f"{of_staff}&limit=1&offset=1") == [{"sort": 2}]
    assert await numbers(client, f"{of_staff}&sort=-sort&limit=3") == [{"sort": number} for number in (None, None, 30)]
    assert (await numbers(client, f"/roles/{STAFF}?fields=policies.sort"))["policies"] == ascending
    of_staff = f"/access?filter[role][_eq]={STAFF}"
    by_key = await numbers(client, f"{of_staff}&fields=id,sort&sort=id")
    assert by_key == sorted(by_key, key=lambda row: row["id"])
    keys = [row["id"] for row in await numbers(client, f"{of_staff}&fields=id,sort")]
    assert (await numbers(client, f"/roles/{STAFF}?fields=policies"))["policies"] == keys
    export = await client.get(f"{of_staff}&fields=sort&export=csv", headers=ADA)
    assert export.text.split() == ['"sort"', "1", "2", "30"]


async def test_rows_are_sorted_by_it_in_graphql_too(sorted_access):
    query = f"""{{
        roles_by_id(id: "{STAFF}") {{ policies {{ sort }} last: policies(sort: ["-sort"], limit: 3) {{ sort }} }}
        access(filter: {{ role: {{ id: {{ _eq: "{STAFF}" }} }} }}) {{ sort }} }}"""
    full = await schema.execute_full(query, context_value=sorted_access.directory(ADMIN))
    ascending = [{"sort": number} for number in (1, 2, 30, None, None)]

    for result in (full, await sorted_access.execute(query, caller=ADMIN)):
        assert result.data is not None
        assert result.data["access"] == result.data["roles_by_id"]["policies"] == ascending
        assert [row["sort"] for row in result.data["roles_by_id"]["last"]] == [None, None, 30]


async def test_a_caller_who_cannot_see_it_reads_rows_sorted_by_key(sorted_access):
    permission = make_permission(120, "Writers", "read", "access", "id,role")
    await sorted_access.load({"directus_permissions": [permission]})
    rows = await sorted_access.directory(caller("wes"))["access"].read_by_query({"fields": ["id"]})

    assert len(rows) > len(NUMBERS)
    assert rows == sorted(rows, key=lambda row: row["id"])


ADDED = [
    # collection, rows added to it, their policies and numbers
    ("roles", [{}, {}], [1, 2]),
    ("users", [{}, {}], [1, 2]),
    ("roles", [{}, {"sort": 99}, {}, {"sort": None}], [1, 99, 3, None]),
]


@pytest.mark.parametrize(("collection", "added", "expected"), ADDED)
async def test_rows_added_to_a_role_or_a_user_are_numbered(client, editors, collection, added, expected):
    required = {"roles": {"name": "New"}, "users": {"email": "new@example.com"}}[collection]
    changes = {"create": [{"policy": VIEWERS, **row} for row in added]}
    path, fields = f"/{collection}", "fields=id,policies.sort"
    response = await client.post(f"{path}?{fields}", json={**required, "policies": changes}, headers=ADA)
    created = response.json()["data"]

    assert sorted(created["policies"], key=str) == sorted(({"sort": number} for number in expected), key=str)


async def test_later_rows_continue_after_the_largest_number(sorted_access):
    mutation = f"""mutation($changes: [update_directus_access_input]) {{
        update_roles_item(id: "{STAFF}", data: {{ policies: $changes }}) {{ policies {{ sort policy {{ id }} }} }} }}"""
    changes = {"create": [{"policy": {"id": EDITORS}}, {"policy": {"id": VIEWERS}}], "delete": [uid("sorted-1")]}
    result = await sorted_access.execute(mutation, {"changes": changes}, ADMIN)

    assert result.errors is None
    rows = [(row["sort"], row["policy"]["id"]) for row in result.data["update_roles_item"]["policies"]]
    assert rows[:4] == [(1, STAFFS), (2, STAFFS), (31, EDITORS), (32, VIEWERS)]


async def test_a_list_of_rows_and_the_rows_of_a_policy_are_not_numbered(editors):
    """As in Directus."""
    ada = editors.directory(ADMIN)
    role = await ada["roles"].create_one({"name": "New", "policies": [{"policy": VIEWERS}, {"policy": EDITORS}]})
    policy = await ada["policies"].create_one({"name": "New", "roles": {"create": [{"role": STAFF}]}})

    assert await ada["roles"].read_one(role, {"fields": "policies.sort"}) == {"policies": [{"sort": None}] * 2}
    assert await ada["policies"].read_one(policy, {"fields": "roles.sort"}) == {"roles": [{"sort": None}]}
