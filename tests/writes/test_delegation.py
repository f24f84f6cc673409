"""Delegation: no caller assigns more permissions than they have, by roles, policies, access rows or nested writes."""

import pytest

from app.core.errors import RollcallError
from tests.base_data import OFFICE_IP, caller, uid
from tests.writes.editors import checksum

ADMINS, RIGHTS, VIEWERS = uid("policy-Administrators"), uid("policy-Rights"), uid("policy-Viewers")
READ = {"collection": "directus_users", "action": "read"}
FORBIDDEN, ALLOWED = "FORBIDDEN", None

DELEGATION_CASES = [
    # collection, write, expected error code
    ("users", ("create", {"email": "x@example.com", "role": uid("role-Administrator")}), FORBIDDEN),
    ("users", ("create", {"email": "x@example.com", "role": uid("role-Rights")}), ALLOWED),
    ("users", ("create", {"email": "x@example.com", "role": uid("role-Viewer")}), ALLOWED),
    ("users", ("create", {"email": "x@example.com", "role": uid("role-App")}), FORBIDDEN),
    ("users", ("create", {"email": "x@example.com", "policies": [{"policy": ADMINS}]}), FORBIDDEN),
    ("users", ("create", {"email": "x@example.com", "policies": [{"policy": {"id": ADMINS}}]}), FORBIDDEN),
    ("users", ("create", {"email": "x@example.com", "policies": [{"policy": RIGHTS}]}), ALLOWED),
    ("users", ("create", {"email": "x@example.com", "role": {"name": "N", "admin_access": True}}), FORBIDDEN),
    (
        "users",
        ("create", {"email": "x@example.com", "role": {"name": "N", "parent": uid("role-Administrator")}}),
        FORBIDDEN,
    ),
    ("users", ("create", {"email": "x@example.com", "token": "a-token"}), FORBIDDEN),
    ("users", ("update", "rita", {"role": uid("role-Administrator")}), FORBIDDEN),
    ("users", ("update", "rita", {"policies": {"create": [{"policy": ADMINS}]}}), FORBIDDEN),
    ("users", ("update", "rita", {"token": "another-of-my-own"}), ALLOWED),
    ("users", ("update", "vi", {"token": "one-of-theirs"}), FORBIDDEN),
    ("users", ("update", "vi", {"provider": "github"}), FORBIDDEN),
    ("users", ("update", "vi", {"external_identifier": "x"}), FORBIDDEN),
    ("users", ("update", "vi", {"tfa_secret": None}), FORBIDDEN),
    ("users", ("update", "vi", {"title": "Seer", "status": "archived"}), ALLOWED),
    ("users", ("update", "ada", {"email": "rita2@example.com"}), FORBIDDEN),
    ("users", ("update", "ada", {"title": "Under Rita"}), ALLOWED),
    ("roles", ("create", {"name": "New", "policies": [{"policy": ADMINS}]}), FORBIDDEN),
    ("roles", ("create", {"name": "New", "users": [uid("rita")], "parent": uid("role-Administrator")}), FORBIDDEN),
    ("roles", ("create", {"name": "New", "admin_access": True}), FORBIDDEN),
    ("roles", ("create", {"name": "New", "app_access": True}), FORBIDDEN),
    ("roles", ("create", {"name": "New", "admin_access": False}), ALLOWED),
    ("roles", ("update", "role-Rights", {"parent": uid("role-Administrator")}), FORBIDDEN),
    ("roles", ("update", "role-Administrator", {"children": [uid("role-Rights")]}), FORBIDDEN),
    ("roles", ("update", "role-Administrator", {"users": {"update": [{"id": uid("rita")}]}}), FORBIDDEN),
    (
        "roles",
        ("update", "role-Rights", {"policies": {"create": [{"policy": {"name": "P", "app_access": True}}]}}),
        FORBIDDEN,
    ),
    ("roles", ("update", "role-Rights", {"name": "Rights and wrongs"}), ALLOWED),
    ("policies", ("create", {"name": "New", "admin_access": True}), FORBIDDEN),
    ("policies", ("create", {"name": "New", "app_access": True}), FORBIDDEN),
    ("policies", ("create", {"name": "New", "permissions": [{**READ, "fields": ["*"]}]}), ALLOWED),
    ("policies", ("create", {"name": "New", "permissions": [{**READ, "collection": "directus_files"}]}), FORBIDDEN),
    ("policies", ("create", {"name": "New", "users": [{"user": uid("rita")}], "admin_access": True}), FORBIDDEN),
    ("policies", ("update", "policy-Rights", {"admin_access": True}), FORBIDDEN),
    ("policies", ("update", "policy-Rights", {"app_access": True}), FORBIDDEN),
    ("policies", ("update", "policy-Rights", {"name": "All rights"}), ALLOWED),
    ("policies", ("update", "policy-Office", {"ip_access": None}), ALLOWED),
    ("policies", ("update", "policy-App", {"ip_access": ["10.0.0.1"]}), FORBIDDEN),
    ("policies", ("update", "policy-Administrators", {"users": {"create": [{"user": uid("rita")}]}}), FORBIDDEN),
    ("access", ("create", {"user": uid("rita"), "policy": ADMINS}), FORBIDDEN),
    ("access", ("create", {"policy": ADMINS}), FORBIDDEN),
    ("access", ("create", {"role": uid("role-Viewer"), "policy": RIGHTS}), ALLOWED),
    ("access", ("create", {"user": uid("rita"), "policy": {"name": "P", "admin_access": True}}), FORBIDDEN),
    ("access", ("update", "access-Administrators-Administrator-None", {"role": uid("role-Rights")}), FORBIDDEN),
    ("access", ("update", "access-Rights-Rights-None", {"policy": ADMINS}), FORBIDDEN),
    ("access", ("update", "access-Rights-Rights-None", {"sort": 7}), ALLOWED),
    ("permissions", ("create", {"policy": RIGHTS, **READ, "fields": ["email"]}), ALLOWED),
    ("permissions", ("create", {"policy": RIGHTS, "collection": "directus_files", "action": "read"}), FORBIDDEN),
    (
        "permissions",
        ("create", {"policy": RIGHTS, "collection": "pages", "action": "read", "fields": ["*"]}),
        FORBIDDEN,
    ),
    ("permissions", ("create", {"policy": RIGHTS, "collection": "directus_users", "action": "share"}), FORBIDDEN),
    ("permissions", ("create", {"policy": RIGHTS, **READ, "action": "update", "fields": ["token"]}), FORBIDDEN),
    ("permissions", ("create", {"policy": RIGHTS, **READ, "action": "update", "fields": ["status"]}), ALLOWED),
    ("permissions", ("update", 3, {"collection": "directus_settings"}), FORBIDDEN),
    ("permissions", ("update", 3, {"permissions": {}}), ALLOWED),
    (
        "permissions",
        ("create", {"role": uid("role-Rights"), "collection": "directus_files", "action": "read"}),
        FORBIDDEN,
    ),
]


