"""An explanation says who may do what, by which policy and permission, and what would have to change."""

import pytest

from app.core.caller import Caller
from tests.base_data import OFFICE_IP, caller, uid

EXPLAIN = """
query ($user: ID, $collection: String!, $action: String!, $item: ID, $field: String, $ip: String) {
  access_explain(user: $user, collection: $collection, action: $action, item: $item, field: $field, ip: $ip) {
    allowed user status reasons enough
    policies { id name in_force ip_access admin_access app_access origins { kind role_name }
      permissions { id fields includes_field matches_item problem rule conditions { text matches } } }
  }
}
"""


BY_RULE = (
    'Permission 3 of policy "Editors" (from the role "Editor") does not allow it: its rule does not match this item '
    '(status _eq "active" is false).'
)
BY_FIELDS = (
    'Permission 1 of policy "Staff" (from the role "Staff", above the user\'s role) does not allow it: its fields do '
    'not include "email".'
)


async def explain(system, user, action="read", collection="users", asker="ada", **question):
    variables = {"user": user and uid(user), "action": action, "collection": collection, **question}
    result = await system.execute(EXPLAIN, variables, caller(asker))
    assert result.errors is None, result.errors
    return result.data["access_explain"]


async def test_a_field_is_null_because_another_permission_matches_the_row(readonly_db):
    """Ed reads the email of active users only, through one of his two policies."""
    answer = await explain(readonly_db, "ed", item=uid("sue"), field="email")

    assert not answer["allowed"]
    assert answer["reasons"] == [
        BY_RULE,
        BY_FIELDS,
    ]
    assert 'Change the rule of permission 3 of policy "Editors" so that it matches this item.' in answer["enough"]
    assert 'Add "email" to the fields of permission 1 of policy "Staff".' in answer["enough"]
    assert (await explain(readonly_db, "ed", item=uid("vi"), field="email"))["allowed"]


async def test_users_me_is_missing_because_no_policy_reads_users(readonly_db):
    answer = await explain(readonly_db, "nora")

    assert not answer["allowed"]
    assert answer["reasons"] == ["No policy of the user has a permission to read directus_users."]
    assert answer["policies"][0]["origins"] == [{"kind": "public", "role_name": None}]


@pytest.mark.both_databases
async def test_other_users_of_the_role_are_hidden_by_a_rule(readonly_db):
    answer = await explain(readonly_db, "sam", item=uid("ed"))

    assert not answer["allowed"]
    (permission,) = answer["policies"][0]["permissions"]
    assert permission["conditions"] == [{"text": "id _eq $CURRENT_USER", "matches": False}]
    assert (await explain(readonly_db, "sam", item=uid("sam")))["allowed"]


async def test_a_policy_applies_at_one_address_only(readonly_db):
    elsewhere = await explain(readonly_db, "kit", field="email", ip="192.0.2.1")
    office = await explain(readonly_db, "kit", field="email", ip=OFFICE_IP)

    assert (elsewhere["allowed"], office["allowed"]) == (False, True)
    assert "is not in force at this address: it applies at 10.1.0.0/16 only." in elsewhere["reasons"][0]
    assert 'Use an address that policy "Office" (from the role "Office") allows: 10.1.0.0/16.' in elsewhere["enough"]


@pytest.mark.both_databases
async def test_a_suspended_user_may_do_nothing(readonly_db):
    answer = await explain(readonly_db, "sue", field="first_name")

    assert (answer["allowed"], answer["status"]) == (False, "suspended")
    assert answer["enough"] == ['Set the user\'s status to "active".']


async def test_an_admin_may_do_everything_that_exists(readonly_db):
    assert (await explain(readonly_db, "ada", "delete", item=uid("vi")))["allowed"]
    missing = await explain(readonly_db, "ada", "delete", item=uid("nobody"))

    assert (missing["allowed"], missing["reasons"][0]) == (False, "There is no such item.")


async def test_a_permission_that_cannot_be_read_is_reported(readonly_db):
    answer = await explain(readonly_db, "vi", collection="roles")

    assert not answer["allowed"]
    assert 'grants nothing: permissions: "directus_roles" has no field "no_such_field".' in answer["reasons"][0]


async def test_app_access_includes_permissions(readonly_db):
    answer = await explain(readonly_db, "ann", item=uid("ann"), field="email")

    assert answer["allowed"]
    assert answer["reasons"][0].startswith('The permission of app access of policy "App"')


async def test_users_explain_their_own_access_without_the_text_of_rules(readonly_db):
    answer = await explain(readonly_db, None, asker="ed", item=uid("vi"), field="email")

    assert (answer["allowed"], answer["user"]) == (True, uid("ed"))
    permissions = [permission for policy in answer["policies"] for permission in policy["permissions"]]
    assert all(permission["rule"] is None and not permission["conditions"] for permission in permissions)


@pytest.mark.parametrize(
    ("asker", "question"),
    [
        ("ed", {"user": uid("vi")}),
        ("ed", {"user": uid("nobody")}),
        ("vi", {"item": uid("nora")}),
        ("vi", {"item": uid("nobody")}),
        ("vi", {"item": "no key"}),
        (None, {}),
    ],
)
async def test_nobody_learns_of_users_and_rows_that_are_hidden(readonly_db, asker, question):
    """Another user, an invisible row and one that does not exist are the same to everyone but admins."""
    variables = {"action": "read", "collection": "users", **question}
    result = await readonly_db.execute(EXPLAIN, variables, caller(asker))

    (error,) = result.errors
    assert error.original_error.code == "FORBIDDEN"
    assert error.original_error.text == "You don't have permission to access this."


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ({"action": "share"}, '"action" must be one of create, read, update, delete'),
        ({"collection": "articles"}, 'There is no collection "articles"'),
        ({"field": "shoe_size"}, '"shoe_size" is no field of directus_users'),
        ({"user": uid("nobody")}, "There is no user with this id"),
        ({"user": "a\0b"}, "There is no user with this id"),
    ],
)
async def test_a_question_that_makes_no_sense_is_rejected(readonly_db, question, reason):
    variables = {"action": "read", "collection": "users", "user": uid("vi"), **question}
    result = await readonly_db.execute(EXPLAIN, variables, caller("ada"))

    assert result.errors[0].original_error.reason == reason


async def test_explaining_records_no_access_of_the_user(readonly_db):
    cache = readonly_db.services.access_cache
    cache.clear()
    await explain(readonly_db, "ed")

    assert cache.peek(Caller(user=uid("ed"))) is None
