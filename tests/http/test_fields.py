"""What `fields` and `alias` select: related rows out of the caller's reach, aliases in wildcards, and the order."""

import csv
import io

import pytest
import yaml

from app.core.caller import SYSTEM
from tests.base_data import caller, static_token, uid
from tests.http.test_graphql import bearer, served
from tests.http.test_parsing import FORBIDDEN, client, client_without_plans, data, encode_json, error, send
from tests.test_revocation import write

__all__ = ["client", "client_without_plans", "send"]

SAM, ANN, VI, APP, SELF = uid("sam"), uid("ann"), uid("vi"), uid("role-App"), uid("role-Self")

# Sam may read every field of his user, and no other collection. Ann has the permissions of every app user.
OMITTED = [
    ("sam", f"/users/{SAM}?fields=id,policies", {"id": SAM}),
    ("sam", f"/users/{SAM}?fields=policies,id&deep[policies][_limit]=1", {"id": SAM}),
    ("sam", f"/users/{SAM}?fields=id,policies.policy.name", {"id": SAM}),
    ("sam", f"/users/{SAM}?fields=id,policies.*", {"id": SAM}),
    ("sam", f"/users/{SAM}?fields=id,x&alias[x]=policies", {"id": SAM}),
    ("sam", f"/users/{SAM}?fields=id,role.name", {"id": SAM}),
    ("sam", f"/users/{SAM}?fields=id,avatar.id", {"id": SAM}),
    ("sam", f"/users/{SAM}?fields=role,role.name", {"role": SELF}),
    ("sam", "/users/me?fields=id,policies", {"id": SAM}),
    ("ann", "/roles?fields=name,policies", [{"name": "App"}]),
    ("ann", "/roles?fields=users,policies", [{"users": [ANN]}]),
    ("ann", f"/users/{ANN}?fields=id,role.name,role.policies", {"id": ANN, "role": {"name": "App"}}),
    ("ann", "/roles?fields=name,users.id,users.avatar.id", [{"name": "App", "users": [{"id": ANN}]}]),
    ("ann", f"/roles/{APP}?fields=users.*.id,policies.*.id", {"users": [{"id": ANN}]}),
]


@pytest.mark.parametrize(("user", "path", "expected"), OMITTED)
async def test_related_rows_of_an_unreadable_collection_are_omitted(send, user, path, expected):
    rows = data(await send(path, user))

    if "users.*.id" in path:
        rows["users"] = [{"id": row["id"]} for row in rows["users"]]
    assert rows == expected


@pytest.mark.parametrize("fields", ["*", "*.*", "*.*.*", "*,policies", "*,role.name", "*,policies.*", "policies,*"])
async def test_a_wildcard_omits_them_too_and_keeps_the_foreign_key(send, fields):
    row = data(await send(f"/users/{SAM}?fields={fields}", "sam"))

    assert "policies" not in row
    assert (row["id"], row["role"], row["avatar"]) == (SAM, SELF, None)


@pytest.mark.parametrize(
    ("user", "path"),
    [
        ("sam", "/users?fields=policies"),
        ("sam", "/users?fields=role.name,policies.id"),
        ("ann", "/users?fields=id,role.policies"),
        ("ann", "/roles?fields=id,users.avatar.id"),
        # These are not omitted: the fields themselves are unreadable.
        ("ed", "/roles?fields=id,policies"),
        ("ed", "/users?fields=id,role.policies.id"),
        ("vi", "/users?fields=id,role.name"),
        ("sam", "/users?fields=id,no_such_field.id"),
    ],
)
async def test_a_row_of_which_nothing_is_left_and_an_unreadable_field_are_forbidden(send, user, path):
    assert error(await send(path, user)) == FORBIDDEN


GRANTED = {  # a collection, and what a caller may read who has a permission for all its fields and for nothing else
    "roles": "name,users,children,policies,parent",
    "policies": "name,permissions,users,roles",
    "folders": "name,parent",
    "files": "title,uploaded_by.id,modified_by.id,folder.name",
}
LEFT = {
    "roles": {"name", "children", "parent"},
    "policies": {"name"},
    "folders": {"name", "parent"},
    "files": {"title"},
}


