"""A validation compares written values only: one that asks for related rows or a function's result isn't stored."""

import pytest

from tests.base_data import caller, static_token, uid
from tests.http.test_graphql import bearer
from tests.security.entry_points import error_code, post_graphql

ADA = caller("ada")
PERMISSION = {
    "policy": uid("policy-Themselves"),
    "collection": "directus_users",
    "action": "update",
    "fields": ["title"],
}
BY_KEY = {"_or": [{"role": {"_eq": uid("role-App")}}, {"title": {"_submitted": True}}]}
UNWRITTEN = {
    "a related row": ({"role": {"name": {"_eq": "Limited"}}}, "role"),
    "related rows": ({"policies": {"_none": {}}}, "policies"),
    "a key of related rows": ({"policies": {"_nnull": True}}, "policies"),
    "a function": ({"_and": [{"count(tags)": {"_lte": 1}}]}, "count(tags)"),
    "a function as GraphQL names it": ({"last_access_func": {"year": {"_gt": 2000}}}, "year(last_access)"),
}


async def save(client, entry_point, collection, key, values):
    headers = bearer(static_token("ada"))
    if entry_point == "rest":
        path = "/settings" if collection == "settings" else f"/{collection}" + (f"/{key}" if key else "")
        method = "PATCH" if key or collection == "settings" else "POST"
        return await client.request(method, path, json=values, headers=headers)
    action = "update" if key or collection == "settings" else "create"
    name = f"{action}_{collection}" + ("" if collection == "settings" else "_item")
    arguments = (f'id: "{key}", ' if key else "") + "data: $d"
    mutation = f"mutation($d: {action}_directus_{collection}_input!) {{ {name}({arguments}) {{ id }} }}"
    return await post_graphql(client, mutation, headers=headers, variables={"d": values})


@pytest.mark.parametrize("case", UNWRITTEN)
async def test_a_validation_of_unwritten_values_is_not_stored(client, members, entry_point, case):
    filter_, name = UNWRITTEN[case]
    permissions, settings = (members.directory(ADA)[name] for name in ("permissions", "settings"))
    key = await permissions.create_one({**PERMISSION, "validation": BY_KEY})
    read = await permissions.create_one({**PERMISSION, "action": "read", "validation": filter_})
    responses = [
        await save(client, entry_point, "permissions", None, {**PERMISSION, "validation": filter_}),
        await save(client, entry_point, "permissions", key, {"validation": filter_}),
        await save(client, entry_point, "permissions", read, {"action": "update"}),
        await save(client, entry_point, "settings", None, {"public_registration_email_filter": filter_}),
    ]

    assert [error_code(response) for response in responses] == ["INVALID_PAYLOAD"] * 4
    assert all(name in response.json()["errors"][0]["message"] for response in responses)
    assert (await permissions.read_one(key))["validation"] == BY_KEY
    assert (await permissions.read_one(read))["action"] == "read"
    assert not (await settings.read_singleton()).get("public_registration_email_filter")