async def write(repository, action, *arguments):
    if action == "create":
        return await repository.create_one(arguments[0])
    key, values = arguments
    return await repository.update_one(uid(key) if isinstance(key, str) else key, values)


@pytest.mark.parametrize(("collection", "arguments", "expected"), DELEGATION_CASES)
async def test_callers_assign_only_permissions_they_have(editors, collection, arguments, expected):
    before = await checksum(editors)
    try:
        await write(editors.directory(caller("rita"))[collection], *arguments)
        code = None
    except RollcallError as error:
        code = error.code

    assert code == expected
    assert (await checksum(editors) == before) is (expected is not ALLOWED)


@pytest.mark.parametrize(("collection", "arguments", "expected"), DELEGATION_CASES)
async def test_administrators_assign_any_permission(editors, collection, arguments, expected):
    assert await write(editors.directory(caller("ada"))[collection], *arguments) is not None


async def test_a_policy_inactive_at_the_callers_ip_cannot_be_assigned(editors):
    """Kit has the permissions of the Office policy only from the office's network."""
    ada, kit = editors.directory(caller("ada")), caller("kit", OFFICE_IP)
    office = uid("policy-Office")
    for fields, collection in (("*", "directus_access"), ("*", "directus_users")):
        await ada["permissions"].create_one(
            {"policy": office, "collection": collection, "action": "create", "fields": fields}
        )
    access = {"user": uid("nora"), "policy": office}
    assert await editors.directory(kit)["access"].create_one(access)

    with pytest.raises(RollcallError) as error:
        await editors.directory(caller("kit"))["access"].create_one({**access, "user": uid("sam")})
    assert error.value.code == FORBIDDEN


@pytest.mark.parametrize(
    "columns",
    [
        {"action": "read", "permissions": "no object"},
        {"action": "read", "permissions": ["no object"]},
        {"action": "update", "validation": "no object"},
    ],
)
async def test_an_unreadable_permission_cannot_be_assigned(editors, columns):
    permission = {"policy": RIGHTS, "collection": "directus_settings", "fields": "project_name"}
    await editors.load({"directus_permissions": [{"id": 900, **permission, **columns}]})
    rita = editors.directory(caller("rita"))

    with pytest.raises(RollcallError) as error:
        await rita["permissions"].create_one(
            {**permission, "fields": ["project_name"], "action": columns["action"], "permissions": {}}
        )
    assert error.value.code == FORBIDDEN
    assert "directus_settings" not in await rita.permissions()


async def test_permissions_gained_by_the_same_write_cannot_be_assigned(editors):
    """What counts are the caller's permissions before the write."""
    policy = {
        "name": "Mine",
        "permissions": [{"collection": "directus_files", "action": "read", "fields": ["*"]}],
        "users": [{"user": uid("rita")}],
    }
    before = await checksum(editors)
    with pytest.raises(RollcallError):
        await editors.directory(caller("rita"))["policies"].create_one(policy)

    assert await checksum(editors) == before


async def test_the_registration_role_is_limited_to_the_callers_permissions(editors):
    ada = editors.directory(caller("ada"))
    for number, action in enumerate(("read", "update")):
        permission = {"id": 900 + number, "collection": "directus_settings", "action": action, "fields": ["*"]}
        await ada["permissions"].create_one({**permission, "policy": uid("policy-Rights")})
    await ada["settings"].upsert_singleton({"project_name": "House"})
    settings = editors.directory(caller("rita"))["settings"]
    with pytest.raises(RollcallError) as error:
        await settings.upsert_singleton({"public_registration_role": uid("role-Administrator")})

    assert error.value.code == FORBIDDEN
    await settings.upsert_singleton({"public_registration_role": uid("role-Rights")})
