"""Rows written along with others: linked, made, changed and let go, each by the rights on its own collection."""

import pytest

from app.core.errors import RollcallError
from tests.world import caller, uid
from tests.writes.editors import checksum

ADA = caller("ada")
STAFF, SELF = uid("role-Staff"), uid("role-Self")
CREATE = "mutation($d: create_directus_users_input!) { create_users_item(data: $d) { role { id name icon } } }"


async def role_of(system, whom):
    return await system.directory(ADA)["users"].read_one(uid(whom), {"fields": ["role.id", "role.name", "role.icon"]})


LINKS = [
    '"%s"' % STAFF,  # noqa: UP031  # braces mean something here
    '{ id: "%s" }' % STAFF,  # noqa: UP031
    '{ id: "%s", name: "Staff" }' % STAFF,  # noqa: UP031
    '{ id: "%s", name: "Staff", admin_access: false, enforce_tfa: false }' % STAFF,  # noqa: UP031
    '{ id: "%s", admin_access: false }' % STAFF,  # noqa: UP031
    "$id",
    "{ id: $id }",
    "{ id: $id, admin_access: false }",
    "{ id: $id, name: $name }",
    "$given",
]


@pytest.mark.parametrize("link", LINKS)
async def test_a_role_is_linked_however_that_is_spelled_and_stays_as_it_is(editors, link):
    before = await editors.directory(ADA)["roles"].read_one(STAFF, {"fields": ["name", "icon", "policies"]})
    types = {"$id": "ID", "$name": "String!", "$given": "create_directus_roles_input"}
    used = {name: of for name, of in types.items() if name in link}
    named = f"({', '.join(f'{name}: {of}' for name, of in used.items())})" if used else ""
    mutation = f"""mutation{named} {{
        create_users_item(data: {{ email: "n@example.com", role: {link} }}) {{ role {{ id name }} }} }}"""
    given = {"id": STAFF, "name": "Staff", "given": {"id": STAFF, "name": "Staff"}}
    values = {name: given[name] for name in given if f"${name}" in used}
    told = await editors.execute(mutation, values, ADA)

    assert told.errors is None
    assert told.data == {"create_users_item": {"role": {"id": STAFF, "name": "Staff"}}}
    assert await editors.directory(ADA)["roles"].read_one(STAFF, {"fields": ["name", "icon", "policies"]}) == before


@pytest.mark.parametrize("given", [STAFF, {"id": STAFF}, {"id": STAFF, "app_access": False}])
async def test_a_link_may_stand_in_a_variable_of_the_whole(editors, given):
    told = await editors.execute(CREATE, {"d": {"email": "n@example.com", "role": given}}, ADA)

    assert told.data["create_users_item"]["role"]["name"] == "Staff"


async def test_a_link_by_whom_roles_are_no_object_to(editors):
    """Wes' schema prints `role: ID`."""
    for link in ('"%s"', '{ id: "%s" }'):
        mutation = 'mutation { create_users_item(data: { email: "%s@example.com", role: %s }) { role { name } } }'
        told = await editors.execute(mutation % (f"x{len(link)}", link % uid("role-Writer")), caller=caller("wes"))
        assert told.data == {"create_users_item": {"role": {"name": "Writer"}}}

    more = f'{{ id: "{uid("role-Writer")}", name: "Mine" }}'
    refused = await editors.execute(mutation % ("y", more), caller=caller("wes"))
    assert refused.data is None
    assert "directus_roles" not in str(refused.errors[0])


async def test_more_than_a_link_is_the_documented_upsert(editors):
    there = {"id": STAFF, "name": "Staff", "icon": "star"}
    told = await editors.execute(CREATE, {"d": {"email": "a@example.com", "role": there}}, ADA)
    assert told.data["create_users_item"]["role"] == {"id": STAFF, "name": "Staff", "icon": "star"}

    new = {"id": uid("made"), "name": "Made"}
    told = await editors.execute(CREATE, {"d": {"email": "b@example.com", "role": new}}, ADA)
    assert told.data["create_users_item"]["role"]["id"] == uid("made")

    told = await editors.execute(CREATE, {"d": {"email": "c@example.com", "role": {"name": "Fresh"}}}, ADA)
    assert told.data["create_users_item"]["role"]["name"] == "Fresh"


async def test_what_only_repeats_what_is_stored_needs_no_right_to_write_but_to_read_it(editors):
    wes = editors.directory(caller("wes"))["users"]
    same = {"id": uid("role-Writer"), "name": "Writer"}
    assert await wes.create_one({"email": "a@example.com", "role": same})

    for other in ({**same, "name": "Other"}, {**same, "icon": "supervised_user_circle"}, {"name": "New"}):
        with pytest.raises(RollcallError) as refusal:
            await wes.create_one({"email": "b@example.com", "role": other})
        assert refusal.value.code == "FORBIDDEN"


