"""Known vulnerabilities of writes; each test is named after the advisory."""

import inspect

import pytest
from sqlalchemy import insert, select, update

from app.core.caller import PUBLIC
from app.core.clock import utc_now
from app.core.errors import RollcallError
from app.db.models import Activity, Permission, Revision, Session
from app.repositories.directory import Directory
from app.repositories.repository import Repository
from tests.base_data import caller, make_access, make_policy, static_token, uid
from tests.http.test_graphql import bearer
from tests.security.entry_points import error_code, post_graphql
from tests.writes.editors import checksum, make_permission

ADA, WES, RITA = caller("ada"), caller("wes"), caller("rita")
ADMINS = uid("role-Administrator")
READ_FILES = {"collection": "directus_files", "action": "read", "fields": ["*"]}


async def error_code_of(call):
    with pytest.raises(RollcallError) as error:
        await call
    return error.value.code


async def test_cve_2026_39943_the_audit_log_contains_no_secret(editors):
    """directus_revisions and directus_activity contained secrets."""
    secrets = {
        "token": "a-static-token-of-a-test",
        "password": "a password of a test",
        "auth_data": {"key": "from the provider"},
    }
    users = editors.directory(ADA)["users"]
    key = await users.create_one({"email": "new@example.com", **secrets})
    await users.update_one(uid("vi"), {name: value for name, value in secrets.items() if name != "token"})
    await users.update_one(uid("ed"), {"tfa_secret": None, "token": "another-token-of-a-test"})
    await users.delete_one(key)

    async with editors.database.transaction() as connection:
        results = [await connection.execute(select(model)) for model in (Revision, Activity)]
    text = str([tuple(row) for result in results for row in result])
    assert key in text
    for secret in ("a-static-token", "password of a test", "from the provider", "another-token", "$argon2"):
        assert secret not in text


@pytest.mark.parametrize(
    ("user", "values"),
    [
        ("will", {"status": "archived"}),  # outside Wes' permissions afterwards
        ("will", {"role": ADMINS}),
        ("will", {"role": None}),
        ("wes", {"role": ADMINS}),
        ("wes", {"policies": [{"policy": uid("policy-Administrators")}]}),
        ("wes", {"token": "mine"}),
        ("wes", {"provider": "github"}),
        ("wanda", {"status": "active"}),  # outside his permissions before
    ],
)
async def test_cve_2026_129239_permissions_apply_to_the_row_before_and_after_an_update(editors, user, values):
    """Also CVE-2025-24353, CVE-2024-6534 and GHSA-jp93-grh7-mxh4: the caller's own role, policies or status."""
    before = await checksum(editors)

    assert await error_code_of(editors.directory(WES)["users"].update_one(uid(user), values)) == "FORBIDDEN"
    assert await checksum(editors) == before


@pytest.mark.parametrize("keys", [["will", "ada"], ["ada"], ["wes"]])
async def test_ghsa_p623_wgx3_wxp8_a_forbidden_deletion_has_no_side_effects(editors, keys):
    """Sessions were ended and shares deleted of users whose deletion was then rejected."""
    async with editors.database.transaction() as connection:
        for name in ("will", "ada", "wes"):
            expires = utc_now().replace(year=2099)
            await connection.execute(insert(Session).values(token=f"s-{name}", user_id=uid(name), expires=expires))
    before = await checksum(editors)

    assert await error_code_of(editors.directory(WES)["users"].delete_many([uid(key) for key in keys])) == "FORBIDDEN"
    assert await checksum(editors) == before


async def test_cve_2024_39701_a_rule_with_an_empty_list_allows_no_write(editors):
    """`_in: []` was true."""
    permissions = editors.directory(ADA)["permissions"]
    await permissions.update_one(102, {"permissions": {"id": {"_in": []}}})
    await permissions.update_one(104, {"permissions": {"title": {"_in": "$CURRENT_USER.tags"}}})
    wes = editors.directory(WES)["users"]

    assert await error_code_of(wes.update_one(uid("will"), {"title": "Clerk"})) == "FORBIDDEN"
    assert await error_code_of(wes.delete_one(uid("will"))) == "FORBIDDEN"


async def test_cve_2025_64746_a_rule_on_a_removed_field_allows_no_write(editors):
    """Permissions outlived their field."""
    async with editors.database.transaction() as connection:
        removed = {"removed": {"_eq": 1}}
        await connection.execute(update(Permission).where(Permission.id.in_([102, 104])).values(permissions=removed))
    wes = editors.directory(WES)["users"]

    assert await error_code_of(wes.update_one(uid("will"), {"title": "Clerk"})) == "FORBIDDEN"
    assert await error_code_of(wes.delete_one(uid("will"))) == "FORBIDDEN"


