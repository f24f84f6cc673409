"""The permissions that callers can query of themselves, and the project's settings."""

import pytest

from app.policy.permission_summary import PermissionGrant, summarize
from app.query.collection import BUILT_IN
from tests.base_data import caller, make_read_permission, uid

ADA, ANN, SAM, VI = (caller(name) for name in ("ada", "ann", "sam", "vi"))


async def test_an_admin_may_do_everything(readonly_db):
    permissions = (await readonly_db.execute("{ permissions_me }", caller=ADA)).data["permissions_me"]

    assert set(permissions) == set(BUILT_IN)
    assert all(
        permissions["directus_users"][action] == {"access": "full", "fields": ["*"]}
        for action in ("create", "read", "update", "delete", "share")
    )


async def test_other_callers_get_the_sum_of_their_policies(readonly_db):
    assert await readonly_db.directory(VI).permissions() == {
        "directus_users": {
            "create": {"access": "none"},
            "read": {"access": "full", "fields": ["id", "first_name", "title", "password", "token", "no_such_field"]},
            "update": {"access": "none"},
            "delete": {"access": "none"},
            "share": {"access": "none"},
        },
        "directus_roles": {
            "create": {"access": "none"},
            "read": {"access": "partial", "fields": ["id", "name"]},
            "update": {"access": "none"},
            "delete": {"access": "none"},
            "share": {"access": "none"},
        },
    }
    assert (await readonly_db.directory(SAM).permissions())["directus_users"]["read"] == {
        "access": "partial",
        "fields": ["*"],
    }
    assert set(await readonly_db.directory(ANN).permissions()) == {
        "directus_users",
        "directus_roles",
        "directus_activity",
        "directus_settings",
    }


@pytest.mark.parametrize(
    ("grants", "summary"),
    [
        ([("read", {"id": 1}, ("a",)), ("read", {}, ("b",))], {"access": "full", "fields": ["a", "b"]}),
        ([("read", {"id": 1}, ("a",)), ("read", {"id": 2}, ("*",))], {"access": "partial", "fields": ["*"]}),
        ([("read", {}, None)], {"access": "full"}),
        ([("read", {}, None, {"a": 1}), ("read", {}, None, {"b": 2})], {"access": "full", "presets": {"a": 1, "b": 2}}),
        ([("create", {}, ("a",))], {"access": "none"}),
    ],
)
def test_several_grants_add_up(grants, summary):
    permissions = [
        PermissionGrant("articles", action, rule, fields, *(presets or [{}]))
        for action, rule, fields, *presets in grants
    ]

    assert summarize(permissions)["articles"]["read"] == summary


@pytest.mark.parametrize("query", ["{ permissions_me }", "{ policies_me_globals { app_access } }"])
async def test_only_callers_who_may_read_permissions_and_policies_have_these_fields(readonly_db, query):
    """Directus reduces its schema the same way; over REST every caller has access."""
    assert "Cannot query field" in (await readonly_db.execute(query, caller=VI)).errors[0].message
    assert (await readonly_db.execute(query, caller=ADA)).errors is None


async def test_an_anonymous_caller_has_no_user_roles_permissions_or_flags(restored_db):
    collections = ("users", "permissions", "policies")
    permissions = [make_read_permission(50 + index, "Public", name, "id") for index, name in enumerate(collections)]
    await restored_db.load({"directus_permissions": permissions})
    query = "{ users_me { id } roles_me { id } permissions_me policies_me_globals { app_access } }"
    results = [await restored_db.execute(query) for _ in range(2)]

    nothing = dict.fromkeys(("users_me", "roles_me", "permissions_me", "policies_me_globals"))
    assert [(result.data, result.errors) for result in results] == [(nothing, None)] * 2
    assert (await restored_db.execute("{ roles_me { id } }")).data == {"roles_me": None}
    assert (await restored_db.execute("{ roles_me { id } }", caller=caller("nora"))).data == {"roles_me": []}


async def test_a_policys_flags_are_returned(restored_db):
    await restored_db.load({"directus_policies": [{"id": uid("policy-Administrators"), "enforce_tfa": True}]})
    result = await restored_db.execute("{ policies_me_globals { enforce_tfa app_access admin_access } }", caller=ADA)

    assert result.data["policies_me_globals"] == {"enforce_tfa": True, "app_access": True, "admin_access": True}


async def test_own_permissions_take_one_statement_and_are_current(restored_db):
    await restored_db.directory(ADA).access()
    statements = restored_db.database.reader.statements
    await restored_db.execute("{ permissions_me }", caller=ADA)
    assert restored_db.database.reader.statements - statements == 1

    assert "update" in (await restored_db.directory(VI).permissions())["directus_users"]
    grant = {"id": 61, "policy": uid("policy-Viewers"), "collection": "directus_users", "action": "update"}
    await restored_db.load({"directus_permissions": [{**grant, "fields": "title", "permissions": {}}]})
    assert (await restored_db.directory(VI).permissions())["directus_users"]["update"]["access"] == "full"


async def test_settings_are_one_row_for_callers_who_may_read_them(restored_db):
    """App access includes them; API keys of other services stay concealed."""
    await restored_db.load(
        {"directus_settings": [{"id": 1, "project_name": "House", "ai_openai_api_key": "not-for-you"}]}
    )
    query = "{ settings { id project_name ai_openai_api_key project_logo } }"
    ada, ann = await restored_db.execute(query, caller=ADA), await restored_db.execute(query, caller=ANN)
    vi = await restored_db.execute(query, caller=VI)

    row = {"id": "1", "project_name": "House", "ai_openai_api_key": "**********", "project_logo": None}
    assert ada.data == ann.data == {"settings": row}
    assert "Cannot query field 'settings'" in vi.errors[0].message


async def test_missing_settings_are_null(readonly_db):
    result = await readonly_db.execute('{ settings(version: "main") { id } }', caller=ADA)
    other = await readonly_db.execute('{ settings(version: "draft") { id } }', caller=ADA)

    assert (result.data, result.errors) == ({"settings": None}, None)
    assert other.errors[0].original_error.code == "FORBIDDEN"


async def test_numeric_keys_are_strings_in_graphql(readonly_db):
    query = "{ permissions(limit: 1) { id policy } permissions_by_id(id: 1) { id } }"
    result = await readonly_db.execute(query, caller=ADA)

    assert result.data["permissions"] == [{"id": "1", "policy": uid("policy-Staff")}]
    assert result.data["permissions_by_id"] == {"id": "1"}
