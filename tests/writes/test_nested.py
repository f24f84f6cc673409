"""Nested writes: related rows are linked, created, updated and unlinked by the permissions on their own collection."""

import pytest

from app.core.errors import RollcallError
from tests.base_data import caller, uid
from tests.writes.editors import checksum

pytestmark = pytest.mark.one_database

ADA = caller("ada")
STAFF, SELF = uid("role-Staff"), uid("role-Self")
CREATE = "mutation($d: create_directus_users_input!) { create_users_item(data: $d) { role { id name icon } } }"


LINKS = [
    '"%s"' % STAFF,  # noqa: UP031 - the text contains braces
    '{ id: "%s" }' % STAFF,  # noqa: UP031
    '{ id: "%s", name: "Staff" }' % STAFF,  # noqa: UP031
    '{ id: "%s", name: "Staff", admin_access: false, enforce_tfa: false }' % STAFF,  # noqa: UP031
    '{ id: "%s", admin_access: false }' % STAFF,  # noqa: UP031
    "$id",
    "{ id: $id }",
    "{ id: $id, admin_access: false }",
    "{ id: $id, name: $name }",
    "$role",
]


@pytest.mark.parametrize("link", LINKS)
async def test_every_notation_links_a_role_without_changing_it(editors, link):
    before = await editors.directory(ADA)["roles"].read_one(STAFF, {"fields": ["name", "icon", "policies"]})
    types = {"$id": "ID", "$name": "String!", "$role": "create_directus_roles_input"}
    used_types = {name: type_ for name, type_ in types.items() if name in link}
    declarations = f"({', '.join(f'{name}: {type_}' for name, type_ in used_types.items())})" if used_types else ""
    mutation = f"""mutation{declarations} {{
        create_users_item(data: {{ email: "n@example.com", role: {link} }}) {{ role {{ id name }} }} }}"""
    values_by_name = {"id": STAFF, "name": "Staff", "role": {"id": STAFF, "name": "Staff"}}
    variables = {name: values_by_name[name] for name in values_by_name if f"${name}" in used_types}
    result = await editors.execute(mutation, variables, ADA)

    assert result.errors is None
    assert result.data == {"create_users_item": {"role": {"id": STAFF, "name": "Staff"}}}
    assert await editors.directory(ADA)["roles"].read_one(STAFF, {"fields": ["name", "icon", "policies"]}) == before


@pytest.mark.parametrize("role", [STAFF, {"id": STAFF}, {"id": STAFF, "app_access": False}])
async def test_a_link_may_be_part_of_a_variable(editors, role):
    result = await editors.execute(CREATE, {"d": {"email": "n@example.com", "role": role}}, ADA)

    assert result.data["create_users_item"]["role"]["name"] == "Staff"


async def test_a_role_is_linked_by_callers_whose_schema_has_roles_as_ids(editors):
    """In Wes' schema the field is `role: ID`."""
    for link in ('"%s"', '{ id: "%s" }'):
        mutation = 'mutation { create_users_item(data: { email: "%s@example.com", role: %s }) { role { name } } }'
        result = await editors.execute(mutation % (f"x{len(link)}", link % uid("role-Writer")), caller=caller("wes"))
        assert result.data == {"create_users_item": {"role": {"name": "Writer"}}}

    role = f'{{ id: "{uid("role-Writer")}", name: "Mine" }}'
    rejected = await editors.execute(mutation % ("y", role), caller=caller("wes"))
    assert rejected.data is None
    assert "directus_roles" not in str(rejected.errors[0])


async def test_an_object_with_more_fields_is_upserted_as_documented(editors):
    existing = {"id": STAFF, "name": "Staff", "icon": "star"}
    result = await editors.execute(CREATE, {"d": {"email": "a@example.com", "role": existing}}, ADA)
    assert result.data["create_users_item"]["role"] == {"id": STAFF, "name": "Staff", "icon": "star"}

    new = {"id": uid("made"), "name": "Made"}
    result = await editors.execute(CREATE, {"d": {"email": "b@example.com", "role": new}}, ADA)
    assert result.data["create_users_item"]["role"]["id"] == uid("made")

    result = await editors.execute(CREATE, {"d": {"email": "c@example.com", "role": {"name": "Fresh"}}}, ADA)
    assert result.data["create_users_item"]["role"]["name"] == "Fresh"