async def test_cve_2024_34708_aliases_in_a_mutations_result_do_not_unmask(editors):
    """The response of a mutation contained secrets under aliases."""
    mutation = """mutation($d: create_directus_users_input!) {
        a: create_users_item(data: $d) { b: password c: token d: role { e: users { f: token } } } }"""
    values = {"email": "new@example.com", "password": "known", "token": "t-of-a-test"}
    result = await editors.execute(mutation, {"d": values}, ADA)

    assert result.data["a"] | {"d": None} == {"b": "**********", "c": "**********", "d": None}


async def test_cve_2024_54151_the_public_is_never_the_system_caller(editors):
    """A missing caller was taken for trusted code."""
    before = await checksum(editors)
    for name in ("users", "roles", "policies", "access", "permissions", "files", "folders"):
        repository = editors.directory(PUBLIC)[name]
        for call in (
            repository.create_one({"name": "x"} if name in ("roles", "policies", "folders") else {}),
            repository.update_by_query({}, {}),
            repository.delete_by_query({}),
        ):
            assert await error_code_of(call) == "FORBIDDEN"
    assert await checksum(editors) == before

    assert inspect.signature(Directory).parameters["caller"].default is inspect.Parameter.empty
    assert inspect.signature(Repository).parameters["caller"].default is inspect.Parameter.empty
    with pytest.raises(AttributeError):
        await Directory(None, editors.services)["users"].read_by_query({})  # type: ignore[arg-type]
    assert PUBLIC._replace(ip="192.0.2.1").system is False


@pytest.mark.parametrize(
    ("collection", "values"),
    [
        ("users", {"email": "x@example.com", "role": ADMINS}),
        ("users", {"email": "x@example.com", "policies": [{"policy": uid("policy-Administrators")}]}),
        ("users", {"email": "x@example.com", "policies": [{"policy": {"name": "P", "admin_access": True}}]}),
        ("users", {"email": "x@example.com", "role": {"name": "R", "admin_access": True}}),
        ("roles", {"name": "R", "policies": [{"policy": uid("policy-Administrators")}]}),
        ("roles", {"name": "R", "parent": ADMINS}),
        ("policies", {"name": "P", "admin_access": True}),
        ("policies", {"name": "P", "app_access": True}),
        ("policies", {"name": "P", "permissions": [READ_FILES]}),
        ("access", {"role": uid("role-Rights"), "policy": uid("policy-Administrators")}),
        ("access", {"user": uid("rita"), "policy": uid("policy-Administrators")}),
        ("permissions", {"policy": uid("policy-Rights"), **READ_FILES}),
    ],
)  # fmt: skip
async def test_write_permissions_do_not_allow_privilege_escalation(editors, collection, values):
    """Rita manages roles, policies and their assignment but is no administrator."""
    before = await checksum(editors)

    assert await error_code_of(editors.directory(RITA)[collection].create_one(values)) == "FORBIDDEN"
    assert await checksum(editors) == before
    assert not (await editors.directory(RITA).access()).admin


GRANT_WRITES = {
    "R2: presets": ("permissions", 900, {"presets": None}),
    "R2: validation": ("permissions", 900, {"validation": {}}),
    "R3: IP addresses": ("policies", uid("policy-Tokens"), {"ip_access": None}),
    "R3: TFA": ("policies", uid("policy-Tokens"), {"enforce_tfa": False}),
    "R5: takeover": ("users", uid("ann"), {"password": "known to Rita", "role": None}),
    "R5: takeover of an admin": ("users", uid("ada"), {"email": "rita2@example.com", "role": None}),
    "R5: token": ("users", uid("ann"), {"token": "known-to-rita"}),
}


@pytest.mark.parametrize("case", GRANT_WRITES)
async def test_r2_r3_r5_nobody_grants_or_takes_more_than_they_have(client, members, entry_point, case):
    """Rita holds the policy Tokens under conditions, and may write users, policies and permissions."""
    drafts = {"presets": {"status": "draft"}, "validation": {"title": {"_nempty": True}}}
    await members.load(
        {
            "directus_policies": [make_policy("Tokens", ip_access=["127.0.0.0/8"], enforce_tfa=True)],
            "directus_access": [make_access("Tokens", role="Rights")],
            "directus_permissions": [
                make_permission(900, "Tokens", "create", "files", "title") | drafts,
                make_permission(901, "Tokens", "update", "users", "token"),
            ],
        }
    )
    collection, key, values = GRANT_WRITES[case]
    before, headers = await checksum(members), bearer(static_token("rita"))
    if entry_point == "rest":
        response = await client.patch(f"/{collection}/{key}", json=values, headers=headers)
    else:
        field = f'update_{collection}_item(id: "{key}", data: $d) {{ id }}'
        mutation = f"mutation($d: update_directus_{collection}_input!) {{ {field} }}"
        response = await post_graphql(client, mutation, headers=headers, variables={"d": values})

    assert error_code(response) == "FORBIDDEN", response.text
    assert "permission to" in response.json()["errors"][0]["message"]
    assert await checksum(members) == before
