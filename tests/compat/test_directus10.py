"""COMPATIBILITY=10: what clients of Directus 10 ask for, and what they are told; without it none of that is there."""

import os
import subprocess
import sys
from contextlib import AsyncExitStack

import orjson
import pytest
import pytest_asyncio

from app.core.errors import Forbidden, RollcallError
from app.testing import TestSystem
from tests.compat.replay import FORMER
from tests.conftest import BACKENDS, HAS_POSTGRESQL, open_copy
from tests.http.test_graphql import bearer, served
from tests.world import caller, static_token, uid
from tests.writes.conftest import RESTORE_ROWS_SQL, SAVE_ROWS_SQL, run_sql
from tests.writes.editors import checksum

ADA, VI = caller("ada"), caller("vi")
NIGHT, DAWN = uid("role-Night"), uid("role-Dawn")
MORE = {
    # Night is above Dawn; each has a policy of its own, Night two, and both know the office's network.
    "directus_roles": [{"id": NIGHT, "name": "Night"}, {"id": DAWN, "name": "Dawn", "parent": NIGHT}],
    "directus_policies": [
        {"id": uid("policy-Night"), "name": "Night", "ip_access": ["10.9.9.9", "10.1.0.0/16"], "enforce_tfa": True},
        {"id": uid("policy-Dawn"), "name": "Dawn", "ip_access": ["10.1.0.0/16", "10.2.0.0/16"], "app_access": True},
    ],
    "directus_access": [
        {"id": uid("n1"), "role": NIGHT, "policy": uid("policy-Night")},
        {"id": uid("n2"), "role": NIGHT, "policy": uid("policy-Staff")},
        {"id": uid("d1"), "role": DAWN, "policy": uid("policy-Dawn")},
    ],
}


def former(system):
    """The same system, for clients of Directus 10 too."""
    return TestSystem(system.database, system.settings.model_copy(update={"compatibility": "10"}))


@pytest_asyncio.fixture(params=BACKENDS, scope="session")
async def kept_ten(request, templates, tmp_path_factory):
    """The named world and more roles, with a copy of every row in it."""
    async with AsyncExitStack() as stack:
        system = former(await open_copy(stack, request.param, templates, tmp_path_factory.mktemp("ten")))
        await system.load(MORE)
        await run_sql(system.settings.database_url, SAVE_ROWS_SQL)
        yield system


@pytest_asyncio.fixture
async def ten(kept_ten):
    """The same, to change at will."""
    yield kept_ten
    await run_sql(kept_ten.settings.database_url, RESTORE_ROWS_SQL)


def grant(number, collection, fields, rule=None, action="read"):
    """A permission of Vi's."""
    told = {"id": number, "policy": uid("policy-Viewers"), "action": action, "permissions": rule}
    return {**told, "collection": f"directus_{collection}", "fields": fields}


SEES_ALL = [
    grant(21, "roles", "id,name,policies,parent"),
    grant(22, "access", "id,role,policy"),
    grant(23, "policies", "id,name,admin_access,app_access,ip_access,roles"),
    grant(24, "permissions", "id,policy,collection"),
]


async def test_a_roles_flags_are_those_of_its_policies_and_of_its_ancestors(ten):
    result = await ten.execute(
        '{ roles(filter: { name: { _in: ["Dawn", "Night"] } }, sort: ["name"])'
        " { admin_access app_access enforce_tfa ip_access } }",
        caller=ADA,
    )

    night = {"admin_access": False, "enforce_tfa": True, "app_access": False, "ip_access": ["10.9.9.9", "10.1.0.0/16"]}
    dawn = {**night, "app_access": True, "ip_access": ["10.1.0.0/16", "10.2.0.0/16", "10.9.9.9"]}
    assert result.data == {"roles": [dawn, night]}


