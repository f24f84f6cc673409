"""A violated constraint names collection, field and value of the row that violates it, in both APIs."""

import pytest
import pytest_asyncio

from tests.base_data import uid
from tests.http.test_graphql import ADA, PATH
from tests.writes.editors import checksum

pytestmark = pytest.mark.both_databases

VI, SAM, ROLE, STAFF, NEW, NOWHERE = (
    uid("vi"),
    uid("sam"),
    uid("role-Staff"),
    uid("policy-Staff"),
    uid("new"),
    uid("nowhere"),
)
PERMISSION = {"policy": STAFF, "collection": "directus_roles", "action": "read"}
POLICY = {"name": "a", "admin_access": False, "app_access": False, "enforce_tfa": False}
EXAMPLE = "@new.example"
FREE, TAKEN = {"email": f"a{EXAMPLE}"}, {"email": "vi@example.com"}


DUPLICATES = {
    # collection, rows to create: the last one violates, field, value in the error
    "an email": ("users", [FREE, TAKEN], "email", "vi@example.com"),
    "an email in another case": ("users", [FREE, {"email": "VI@example.com"}], "email", "VI@example.com"),
    "an email beyond ASCII": ("users", [{"email": f"é{EXAMPLE}"}, {"email": f"É{EXAMPLE}"}], "email", f"É{EXAMPLE}"),
    "a token, which is a secret": ("users", [{"token": "a"}, {"token": "static-of-vi"}], "token", None),
    "an external identifier": ("users", [{"external_identifier": name} for name in "abb"], "external_identifier", "b"),
    "the key of a user": ("users", [FREE, {"id": VI}], "id", VI),
    "the key of a role": ("roles", [{"id": NEW, "name": "a"}, {"id": ROLE, "name": "b"}], "id", ROLE),
    "the key of a policy": ("policies", [{**POLICY, "id": NEW}, {**POLICY, "id": STAFF}], "id", STAFF),
    "the key of a folder": ("folders", [{"id": NEW, "name": "a"}, {"id": NEW, "name": "b"}], "id", NEW),
    "the key of a permission": ("permissions", [PERMISSION, PERMISSION | {"id": 1}], "id", "1"),
}
SAME = {"external_identifier": "a"}
NOT_UNIQUE, NO_ROW = "RECORD_NOT_UNIQUE", "INVALID_FOREIGN_KEY"


def rest_error(response):
    (error,) = response.json()["errors"]
    assert response.status_code == 400
    return error["extensions"]


def expected(code, collection, field, value):
    values = {} if value is None else {"value": value}
    return {"code": code, "collection": f"directus_{collection}", "field": field, **values}


async def graphql_error(client, query, **variables):
    response = await client.post(PATH, json={"query": query, "variables": variables}, headers=ADA)
    (error,) = response.json()["errors"]
    return error["extensions"]


@pytest.mark.parametrize("case", DUPLICATES)
async def test_a_duplicate_in_a_batch_is_blamed_on_its_row(client, editors, case):
    collection, rows, field, value = DUPLICATES[case]
    before = await checksum(editors)
    query = (
        f"mutation ($rows: [create_directus_{collection}_input!]) {{ create_{collection}_items(data: $rows) {{ id }} }}"
    )

    assert rest_error(await client.post(f"/{collection}", json=rows, headers=ADA)) == expected(
        NOT_UNIQUE, collection, field, value
    )
    assert await graphql_error(client, query, rows=rows) == expected(NOT_UNIQUE, collection, field, value)
    assert await checksum(editors) == before


NESTED_AND_UPDATED = {
    # method, path, body, field, value in the error
    "nested": ("POST", "/roles", {"name": "a", "users": [FREE, TAKEN]}, "email", "vi@example.com"),
    "nested in the second row": (
        "POST",
        "/roles",
        [{"name": "a", "users": [FREE]}, {"name": "b", "users": [TAKEN]}],
        "email",
        "vi@example.com",
    ),
    "nested in an update": (
        "PATCH",
        f"/roles/{ROLE}",
        {"users": {"create": [FREE, {"id": VI}], "update": [], "delete": []}},
        "id",
        VI,
    ),
    "updated one by one": (
        "PATCH",
        "/users",
        [{"id": VI, "email": f"a{EXAMPLE}"}, {"id": SAM, "email": "ed@example.com"}],
        "email",
        "ed@example.com",
    ),
    "updated together": ("PATCH", "/users", {"keys": [VI, SAM], "data": SAME}, "external_identifier", "a"),
    "updated nested": (
        "PATCH",
        f"/roles/{ROLE}",
        {"users": [{"id": SAM, **SAME}, {"id": VI, **SAME}]},
        "external_identifier",
        "a",
    ),
}


@pytest.mark.parametrize("case", NESTED_AND_UPDATED)
async def test_a_duplicate_elsewhere_is_blamed_on_its_row(client, editors, case):
    method, path, body, field, value = NESTED_AND_UPDATED[case]

    response = await client.request(method, path, json=body, headers=ADA)

    assert rest_error(response) == expected(NOT_UNIQUE, "users", field, value)


