"""COMPATIBILITY=10: the fields of Directus 10 that clients may use, and that are unknown without the setting."""

import os
import subprocess
import sys
from contextlib import AsyncExitStack

import orjson
import pytest
import pytest_asyncio

from app.core.errors import Forbidden, RollcallError
from app.testing import TestSystem
from tests.base_data import caller, static_token, uid
from tests.compat.replay import DIRECTUS10
from tests.conftest import BACKENDS, HAS_POSTGRESQL, open_copy
from tests.http.test_graphql import bearer, served
from tests.restoration import restore_rows, save_rows
from tests.writes.editors import checksum

ADA, VI = caller("ada"), caller("vi")
NIGHT, DAWN = uid("role-Night"), uid("role-Dawn")
EXTRA_ROWS = {
    # Night is the parent of Dawn. Night has two policies, Dawn one; the policies of their own share a network.
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


def with_compatibility(system):
    """Return the same system with COMPATIBILITY=10."""
    return TestSystem(system.database, system.settings.model_copy(update={"compatibility": "10"}))


@pytest_asyncio.fixture(params=BACKENDS, scope="session")
async def directus10_db(request, templates, tmp_path_factory):
    """A database with more roles and COMPATIBILITY=10, and a copy of every table."""
    async with AsyncExitStack() as stack:
        system = with_compatibility(
            await open_copy(stack, request.param, templates, tmp_path_factory.mktemp("directus10"))
        )
        await system.load(EXTRA_ROWS)
        await save_rows(system)
        yield system


@pytest_asyncio.fixture
async def directus10(directus10_db):
    """The database with COMPATIBILITY=10; it may be changed and is restored after the test."""
    yield directus10_db
    await restore_rows(directus10_db)


def permission(number, collection, fields, rule=None, action="read"):
    """Return a permission of Vi's policy."""
    values = {"id": number, "policy": uid("policy-Viewers"), "action": action, "permissions": rule}
    return {**values, "collection": f"directus_{collection}", "fields": fields}


READS_EVERYTHING = [
    permission(21, "roles", "id,name,policies,parent"),
    permission(22, "access", "id,role,policy"),
    permission(23, "policies", "id,name,admin_access,app_access,ip_access,roles"),
    permission(24, "permissions", "id,policy,collection"),
]


async def test_the_flags_of_a_role_come_from_its_own_and_its_ancestors_policies(directus10):
    result = await directus10.execute(
        '{ roles(filter: { name: { _in: ["Dawn", "Night"] } }, sort: ["name"])'
        " { admin_access app_access enforce_tfa ip_access } }",
        caller=ADA,
    )

    night = {"admin_access": False, "enforce_tfa": True, "app_access": False, "ip_access": ["10.9.9.9", "10.1.0.0/16"]}
    dawn = {**night, "app_access": True, "ip_access": ["10.1.0.0/16", "10.2.0.0/16", "10.9.9.9"]}
    assert result.data == {"roles": [dawn, night]}


QUERIES_ON_FLAGS = [
    # root field, first names of the matching users
    ("users(filter: { role: { admin_access: { _eq: true } } })", ["Ada"]),
    ('users(filter: { role: { ip_access: { _contains: "10.1" } } })', ["Kit"]),
    ('users(sort: ["-role.admin_access", "-role.app_access", "first_name"], limit: 3)', ["Nora", "Ada", "Ann"]),
    ("users(filter: { role: { children: { _some: { app_access: { _neq: false } } } } })", []),
    ("users(filter: { role: { id: { _null: true } } })", ["Nora"]),
]


@pytest.mark.parametrize(("root_field", "names"), QUERIES_ON_FLAGS)
async def test_roles_are_filtered_and_sorted_by_flags_at_any_depth(readonly_db, root_field, names):
    result = await with_compatibility(readonly_db).execute(
        f"{{ {root_field} {{ first_name role {{ admin_access }} }} }}", caller=ADA
    )

    assert [row["first_name"] for row in result.data["users"]] == names


@pytest.mark.counting
async def test_each_root_field_is_one_statement(readonly_db):
    system = with_compatibility(readonly_db)
    await system.directory(ADA).access()
    before = system.database.reader.statements
    result = await system.execute(
        "{ users(filter: { role: { admin_access: { _eq: true } } }) { role { admin_access ip_access users { role"
        " { app_access } } } } permissions { role { name enforce_tfa } } }",
        caller=ADA,
    )

    assert result.errors is None
    assert system.database.reader.statements - before == 2


async def test_a_permission_has_the_role_of_its_policy_if_there_is_exactly_one(directus10):
    await directus10.load({"directus_access": [{"id": uid("two"), "role": DAWN, "policy": uid("policy-Office")}]})
    result = await directus10.execute('{ permissions(sort: ["id"]) { id role { name } } }', caller=ADA)
    role_names = {row["id"]: row["role"] and row["role"]["name"] for row in result.data["permissions"]}
    without_role = await directus10.execute("{ permissions(filter: { role: { _null: true } }) { id } }", caller=ADA)

    # several roles have the Staff and the Office policy, and no role has the public one
    several = {"1": None, "2": None, "7": None, "8": None}
    assert role_names == {"3": "Editor", "4": "Viewer", "5": "Viewer", "6": "Self", "9": "Viewer", **several}
    assert {row["id"] for row in without_role.data["permissions"]} == several.keys()


async def test_rest_returns_the_fields_of_directus_10_by_default_and_others_by_name(directus10):
    async with served(directus10.settings) as client:

        async def read(path):
            response = await client.get(path, headers=bearer(static_token("ada")))
            return response.json()["data"]

        roles = await read("/roles?filter[admin_access][_eq]=true")
        users = await read("/users?filter[role][app_access][_eq]=true&sort=first_name&fields=first_name,role.ip_access")
        permission_row = await read("/permissions/4")
        named = await read(f"/roles/{DAWN}?fields=parent,policies.policy.name")
        groups = await read("/roles?aggregate[count]=id&groupBy[]=admin_access")

    default_fields = "id name icon description ip_access enforce_tfa admin_access app_access users"
    assert [set(role) for role in roles] == [set(default_fields.split())]
    assert users == [{"first_name": name, "role": {"ip_access": None}} for name in ("Ada", "Ann")]
    assert set(permission_row) == {
        "id",
        "role",
        "collection",
        "action",
        "permissions",
        "validation",
        "presets",
        "fields",
    }
    assert permission_row["role"] == uid("role-Viewer")
    assert named == {"parent": NIGHT, "policies": [{"policy": {"name": "Dawn"}}]}
    assert groups[1] == {"admin_access": True, "count": {"id": "1"}}


FLAG_QUERIES = [
    "{ roles { %s } }",
    "{ users { role { %s } } }",
    "{ roles(filter: { %s: { _eq: true } }) { id } }",
    "{ users(filter: { role: { %s: { _eq: true } } }) { id } }",
    '{ roles(sort: ["%s"]) { id } }',
    '{ users(sort: ["role.%s"]) { id } }',
    '{ roles_aggregated(groupBy: ["%s"]) { group } }',
    "{ roles_aggregated { count { %s } } }",
]


@pytest.mark.parametrize("query", FLAG_QUERIES)
@pytest.mark.parametrize("user", ["ada", "vi"])
async def test_without_the_setting_flags_are_unknown_fields(readonly_db, query, user):
    results = [
        await readonly_db.execute(query % name, caller=caller(user)) for name in ("admin_access", "admon_access")
    ]

    messages = [str(result.errors[0]).replace("admon", "admin") for result in results]
    assert messages[0] == messages[1]


QUERY_PARAMETERS = [
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


@pytest.mark.parametrize("parameters", QUERY_PARAMETERS)
async def test_without_the_setting_flags_are_unknown_in_rest_and_variables_too(readonly_db, parameters):
    messages = []
    for name in ("admin_access", "admon_access"):
        query = orjson.loads(orjson.dumps(parameters).replace(b"%s", name.encode()))
        with pytest.raises(Forbidden) as error:
            await readonly_db.directory(ADA)["roles"].read_by_query(query)
        document = "query($f: directus_roles_filter) { roles(filter: $f) { id } }"
        result = await readonly_db.execute(document, {"f": query.get("filter", {name: {"_eq": True}})}, ADA)
        messages.append(f"{error.value.text} {error.value.as_dict()} {result.errors[0]}".replace("admon", "admin"))

    assert messages[0] == messages[1]


@pytest.mark.sampled
@pytest.mark.parametrize("query", FLAG_QUERIES)
async def test_flags_are_unknown_to_callers_who_may_not_read_the_roles_policies(directus10, query):
    """A permission on roles that names them, or has `*` as in Directus 10, discloses nothing about the policies."""
    await directus10.load(
        {"directus_permissions": [permission(21, "roles", "*,admin_access"), permission(23, "policies", "*")]}
    )
    results = [await directus10.execute(query % name, caller=VI) for name in ("admin_access", "admon_access")]

    messages = [str(result.errors[0]).replace("admon", "admin") for result in results]
    assert messages[0] == messages[1]


HIDDEN_CASES = [
    # permissions that replace broader ones, role, expected flag, or None for an error
    ([permission(23, "policies", "id,app_access,roles")], "Administrator", None),
    ([permission(23, "policies", "id,admin_access", {"name": {"_eq": "Staff"}})], "Administrator", False),
    (
        [permission(22, "access", "id,role,policy", {"role": {"name": {"_neq": "Administrator"}}})],
        "Administrator",
        False,
    ),
    ([permission(22, "access", "id,policy")], "Administrator", None),
    ([permission(21, "roles", "id,name,parent")], "Administrator", None),
    ([], "Administrator", True),
]


@pytest.mark.parametrize(("replacements", "role", "expected"), HIDDEN_CASES)
async def test_a_flag_discloses_only_what_its_reader_may_read(directus10, replacements, role, expected):
    permissions = {row["id"]: row for row in [*READS_EVERYTHING, *replacements]}
    await directus10.load({"directus_permissions": list(permissions.values())})
    selected = await directus10.execute(
        f'{{ roles(filter: {{ name: {{ _eq: "{role}" }} }}) {{ admin_access }} }}', caller=VI
    )
    filtered = await directus10.execute("{ roles(filter: { admin_access: { _eq: true } }) { name } }", caller=VI)

    if expected is None:
        assert selected.errors
        assert filtered.errors
        return
    assert selected.data == {"roles": [{"admin_access": expected}]}
    assert filtered.data == {"roles": [{"name": role}] if expected else []}


async def test_a_flag_hidden_on_a_row_is_null_in_filters_too(directus10):
    rule = {"name": {"_eq": "Night"}}
    await directus10.load(
        {
            "directus_permissions": [
                *READS_EVERYTHING[1:],
                permission(21, "roles", "id,name"),
                permission(31, "roles", "policies", rule),
            ]
        }
    )
    result = await directus10.execute("{ roles(limit: -1) { name app_access } }", caller=VI)
    null = await directus10.execute("{ roles(filter: { app_access: { _null: true } }, limit: -1) { name } }", caller=VI)

    assert [row["name"] for row in result.data["roles"] if row["app_access"] is not None] == ["Night"]
    assert "Night" not in [row["name"] for row in null.data["roles"]]
    assert len(null.data["roles"]) == len(result.data["roles"]) - 1


async def test_writing_an_unchanged_flag_requires_permission_to_read_it(directus10):
    """An unchanged flag needs no write, but accepting it would disclose its value."""
    await directus10.load(
        {"directus_permissions": [permission(21, "roles", "*"), permission(41, "roles", "*", None, "update")]}
    )
    roles = directus10.directory(VI)["roles"]
    for role, flags in (("App", {"app_access": True}), ("Office", {"app_access": True})):
        with pytest.raises(Forbidden):
            await roles.update_one(uid(f"role-{role}"), flags)


async def test_inherited_flags_may_be_written_unchanged_but_not_unset(directus10):
    roles = directus10.directory(ADA)["roles"]
    values = await roles.read_one(DAWN, {"fields": "name,enforce_tfa,app_access,admin_access,ip_access"})
    before = await checksum(directus10)
    await roles.update_one(DAWN, values)

    assert await checksum(directus10) == before
    with pytest.raises(RollcallError, match="comes from another policy"):
        await roles.update_one(DAWN, {"enforce_tfa": False})


async def test_a_new_role_has_no_access_by_default(directus10):
    """In Directus 10 it had app access by default."""
    key = await directus10.directory(ADA)["roles"].create_one({"name": "Plain"})
    role = await directus10.directory(ADA)["roles"].read_one(
        key, {"fields": "app_access,admin_access,enforce_tfa,ip_access"}
    )

    assert role == {"app_access": False, "admin_access": False, "enforce_tfa": False, "ip_access": None}


async def test_the_role_of_a_permission_may_be_created_with_it(directus10):
    permissions = directus10.directory(ADA)["permissions"]
    values = {"collection": "pages", "action": "read", "role": {"name": "New", "app_access": True}}
    key = await permissions.create_one(values)
    row = await permissions.read_one(key, {"fields": ["role.name", "role.app_access", "policy.name"]})

    assert row == {"role": {"name": "New", "app_access": True}, "policy": {"name": "New"}}


async def test_creating_a_permission_does_not_change_an_existing_role(directus10):
    before = await checksum(directus10)
    permissions = directus10.directory(ADA)["permissions"]
    for changes in ({"name": "Dusk"}, {"admin_access": True}):
        with pytest.raises(RollcallError, match="update the role instead"):
            await permissions.create_one({"collection": "pages", "action": "read", "role": {"id": DAWN, **changes}})

    assert await checksum(directus10) == before
    unchanged = {"id": DAWN, "name": "Dawn", "app_access": True, "admin_access": False}
    key = await permissions.create_one({"collection": "pages", "action": "read", "role": unchanged})
    assert (await permissions.read_one(key, {"fields": "role"})) == {"role": DAWN}


async def test_the_schema_contains_the_fields_only_with_the_setting(readonly_db):
    names = ("admin_access", "app_access", "enforce_tfa", "ip_access")
    query = '{ __type(name: "%s") { fields { name } inputFields { name } } }'
    for type_, added in (
        ("directus_roles", names),
        ("directus_roles_filter", names),
        ("directus_permissions", ["role"]),
    ):
        results = [
            await system.execute(query % type_, caller=ADA) for system in (readonly_db, with_compatibility(readonly_db))
        ]
        without_setting, with_setting = (
            {row["name"] for row in next(filter(None, result.data["__type"].values()))} for result in results
        )
        assert with_setting - without_setting == set(added)


@pytest.mark.nightly
@pytest.mark.skipif(not HAS_POSTGRESQL, reason="the recorded database is a PostgreSQL dump")
def test_the_recorded_responses_of_a_directus_10_are_reproduced(recordings):
    if not (recordings / "migration").exists():
        pytest.skip("the recordings of a Directus 10 are missing")
    command = [sys.executable, "-m", "tests.compat.replay", DIRECTUS10]
    process = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)

    assert process.returncode == 0, process.stdout[-2000:] + process.stderr[-2000:]