QUESTIONS = [
    # what is asked of users or roles,                                             and whom it finds
    ("users(filter: { role: { admin_access: { _eq: true } } })", ["Ada"]),
    ('users(filter: { role: { ip_access: { _contains: "10.1" } } })', ["Kit"]),
    ('users(sort: ["-role.admin_access", "-role.app_access", "first_name"], limit: 3)', ["Nora", "Ada", "Ann"]),
    ("users(filter: { role: { children: { _some: { app_access: { _neq: false } } } } })", []),
    ("users(filter: { role: { id: { _null: true } } })", ["Nora"]),
]


@pytest.mark.parametrize(("asked", "found"), QUESTIONS)
async def test_flags_can_be_filtered_and_sorted_by_wherever_a_role_stands(readonly_db, asked, found):
    result = await former(readonly_db).execute(f"{{ {asked} {{ first_name role {{ admin_access }} }} }}", caller=ADA)

    assert [row["first_name"] for row in result.data["users"]] == found


@pytest.mark.counting
async def test_all_of_it_is_one_statement_for_each_root_field(readonly_db):
    system = former(readonly_db)
    await system.directory(ADA).access()
    before = system.database.reader.statements
    result = await system.execute(
        "{ users(filter: { role: { admin_access: { _eq: true } } }) { role { admin_access ip_access users { role"
        " { app_access } } } } permissions { role { name enforce_tfa } } }",
        caller=ADA,
    )

    assert result.errors is None
    assert system.database.reader.statements - before == 2


async def test_a_permission_tells_the_one_role_of_its_policy(ten):
    await ten.load({"directus_access": [{"id": uid("two"), "role": DAWN, "policy": uid("policy-Office")}]})
    result = await ten.execute('{ permissions(sort: ["id"]) { id role { name } } }', caller=ADA)
    told = {row["id"]: row["role"] and row["role"]["name"] for row in result.data["permissions"]}
    public = await ten.execute("{ permissions(filter: { role: { _null: true } }) { id } }", caller=ADA)

    # Staff's is also Night's, Office's also Dawn's, and everybody has Public.
    several = {"1": None, "2": None, "7": None, "8": None}
    assert told == {"3": "Editor", "4": "Viewer", "5": "Viewer", "6": "Self", "9": "Viewer", **several}
    assert {row["id"] for row in public.data["permissions"]} == several.keys()


async def test_rest_tells_as_much_of_a_row_as_directus_10_did_and_more_by_name(ten):
    async with served(ten.settings) as client:

        async def ask(path):
            answer = await client.get(path, headers=bearer(static_token("ada")))
            return answer.json()["data"]

        roles = await ask("/roles?filter[admin_access][_eq]=true")
        users = await ask("/users?filter[role][app_access][_eq]=true&sort=first_name&fields=first_name,role.ip_access")
        permission = await ask("/permissions/4")
        named = await ask(f"/roles/{DAWN}?fields=parent,policies.policy.name")
        groups = await ask("/roles?aggregate[count]=id&groupBy[]=admin_access")

    had = "id name icon description ip_access enforce_tfa admin_access app_access users"
    assert [set(role) for role in roles] == [set(had.split())]
    assert users == [{"first_name": name, "role": {"ip_access": None}} for name in ("Ada", "Ann")]
    assert set(permission) == {"id", "role", "collection", "action", "permissions", "validation", "presets", "fields"}
    assert permission["role"] == uid("role-Viewer")
    assert named == {"parent": NIGHT, "policies": [{"policy": {"name": "Dawn"}}]}
    assert groups[1] == {"admin_access": True, "count": {"id": "1"}}


UNKNOWN = [
    "{ roles { %s } }",
    "{ users { role { %s } } }",
    "{ roles(filter: { %s: { _eq: true } }) { id } }",
    "{ users(filter: { role: { %s: { _eq: true } } }) { id } }",
    '{ roles(sort: ["%s"]) { id } }',
    '{ users(sort: ["role.%s"]) { id } }',
    '{ roles_aggregated(groupBy: ["%s"]) { group } }',
    "{ roles_aggregated { count { %s } } }",
]