async def test_every_relation_to_an_unreadable_collection_is_omitted(restored_db):
    await restored_db.directory(SYSTEM)["folders"].create_one({"name": "Folder"})
    await write(
        restored_db,
        f"INSERT INTO directus_files (id, storage, filename_download) VALUES ('{uid('file')}', 'local', 'x')",
    )
    async with served(restored_db.settings) as client:
        for collection, fields in GRANTED.items():
            await write(
                restored_db,
                f"UPDATE directus_permissions SET collection = 'directus_{collection}', "
                "permissions = NULL WHERE id = 6",
            )
            for expected in (LEFT[collection], LEFT[collection]):  # planned, and from the plan
                path = f"/{collection}?fields={fields}"
                rows = data(await client.get(path, headers=bearer(static_token("sam"))))
                assert {frozenset(row) for row in rows} == {frozenset(expected)}


async def test_an_export_and_a_search_omit_them_too(client):
    headers = bearer(static_token("sam"))
    file = await client.get("/users?fields=email,policies,role.name,title&export=csv", headers=headers)
    search = await client.request("SEARCH", "/users", json={"query": {"fields": ["id", "policies"]}}, headers=headers)

    assert file.text.splitlines()[0] == '"email","title"'
    assert search.json() == {"data": [{"id": SAM}]}


async def test_a_written_row_is_returned_without_them(restored_db):
    await write(
        restored_db,
        "INSERT INTO directus_permissions (policy, collection, action, fields) VALUES "
        f"('{uid('policy-Themselves')}', 'directus_users', 'update', 'title')",
    )
    async with served(restored_db.settings) as client:
        response = await client.patch(
            "/users/me?fields=title,policies", json={"title": "x"}, headers=bearer(static_token("sam"))
        )

    assert data(response) == {"title": "x"}


async def test_graphql_returns_null_for_them(readonly_db):
    result = await readonly_db.execute("{ roles { name policies users { id } } }", caller=caller("ann"))

    assert result.data == {"roles": [{"name": "App", "policies": None, "users": [{"id": ANN}]}]}


async def test_a_role_lists_only_users_whose_role_the_caller_may_read(restored_db):
    grant = "INSERT INTO directus_permissions (policy, collection, action, fields, permissions) VALUES "
    policy, is_invited = uid("policy-Themselves"), '{"status": {"_eq": "invited"}}'
    await write(restored_db, "UPDATE directus_permissions SET permissions = NULL, fields = 'id,email' WHERE id = 6")
    await write(restored_db, f"{grant} ('{policy}', 'directus_roles', 'read', 'id,name,users', NULL)")
    async with served(restored_db.settings) as client:
        path = f"/roles/{uid('role-Editor')}?fields=users.email&deep[users][_sort]=email"

        async def users():
            response = await client.get(path, headers=bearer(static_token("sam")))
            return [user["email"] for user in data(response)["users"]]

        assert await users() == []
        graphql = await restored_db.execute("{ roles { users } }", caller=caller("sam"))
        assert {role["users"] for role in graphql.data["roles"]} == {None}
        await write(restored_db, f"{grant} ('{policy}', 'directus_users', 'read', 'role', '{is_invited}')")
        assert await users() == ["ida@example.com"]
        graphql = await restored_db.execute("{ roles { users { email } } }", caller=caller("sam"))
        assert [role["users"] for role in graphql.data["roles"] if role["users"]] == [[{"email": "ida@example.com"}]]
        await write(restored_db, "UPDATE directus_permissions SET fields = 'id,email,role' WHERE id = 6")
        assert await users() == ["ed@example.com", "ida@example.com"]