MANY = [
    # what is written to Staff's users,                    and who is one of them then
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


@pytest.mark.parametrize(("written", "there"), MANY)
async def test_rows_that_point_here_are_replaced_or_told_one_by_one(editors, written, there):
    ada = editors.directory(ADA)
    await ada["roles"].update_one(STAFF, {"users": written})
    users = await ada["users"].read_by_query({"filter": {"role": {"_eq": STAFF}}, "fields": ["email"]})

    assert sorted(row["email"].partition("@")[0] for row in users) == there


@pytest.mark.parametrize("written", ["[{id: $v}]", "{create: [{email: $e}], update: [{id: $v, title: $e}]}", "[$v]"])
async def test_the_same_through_graphql(editors, written):
    more = ", $e: String" if "$e" in written else ""
    mutation = f"""mutation($v: ID!{more}) {{
        update_roles_item(id: "{STAFF}", data: {{ users: {written} }}) {{ users {{ email }} }} }}"""
    used = {"v": uid("vi"), **({"e": "new@example.com"} if "$e" in written else {})}
    told = await editors.execute(mutation, used, ADA)

    assert told.errors is None
    assert {"email": "vi@example.com"} in told.data["update_roles_item"]["users"]


async def test_access_that_is_let_go_is_gone_and_never_everybodys(editors):
    """An access row without a role or a user would give its policy to the public."""
    ada = editors.directory(ADA)
    await ada["roles"].update_one(uid("role-Viewer"), {"policies": []})
    await ada["policies"].update_one(uid("policy-Staff"), {"roles": {"delete": [uid("access-Staff-Staff-None")]}})
    rows = await ada["access"].read_by_query({"fields": ["role", "user", "policy"], "limit": -1})

    assert [row["policy"] for row in rows if row["role"] is None and row["user"] is None] == [uid("policy-Public")]
    assert not {uid("policy-Viewers"), uid("policy-Staff")} & {row["policy"] for row in rows}


async def test_a_policys_users_and_its_roles_are_let_go_apart(editors):
    ada = editors.directory(ADA)
    await ada["policies"].update_one(uid("policy-Staff"), {"users": {"create": [{"user": uid("vi")}]}})
    await ada["policies"].update_one(uid("policy-Staff"), {"users": []})
    rows = await ada["access"].read_by_query({"filter": {"policy": {"_eq": uid("policy-Staff")}}, "fields": ["role"]})

    assert rows == [{"role": STAFF}]


async def test_nobody_lets_rows_go_that_belong_to_others(editors):
    before = await checksum(editors)
    with pytest.raises(RollcallError) as refusal:
        await editors.directory(ADA)["roles"].update_one(STAFF, {"users": {"delete": [uid("vi")]}})

    assert refusal.value.code == "FORBIDDEN"
    assert await checksum(editors) == before


async def test_what_is_wrong_deep_inside_undoes_everything_around_it(editors):
    before = await checksum(editors)
    deep = {
        "name": "R",
        "users": [{"email": "a@example.com", "policies": [{"policy": {"name": "P", "ip_access": ["x"]}}]}],
    }
    for given in (deep, {"name": "R", "users": [{"email": "a@example.com"}, {"email": "A@example.com"}]}):
        with pytest.raises(RollcallError):
            await editors.directory(ADA)["roles"].create_one(given)

    assert await checksum(editors) == before


FLAGS = [
    # what a role has,          what is written,                              and what it has then
    ({}, {"admin_access": False, "app_access": False}, []),
    ({}, {"app_access": True}, [("New", False, True)]),
    ({}, {"app_access": True, "admin_access": False, "enforce_tfa": True}, [("New", False, True)]),
    ({"app_access": True}, {"app_access": True}, [("New", False, True)]),
    ({"app_access": True}, {"app_access": False}, [("New", False, False)]),
    ({"app_access": True}, {"admin_access": True, "name": "Newer"}, [("Newer", True, False), ("New", False, True)]),
]


@pytest.mark.parametrize(("first", "then", "policies"), FLAGS)
async def test_a_roles_flags_of_directus_10_are_a_policy_of_its_name(editors, first, then, policies):
    roles = editors.directory(ADA)["roles"]
    key = await roles.create_one({"name": "New", **first})
    await roles.update_one(key, then)
    fields = ["name", "policies.policy.name", "policies.policy.admin_access", "policies.policy.app_access"]
    role = await roles.read_one(key, {"fields": fields})
    held = [(p["policy"]["name"], p["policy"]["admin_access"], p["policy"]["app_access"]) for p in role["policies"]]

    assert sorted(held, reverse=True) == sorted(policies, reverse=True)


async def test_a_flag_that_another_policy_sets_is_not_unset_silently(editors):
    roles = editors.directory(ADA)["roles"]
    with pytest.raises(RollcallError) as refusal:
        await roles.update_one(uid("role-Administrator"), {"app_access": False})

    assert refusal.value.code == "INVALID_PAYLOAD"
    assert "app_access" in str(refusal.value)


@pytest.mark.parametrize("spelled", ["key", "object", "nobody"])
async def test_a_permission_of_directus_10_belongs_to_its_roles_policy(editors, spelled):
    ada = editors.directory(ADA)
    given = {"key": STAFF, "object": {"id": STAFF}, "nobody": None}[spelled]
    permission = {"collection": "pages", "action": "read", "fields": ["id", "title"], "role": given}
    keys = await ada["permissions"].create_many([permission, permission])
    rows = await ada["permissions"].read_many(keys, {"fields": ["policy.name", "policy.roles.role"]})

    name = "Public" if given is None else "Staff"
    assert {row["policy"]["name"] for row in rows} == {name}
    assert all({"role": None if given is None else STAFF} in row["policy"]["roles"] for row in rows)