@pytest.mark.parametrize("query", UNKNOWN)
@pytest.mark.parametrize("who", ["ada", "vi"])
async def test_without_the_setting_a_flag_is_as_unknown_as_what_was_never_there(readonly_db, query, who):
    told = [await readonly_db.execute(query % name, caller=caller(who)) for name in ("admin_access", "admon_access")]

    words = [str(result.errors[0]).replace("admon", "admin") for result in told]
    assert words[0] == words[1]


ASKED = [
    {"fields": "id,%s"},
    {"fields": "users.role.%s"},
    {"filter": {"%s": {"_eq": True}}},
    {"filter": {"%s": {"_starts_with": "x"}}},
    {"filter": {"users": {"role": {"%s": {"_eq": True}}}}},
    {"sort": "-%s"},
    {"sort": "parent.%s"},
    {"aggregate": {"count": "%s"}},
    {"aggregate": {"count": "id"}, "groupBy": "%s"},
]


@pytest.mark.parametrize("asked", ASKED)
async def test_so_it_is_in_rest_and_in_a_variable(readonly_db, asked):
    words = []
    for name in ("admin_access", "admon_access"):
        given = orjson.loads(orjson.dumps(asked).replace(b"%s", name.encode()))
        with pytest.raises(Forbidden) as refused:
            await readonly_db.directory(ADA)["roles"].read_by_query(given)
        query = "query($f: directus_roles_filter) { roles(filter: $f) { id } }"
        result = await readonly_db.execute(query, {"f": given.get("filter", {name: {"_eq": True}})}, ADA)
        words.append(f"{refused.value.text} {refused.value.as_dict()} {result.errors[0]}".replace("admon", "admin"))

    assert words[0] == words[1]


@pytest.mark.parametrize("query", UNKNOWN)
async def test_who_may_not_read_the_policies_between_does_not_know_of_flags(ten, query):
    """A permission may name them, or say `*`, as those of Directus 10 did: that tells nothing of the policies."""
    await ten.load({"directus_permissions": [grant(21, "roles", "*,admin_access"), grant(23, "policies", "*")]})
    told = [await ten.execute(query % name, caller=VI) for name in ("admin_access", "admon_access")]

    words = [str(result.errors[0]).replace("admon", "admin") for result in told]
    assert words[0] == words[1]


HIDDEN = [
    # what Vi may not see,                                                        of whom, and what she is told
    ([grant(23, "policies", "id,app_access,roles")], "Administrator", None),
    ([grant(23, "policies", "id,admin_access", {"name": {"_eq": "Staff"}})], "Administrator", False),
    ([grant(22, "access", "id,role,policy", {"role": {"name": {"_neq": "Administrator"}}})], "Administrator", False),
    ([grant(22, "access", "id,policy")], "Administrator", None),
    ([grant(21, "roles", "id,name,parent")], "Administrator", None),
    ([], "Administrator", True),
]


@pytest.mark.parametrize(("rules", "role", "told"), HIDDEN)
async def test_a_flag_tells_no_more_than_what_its_reader_could_have_found_out(ten, rules, role, told):
    every = {row["id"]: row for row in [*SEES_ALL, *rules]}
    await ten.load({"directus_permissions": list(every.values())})
    seen = await ten.execute(f'{{ roles(filter: {{ name: {{ _eq: "{role}" }} }}) {{ admin_access }} }}', caller=VI)
    found = await ten.execute("{ roles(filter: { admin_access: { _eq: true } }) { name } }", caller=VI)

    if told is None:
        assert seen.errors
        assert found.errors
        return
    assert seen.data == {"roles": [{"admin_access": told}]}
    assert found.data == {"roles": [{"name": role}] if told else []}


async def test_what_is_hidden_on_a_row_is_null_to_filters_too(ten):
    seen = {"name": {"_eq": "Night"}}
    await ten.load(
        {"directus_permissions": [*SEES_ALL[1:], grant(21, "roles", "id,name"), grant(31, "roles", "policies", seen)]}
    )
    result = await ten.execute("{ roles(limit: -1) { name app_access } }", caller=VI)
    null = await ten.execute("{ roles(filter: { app_access: { _null: true } }, limit: -1) { name } }", caller=VI)

    assert [row["name"] for row in result.data["roles"] if row["app_access"] is not None] == ["Night"]
    assert "Night" not in [row["name"] for row in null.data["roles"]]
    assert len(null.data["roles"]) == len(result.data["roles"]) - 1