async def test_repeating_stored_values_needs_only_permission_to_read_them(editors):
    wes = editors.directory(caller("wes"))["users"]
    unchanged = {"id": uid("role-Writer"), "name": "Writer"}
    assert await wes.create_one({"email": "a@example.com", "role": unchanged})

    for other in ({**unchanged, "name": "Other"}, {**unchanged, "icon": "supervised_user_circle"}, {"name": "New"}):
        with pytest.raises(RollcallError) as error:
            await wes.create_one({"email": "b@example.com", "role": other})
        assert error.value.code == "FORBIDDEN"


USER_LIST_CASES = [
    # written to the users of Staff, and the names of its users afterwards
    ([], []),
    ([uid("sue")], ["sue"]),
    ([uid("sue"), uid("vi")], ["sue", "vi"]),
    ([{"id": uid("vi")}], ["vi"]),
    ([{"id": uid("vi"), "title": "Seer"}], ["vi"]),
    ([{"email": "new@example.com"}, uid("sue")], ["new", "sue"]),
    ({"create": [{"email": "new@example.com"}]}, ["new", "sue"]),
    ({"update": [{"id": uid("vi")}]}, ["sue", "vi"]),
    ({"update": [{"id": uid("sue"), "title": "Back"}]}, ["sue"]),
    ({"delete": [uid("sue")]}, []),
    ({"create": [{"email": "new@example.com"}], "update": [{"id": uid("vi")}], "delete": [uid("sue")]}, ["new", "vi"]),
    (None, ["sue"]),
]


@pytest.mark.parametrize(("value", "names"), USER_LIST_CASES)
async def test_a_to_many_field_is_replaced_by_a_list_or_changed_by_an_object(editors, value, names):
    ada = editors.directory(ADA)
    await ada["roles"].update_one(STAFF, {"users": value})
    users = await ada["users"].read_by_query({"filter": {"role": {"_eq": STAFF}}, "fields": ["email"]})

    assert sorted(row["email"].partition("@")[0] for row in users) == names


@pytest.mark.parametrize("value", ["[{id: $v}]", "{create: [{email: $e}], update: [{id: $v, title: $e}]}", "[$v]"])
async def test_a_to_many_field_is_written_through_graphql(editors, value):
    type_of_email = ", $e: String" if "$e" in value else ""
    mutation = f"""mutation($v: ID!{type_of_email}) {{
        update_roles_item(id: "{STAFF}", data: {{ users: {value} }}) {{ users {{ email }} }} }}"""
    variables = {"v": uid("vi"), **({"e": "new@example.com"} if "$e" in value else {})}
    result = await editors.execute(mutation, variables, ADA)

    assert result.errors is None
    assert {"email": "vi@example.com"} in result.data["update_roles_item"]["users"]


RELATION_VARIABLES = [
    ("[update_directus_users_input]", "$v", [uid("vi")]),
    ("[update_directus_users_input]", "$v", [{"id": uid("vi")}]),
    ("[update_directus_users_input]", "$v", {"update": [{"id": uid("vi")}]}),
    ("update_directus_users_input", "[$v]", uid("vi")),
    ("update_directus_users_input", f'[$v, {{ id: "{uid("sue")}" }}]', uid("vi")),
]


@pytest.mark.parametrize(("type_", "value", "variable"), RELATION_VARIABLES)
async def test_a_variable_of_a_relation_may_be_a_key_or_changes(editors, type_, value, variable):
    mutation = f"""mutation($v: {type_}) {{
        update_roles_item(id: "{STAFF}", data: {{ users: {value} }}) {{ users {{ email }} }} }}"""
    for _ in range(2):
        result = await editors.execute(mutation, {"v": variable}, ADA)
        assert result.errors is None
        assert {"email": "vi@example.com"} in result.data["update_roles_item"]["users"]


async def test_a_variable_of_a_row_is_an_object(editors):
    mutation = "mutation($d: update_directus_users_input) { update_users_me(data: $d) { id } }"
    for _ in range(2):
        result = await editors.execute(mutation, {"d": uid("ada")}, ADA)
        assert "Variable '$d' has invalid value" in result.errors[0].message