MISSING = {
    # collection, row, collection and field of the reference
    "a role": ("users", {"role": NOWHERE}, "users", "role"),
    "an avatar": ("users", {"avatar": NOWHERE}, "users", "avatar"),
    "an avatar as an object": ("users", {"avatar": {"id": NOWHERE}}, "users", "avatar"),
    "an avatar of a nested user": ("roles", {"name": "a", "users": [{"avatar": NOWHERE}]}, "users", "avatar"),
    "a folder": ("folders", {"name": "a", "parent": NOWHERE}, "folders", "parent"),
    "a user": ("access", {"policy": STAFF, "user": NOWHERE}, "access", "user"),
}


@pytest.mark.parametrize("case", MISSING)
async def test_a_reference_to_no_row_is_rejected_by_name(client, editors, case):
    collection, row, named, field = MISSING[case]
    query = f"mutation ($row: create_directus_{collection}_input!) {{ create_{collection}_item(data: $row) {{ id }} }}"

    assert rest_error(await client.post(f"/{collection}", json=row, headers=ADA)) == expected(
        NO_ROW, named, field, NOWHERE
    )
    assert await graphql_error(client, query, row=row) == expected(NO_ROW, named, field, NOWHERE)


@pytest_asyncio.fixture
async def used_rows(client, editors):
    """A file that is a logo and an avatar, which Vi uploaded; a folder with a folder in it."""
    file = {"title": "Logo", "storage": "local", "filename_download": "logo.png", "type": "image/png"}
    keys = {}
    for name, path, body in (
        ("file", "/files", file),
        ("outer", "/folders", {"name": "Outer"}),
    ):
        keys[name] = (await client.post(path, json=body, headers=ADA)).json()["data"]["id"]
    inner = {"name": "Inner", "parent": keys["outer"]}
    keys["inner"] = (await client.post("/folders", json=inner, headers=ADA)).json()["data"]["id"]
    for path, body in (
        (f"/files/{keys['file']}", {"uploaded_by": VI}),
        ("/settings", {"project_logo": keys["file"]}),
        (f"/users/{SAM}", {"avatar": keys["file"]}),
    ):
        assert (await client.patch(path, json=body, headers=ADA)).status_code == 200
    return keys


async def test_a_row_that_others_refer_to_is_not_deleted_and_the_reference_is_named(client, used_rows):
    for collection, key, named, field in (
        ("files", used_rows["file"], "settings", "project_logo"),
        ("folders", used_rows["outer"], "folders", "parent"),
    ):
        query = f'mutation {{ delete_{collection}_item(id: "{key}") {{ id }} }}'
        response = await client.delete(f"/{collection}/{key}", headers=ADA)
        assert rest_error(response) == expected(NO_ROW, named, field, key)
        assert await graphql_error(client, query) == expected(NO_ROW, named, field, key)


async def test_a_user_whom_files_name_is_not_deleted_and_every_reference_is_counted(client, used_rows):
    query = f'mutation {{ delete_users_item(id: "{VI}") {{ id }} }}'
    references = [{"table": "directus_files", "column": "uploaded_by", "count": 1}]
    error = {**expected(NO_ROW, "files", "uploaded_by", VI), "references": references}

    assert rest_error(await client.delete(f"/users/{VI}", headers=ADA)) == error
    assert await graphql_error(client, query) == error


async def test_rows_that_only_refer_to_each_other_are_deleted_together(client, used_rows):
    keys = [used_rows["outer"], used_rows["inner"]]

    assert (await client.request("DELETE", "/folders", json=keys, headers=ADA)).status_code == 204
    assert (await client.get("/folders", headers=ADA)).json()["data"] == []


@pytest.mark.parametrize("api", ["rest", "graphql"])
async def test_a_deleted_file_is_no_avatar_any_longer(client, used_rows, api):
    key = used_rows["file"]
    await client.patch("/settings", json={"project_logo": None}, headers=ADA)
    if api == "rest":
        await client.delete(f"/files/{key}", headers=ADA)
    else:
        query = f'mutation {{ delete_files_items(ids: ["{key}"]) {{ ids }} }}'
        await client.post(PATH, json={"query": query}, headers=ADA)
    revisions = {"filter[item]": SAM, "sort": "-id", "limit": 1, "fields": "collection,delta"}

    assert (await client.get(f"/users/{SAM}?fields=avatar", headers=ADA)).json()["data"] == {"avatar": None}
    assert (await client.get("/revisions", params=revisions, headers=ADA)).json()["data"] == [
        {"collection": "directus_users", "delta": {"avatar": None}}
    ]


async def test_an_avatar_that_is_a_file_is_accepted(client, used_rows):
    query = "mutation ($avatar: ID) { update_users_me(data: { avatar: { id: $avatar } }) { avatar { title } } }"
    response = await client.post(PATH, json={"query": query, "variables": {"avatar": used_rows["file"]}}, headers=ADA)
    created = {"avatar": {"title": "New", "storage": "local", "filename_download": "a.png", "type": "image/png"}}
    nested = await client.patch("/users/me?fields=avatar.title", json=created, headers=ADA)

    assert response.json() == {"data": {"update_users_me": {"avatar": {"title": "Logo"}}}}
    assert nested.json() == {"data": {"avatar": {"title": "New"}}}