async def test_nobody_finds_out_what_a_role_may_by_writing_what_it_has_already(ten):
    """Of a flag that is set already nothing has to be written: whoever may not read it needs the right all the same."""
    await ten.load({"directus_permissions": [grant(21, "roles", "*"), grant(41, "roles", "*", None, "update")]})
    roles = ten.directory(VI)["roles"]
    for role, flags in (("App", {"app_access": True}), ("Office", {"app_access": True})):
        with pytest.raises(Forbidden):
            await roles.update_one(uid(f"role-{role}"), flags)


async def test_what_a_role_inherits_can_be_written_back_and_not_be_unset_there(ten):
    roles = ten.directory(ADA)["roles"]
    read = await roles.read_one(DAWN, {"fields": "name,enforce_tfa,app_access,admin_access,ip_access"})
    before = await checksum(ten)
    await roles.update_one(DAWN, read)

    assert await checksum(ten) == before
    with pytest.raises(RollcallError, match="comes from another policy"):
        await roles.update_one(DAWN, {"enforce_tfa": False})


async def test_a_role_of_which_nothing_else_is_said_gets_no_access(ten):
    """Directus 10 gave it access to the app; whoever wants that says so."""
    key = await ten.directory(ADA)["roles"].create_one({"name": "Plain"})
    told = await ten.directory(ADA)["roles"].read_one(key, {"fields": "app_access,admin_access,enforce_tfa,ip_access"})

    assert told == {"app_access": False, "admin_access": False, "enforce_tfa": False, "ip_access": None}


async def test_a_permissions_role_may_be_made_along_with_it_and_it_is_that_roles_alone(ten):
    permissions = ten.directory(ADA)["permissions"]
    given = {"collection": "pages", "action": "read", "role": {"name": "New", "app_access": True}}
    key = await permissions.create_one(given)
    told = await permissions.read_one(key, {"fields": ["role.name", "role.app_access", "policy.name"]})

    assert told == {"role": {"name": "New", "app_access": True}, "policy": {"name": "New"}}


async def test_a_permission_changes_nothing_of_a_role_that_is_there(ten):
    before = await checksum(ten)
    permissions = ten.directory(ADA)["permissions"]
    for more in ({"name": "Dusk"}, {"admin_access": True}):
        with pytest.raises(RollcallError, match="update the role instead"):
            await permissions.create_one({"collection": "pages", "action": "read", "role": {"id": DAWN, **more}})

    assert await checksum(ten) == before
    same = {"id": DAWN, "name": "Dawn", "app_access": True, "admin_access": False}
    key = await permissions.create_one({"collection": "pages", "action": "read", "role": same})
    assert (await permissions.read_one(key, {"fields": "role"})) == {"role": DAWN}


async def test_the_schema_tells_of_it_with_the_setting_only(readonly_db):
    names = ("admin_access", "app_access", "enforce_tfa", "ip_access")
    query = '{ __type(name: "%s") { fields { name } inputFields { name } } }'
    for kind, holds in (
        ("directus_roles", names),
        ("directus_roles_filter", names),
        ("directus_permissions", ["role"]),
    ):
        told = [await system.execute(query % kind, caller=ADA) for system in (readonly_db, former(readonly_db))]
        without, within = ({row["name"] for row in next(filter(None, one.data["__type"].values()))} for one in told)
        assert within - without == set(holds)


@pytest.mark.nightly
@pytest.mark.skipif(not HAS_POSTGRESQL, reason="the recorded database is PostgreSQL's")
def test_what_a_directus_10_answered_is_answered(recordings):
    if not (recordings / "migration").exists():
        pytest.skip("what a Directus 10 answered is not beside this checkout")
    command = [sys.executable, "-m", "tests.compat.replay", FORMER]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)

    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