async def test_unlinked_access_rows_are_deleted_instead_of_becoming_public(editors):
    """An access row without a role and a user assigns its policy to the public."""
    ada = editors.directory(ADA)
    await ada["roles"].update_one(uid("role-Viewer"), {"policies": []})
    await ada["policies"].update_one(uid("policy-Staff"), {"roles": {"delete": [uid("access-Staff-Staff-None")]}})
    rows = await ada["access"].read_by_query({"fields": ["role", "user", "policy"], "limit": -1})

    assert [row["policy"] for row in rows if row["role"] is None and row["user"] is None] == [uid("policy-Public")]
    assert not {uid("policy-Viewers"), uid("policy-Staff")} & {row["policy"] for row in rows}


async def test_a_policys_users_and_roles_are_unlinked_separately(editors):
    ada = editors.directory(ADA)
    await ada["policies"].update_one(uid("policy-Staff"), {"users": {"create": [{"user": uid("vi")}]}})
    await ada["policies"].update_one(uid("policy-Staff"), {"users": []})
    rows = await ada["access"].read_by_query({"filter": {"policy": {"_eq": uid("policy-Staff")}}, "fields": ["role"]})

    assert rows == [{"role": STAFF}]


async def test_rows_of_another_parent_cannot_be_unlinked(editors):
    before = await checksum(editors)
    with pytest.raises(RollcallError) as error:
        await editors.directory(ADA)["roles"].update_one(STAFF, {"users": {"delete": [uid("vi")]}})

    assert error.value.code == "FORBIDDEN"
    assert await checksum(editors) == before


async def test_an_error_in_a_nested_row_rolls_back_the_whole_write(editors):
    before = await checksum(editors)
    deep = {
        "name": "R",
        "users": [{"email": "a@example.com", "policies": [{"policy": {"name": "P", "ip_access": ["x"]}}]}],
    }
    for role in (deep, {"name": "R", "users": [{"email": "a@example.com"}, {"email": "A@example.com"}]}):
        with pytest.raises(RollcallError):
            await editors.directory(ADA)["roles"].create_one(role)

    assert await checksum(editors) == before


FLAGS = [
    # flags of the new role, flags written by an update, its policies afterwards
    ({}, {"admin_access": False, "app_access": False}, []),
    ({}, {"app_access": True}, [("New", False, True)]),
    ({}, {"app_access": True, "admin_access": False, "enforce_tfa": True}, [("New", False, True)]),
    ({"app_access": True}, {"app_access": True}, [("New", False, True)]),
    ({"app_access": True}, {"app_access": False}, [("New", False, False)]),
    ({"app_access": True}, {"admin_access": True, "name": "Newer"}, [("Newer", True, False), ("New", False, True)]),
]


@pytest.mark.parametrize(("flags", "update", "policies"), FLAGS)
async def test_directus_10_flags_of_a_role_are_stored_in_a_policy_of_its_name(editors, flags, update, policies):
    roles = editors.directory(ADA)["roles"]
    key = await roles.create_one({"name": "New", **flags})
    await roles.update_one(key, update)
    fields = ["name", "policies.policy.name", "policies.policy.admin_access", "policies.policy.app_access"]
    role = await roles.read_one(key, {"fields": fields})
    stored = [(p["policy"]["name"], p["policy"]["admin_access"], p["policy"]["app_access"]) for p in role["policies"]]

    assert sorted(stored, reverse=True) == sorted(policies, reverse=True)


async def test_unsetting_a_flag_that_another_policy_sets_is_an_error(editors):
    roles = editors.directory(ADA)["roles"]
    with pytest.raises(RollcallError) as error:
        await roles.update_one(uid("role-Administrator"), {"app_access": False})

    assert error.value.code == "INVALID_PAYLOAD"
    assert "app_access" in str(error.value)


@pytest.mark.parametrize("notation", ["key", "object", "null"])
async def test_a_directus_10_permission_is_stored_in_the_policy_of_its_role(editors, notation):
    ada = editors.directory(ADA)
    role = {"key": STAFF, "object": {"id": STAFF}, "null": None}[notation]
    permission = {"collection": "pages", "action": "read", "fields": ["id", "title"], "role": role}
    keys = await ada["permissions"].create_many([permission, permission])
    rows = await ada["permissions"].read_many(keys, {"fields": ["policy.name", "policy.roles.role"]})

    name = "Public" if role is None else "Staff"
    assert {row["policy"]["name"] for row in rows} == {name}
    assert all({"role": None if role is None else STAFF} in row["policy"]["roles"] for row in rows)