ALIASED = [
    ("fields=x&alias[x]=email", {"x": "vi@example.com"}),
    ('fields=x&alias={"x":"email"}', {"x": "vi@example.com"}),
    ("fields=email,x&alias[x]=email", {"email": "vi@example.com", "x": "vi@example.com"}),
    ("fields=email&alias[email]=title", {"email": "Viewer"}),
    ("fields=x.name&alias[x]=role", {"x": {"name": "Viewer"}}),
    ("fields=x,x.name&alias[x]=role", {"x": {"name": "Viewer"}}),
    ("fields=x.y&alias[x]=role&deep[x][_alias][y]=name", {"x": {"y": "Viewer"}}),
    (f"fields=x.y&alias[x]=role&deep={encode_json({'x': {'_alias': {'y': 'name'}}})}", {"x": {"y": "Viewer"}}),
    ("fields=role.x.email&deep[role][_alias][x]=users", {"role": {"x": [{"email": "vi@example.com"}]}}),
    ("fields=role.x.y&deep[role][_alias][x]=users&deep[role][x][_alias][y]=id", {"role": {"x": [{"y": VI}]}}),
    ("fields=role.x&deep[role][_alias][x]=users&deep[role][x][_limit]=0", {"role": {"x": []}}),
    ("fields=x&alias[x]=count(policies)", {"x": "0"}),
    ("fields=x&alias[x]=password", {"x": "**********"}),
]


@pytest.mark.parametrize(("query", "row"), ALIASED)
async def test_an_alias_is_the_key_of_a_field_or_relation_at_any_level(send, query, row):
    assert data(await send(f"/users/{VI}?{query}")) == row
    assert data(await send(f"/users?filter[id][_eq]={VI}&{query}")) == [row]


async def test_a_wildcard_includes_the_aliases_of_readable_fields(send):
    aliases = "alias[x]=title&alias[y]=year(last_access)&alias[z]=email&alias[n]=no_such_field"
    everything = data(await send(f"/users/{VI}"))

    assert data(await send(f"/users/{VI}?{aliases.partition('&alias[n]')[0]}")) == {
        **everything,
        "x": "Viewer",
        "y": None,
        "z": "vi@example.com",
    }
    assert set(data(await send(f"/users/{VI}?fields=*&{aliases}", "vi"))) == {
        "first_name",
        "id",
        "password",
        "title",
        "token",
        "x",
    }


async def test_a_wildcard_of_related_rows_includes_aliased_relations(send):
    row = data(await send(f"/users/{VI}?fields=*.*&alias[x]=role&alias[y]=email"))
    related = data(await send(f"/users/{VI}?fields=role.*&deep[role][_alias][y]=name"))["role"]

    assert row["x"] == row["role"]
    assert (row["x"]["name"], row["y"]) == ("Viewer", "vi@example.com")
    assert related == {**row["role"], "y": "Viewer"}


ORDERED = [
    ("first_name,role.name,email", ["first_name", "role", "email"]),
    ("role.name,first_name,role.parent,email", ["role", "first_name", "email"]),
    ("title,policies,role,email", ["title", "policies", "role", "email"]),
    ("title,x.name,email&alias[x]=role", ["title", "x", "email"]),
]


@pytest.mark.parametrize(("fields", "keys"), ORDERED)
async def test_the_keys_of_a_row_have_the_requested_order(send, fields, keys):
    path = f"/users?sort=email&limit=2&fields={fields}"
    files = [await send(f"{path}&export={name}") for name in ("json", "yaml")]

    rows = [*data(await send(path)), *files[0].json(), *yaml.safe_load(files[1].text)]
    assert [list(row) for row in rows] == [keys] * 6


@pytest.mark.parametrize(
    ("fields", "header"),
    [
        ("first_name,role.name,email", ["first_name", "role.name", "email"]),
        ("role.parent.name,email,role.name", ["role.parent.name", "role.name", "email"]),
        ("title,x.name,policies,email&alias[x]=role", ["title", "x.name", "policies", "email"]),
    ],
)
async def test_the_columns_of_a_csv_have_the_requested_order(send, fields, header):
    file = await send(f"/users?filter[id][_eq]={VI}&fields={fields}&export=csv")
    columns, values = csv.reader(io.StringIO(file.text))

    assert columns == header
    assert dict(zip(columns, values, strict=True))["email"] == "vi@example.com"


async def test_a_wildcard_has_the_order_of_the_fields_at_its_place(send):
    rows = data(await send("/roles?limit=1")), data(await send("/roles?fields=name,*&limit=1"))

    assert list(rows[0][0]) == ["id", "name", "icon", "description", "parent", "children", "policies", "users"]
    assert list(rows[1][0]) == ["name", "id", "icon", "description", "parent", "children", "policies", "users"]
