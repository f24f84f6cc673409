"""Holes of this field that writing would open, each a test named after it."""

import inspect

import pytest
from sqlalchemy import insert, select, update

from app.core.caller import PUBLIC
from app.core.clock import utc_now
from app.core.errors import RollcallError
from app.db.models import Activity, Permission, Revision, Session
from app.repositories.directory import Directory
from app.repositories.repository import Repository
from tests.world import caller, uid
from tests.writes.editors import checksum

ADA, WES, RITA = caller("ada"), caller("wes"), caller("rita")
ADMINS = uid("role-Administrator")
FILES = {"collection": "directus_files", "action": "read", "fields": ["*"]}


async def refused(doing):
    with pytest.raises(RollcallError) as refusal:
        await doing
    return refusal.value.code


async def test_cve_2026_39943_no_secret_is_written_down(editors):
    """Secrets in directus_revisions and directus_activity."""
    secrets = {
        "token": "a-static-token-of-a-test",
        "password": "a password of a test",
        "auth_data": {"key": "what a provider gave"},
    }
    users = editors.directory(ADA)["users"]
    key = await users.create_one({"email": "new@example.com", **secrets})
    await users.update_one(uid("vi"), {name: value for name, value in secrets.items() if name != "token"})
    await users.update_one(uid("ed"), {"tfa_secret": None, "token": "another-token-of-a-test"})
    await users.delete_one(key)

    async with editors.database.transaction() as connection:
        told = [await connection.execute(select(model)) for model in (Revision, Activity)]
    text = str([tuple(row) for rows in told for row in rows])
    assert key in text
    for secret in ("a-static-token", "password of a test", "provider gave", "another-token", "$argon2"):
        assert secret not in text


@pytest.mark.parametrize(
    ("whom", "change"),
    [
        ("will", {"status": "archived"}),  # out of Wes' reach afterwards
        ("will", {"role": ADMINS}),
        ("will", {"role": None}),
        ("wes", {"role": ADMINS}),
        ("wes", {"policies": [{"policy": uid("policy-Administrators")}]}),
        ("wes", {"token": "mine"}),
        ("wes", {"provider": "github"}),
        ("wanda", {"status": "active"}),  # out of his reach before
    ],
)
async def test_cve_2026_129239_a_change_is_judged_by_the_row_before_and_after(editors, whom, change):
    """Also CVE-2025-24353, CVE-2024-6534 and GHSA-jp93-grh7-mxh4: one's own role, policies or status."""
    before = await checksum(editors)

    assert await refused(editors.directory(WES)["users"].update_one(uid(whom), change)) == "FORBIDDEN"
    assert await checksum(editors) == before


@pytest.mark.parametrize("keys", [["will", "ada"], ["ada"], ["wes"]])
async def test_ghsa_p623_wgx3_wxp8_nothing_happens_before_the_refusal(editors, keys):
    """Sessions ended, and shares deleted, of users whose deletion was refused."""
    async with editors.database.transaction() as connection:
        for name in ("will", "ada", "wes"):
            expires = utc_now().replace(year=2099)
            await connection.execute(insert(Session).values(token=f"s-{name}", user_id=uid(name), expires=expires))
    before = await checksum(editors)

    assert await refused(editors.directory(WES)["users"].delete_many([uid(key) for key in keys])) == "FORBIDDEN"
    assert await checksum(editors) == before


async def test_cve_2024_39701_an_empty_list_lets_nothing_be_changed(editors):
    """`_in: []` that was true."""
    users = editors.directory(ADA)["permissions"]
    await users.update_one(102, {"permissions": {"id": {"_in": []}}})
    await users.update_one(104, {"permissions": {"title": {"_in": "$CURRENT_USER.tags"}}})
    wes = editors.directory(WES)["users"]

    assert await refused(wes.update_one(uid("will"), {"title": "Clerk"})) == "FORBIDDEN"
    assert await refused(wes.delete_one(uid("will"))) == "FORBIDDEN"


async def test_cve_2025_64746_a_rule_on_a_field_that_is_gone_gives_nothing(editors):
    """Permissions that outlive their field."""
    async with editors.database.transaction() as connection:
        gone = {"gone": {"_eq": 1}}
        await connection.execute(update(Permission).where(Permission.id.in_([102, 104])).values(permissions=gone))
    wes = editors.directory(WES)["users"]

    assert await refused(wes.update_one(uid("will"), {"title": "Clerk"})) == "FORBIDDEN"
    assert await refused(wes.delete_one(uid("will"))) == "FORBIDDEN"


async def test_cve_2024_34708_an_alias_uncovers_nothing_that_was_written(editors):
    """Secrets in the answer of a mutation, under other names."""
    mutation = """mutation($d: create_directus_users_input!) {
        a: create_users_item(data: $d) { b: password c: token d: role { e: users { f: token } } } }"""
    new = {"email": "new@example.com", "password": "known", "token": "t-of-a-test"}
    told = await editors.execute(mutation, {"d": new}, ADA)

    assert told.data["a"] | {"d": None} == {"b": "**********", "c": "**********", "d": None}


async def test_cve_2024_54151_nobody_is_never_somebody_with_every_right(editors):
    """A missing caller that was taken for trusted code."""
    before = await checksum(editors)
    for name in ("users", "roles", "policies", "access", "permissions", "files", "folders"):
        repository = editors.directory(PUBLIC)[name]
        for doing in (
            repository.create_one({"name": "x"} if name in ("roles", "policies", "folders") else {}),
            repository.update_by_query({}, {}),
            repository.delete_by_query({}),
        ):
            assert await refused(doing) == "FORBIDDEN"
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
        ("policies", {"name": "P", "permissions": [FILES]}),
        ("access", {"role": uid("role-Rights"), "policy": uid("policy-Administrators")}),
        ("access", {"user": uid("rita"), "policy": uid("policy-Administrators")}),
        ("permissions", {"policy": uid("policy-Rights"), **FILES}),
    ],
)  # fmt: skip
async def test_nobody_rises_by_what_they_may_write(editors, collection, values):
    """Rita sees to roles, policies and who has them, and is no admin."""
    before = await checksum(editors)

    assert await refused(editors.directory(RITA)[collection].create_one(values)) == "FORBIDDEN"
    assert await checksum(editors) == before
    assert not (await editors.directory(RITA).access()).admin
