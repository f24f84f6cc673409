"""Takeovers: who sets what a user logs in with, or lets a user log in again, must have all rights of that user.

Rita manages users and their rights, but has no app access as Ann does, and is no administrator as Ada is.
"""

from contextlib import suppress

import pytest

from app.core.errors import Forbidden
from tests.base_data import OFFICE_IP, caller, make_access, make_policy, make_user, uid
from tests.writes.editors import make_permission

RITA = caller("rita")
CREDENTIALS = {
    "email": "mine@example.com",
    "password": "known to Rita",
    "token": "known-to-rita",
    "provider": "github",
    "external_identifier": "rita",
    "auth_data": {"refresh": "x"},
}
ROWS = {
    "directus_users": [
        make_user("abe", "App", status="suspended"),
        make_user("bea", "Rights", status="suspended"),
        make_user("cat", "Rights"),
        make_user("tom", None),
    ],
    "directus_policies": [
        make_policy("Credentials"),
        make_policy("Guarded", enforce_tfa=True),
        make_policy("Drafts"),
    ],
    "directus_access": [make_access("Credentials", role="Rights"), make_access("Drafts", user="tom")],
    "directus_permissions": [
        make_permission(600, "Credentials", "update", "users", ",".join(["status", "role", *CREDENTIALS])),
        make_permission(601, "Drafts", "create", "users", "*") | {"presets": {"status": "draft"}},
    ],
}
BOSSES = ["ada", "ann"]
"""Users with more rights than Rita."""


@pytest.fixture
async def users(editors):
    """The users as Rita sees them."""
    await editors.load(ROWS)
    return editors.directory(RITA)["users"]


async def is_allowed(repository, command):
    with suppress(Forbidden):
        await repository.dry_run(command)
        return True
    return False


@pytest.mark.parametrize("user", BOSSES)
async def test_no_credential_of_a_user_with_more_rights_is_set(users, user):
    for field, value in CREDENTIALS.items():
        for more in ({}, {"role": None}, {"role": uid("role-Rights")}, {"status": "archived"}):
            assert not await is_allowed(users, users.update_command([uid(user)], {field: value, **more})), field
    assert await is_allowed(users, users.update_command([uid(user)], {"title": "Under Rita"}))


@pytest.mark.parametrize("user", ["cat", "tom", "nora", "ed", "rita"])
async def test_credentials_of_users_without_more_rights_are_set(users, user):
    values = {**CREDENTIALS, "role": uid("role-Rights")}

    assert await is_allowed(users, users.update_command([uid(user)], values))


async def test_credentials_and_rights_are_not_exchanged_within_one_write(users, editors):
    ann = uid("ann")
    batches = [
        [{"id": ann, "role": None}, {"id": ann, "password": "known to Rita"}],
        [{"id": ann, "password": "known to Rita"}, {"id": ann, "role": None}],
        [{"id": uid("cat"), "password": "known to Rita"}, {"id": ann, "token": "known-to-rita"}],
    ]
    for batch in batches:
        assert not await is_allowed(users, users.update_each_command(batch))
    assert not await is_allowed(users, users.update_command([uid("cat"), ann], {"provider": "github"}))
    roles, policies = editors.directory(RITA)["roles"], editors.directory(RITA)["policies"]
    taken = {"id": ann, "password": "known to Rita"}
    for role, nested in (
        ("App", {"users": {"update": [taken]}}),
        ("Rights", {"users": [taken]}),
        ("Rights", {"users": {"create": [], "update": [taken], "delete": []}}),
    ):
        assert not await is_allowed(roles, roles.update_command([uid(f"role-{role}")], nested))
    stripped = {
        "app_access": False,
        "roles": {
            "update": [
                {"id": uid("access-App-App-None"), "role": {"id": uid("role-App"), "users": {"update": [taken]}}}
            ]
        },
    }
    assert not await is_allowed(policies, policies.update_command([uid("policy-App")], stripped))


async def test_an_upsert_is_no_way_around(users):
    with pytest.raises(Forbidden):
        await users.upsert_many([{"id": uid("ann"), "password": "known to Rita"}])
    with pytest.raises(Forbidden):
        await users.update_by_query({"filter": {"email": {"_eq": "ann@example.com"}}}, {"token": "known-to-rita"})


async def test_users_with_more_rights_are_not_activated(users):
    for status in ("active", "invited", "unverified"):
        assert not await is_allowed(users, users.update_command([uid("abe")], {"status": status}))
        assert await is_allowed(users, users.update_command([uid("bea")], {"status": status}))
        assert await is_allowed(users, users.update_command([uid("abe")], {"status": status, "role": None}))
    assert await is_allowed(users, users.update_command([uid("ann")], {"status": "suspended"}))


async def test_credentials_do_not_evade_the_presets_and_addresses_of_their_author(editors):
    """Tom creates drafts only, Kit reads from the office only: both set a password only of users who do no more."""
    await editors.load(ROWS)
    update = [
        make_permission(610 + n, policy, "update", "users", "password") for n, policy in enumerate(("Drafts", "Office"))
    ]
    read = make_permission(615, "Themselves", "create", "users", "email")
    await editors.load({"directus_permissions": [*update, read]})

    async def may_take(author, user, ip="192.0.2.1"):
        users = editors.directory(caller(author, ip))["users"]
        return await is_allowed(users, users.update_command([uid(user)], {"password": "known to the author"}))

    assert [await may_take("tom", user) for user in ("nora", "sam", "kit")] == [True, False, False]
    assert await may_take("kit", "nora", OFFICE_IP)
    assert not await may_take("kit", "nora")
    await editors.load({"directus_access": [make_access("Office", user="nora")]})
    assert await may_take("kit", "nora", OFFICE_IP)
    await editors.load({"directus_policies": [make_policy("Office", ip_access=None)]})
    assert await may_take("kit", "nora")


@pytest.mark.parametrize(
    ("values", "is_usable"),
    [
        ({"public_registration": True}, True),
        ({"public_registration": True, "public_registration_verify_email": False}, True),
        ({"public_registration_verify_email": False}, False),
        ({"public_registration": False, "project_name": "House"}, False),
        ({"public_registration_role": None, "public_registration": True}, False),
    ],
)
async def test_visitors_are_not_given_more_rights_than_the_one_who_admits_them(editors, values, is_usable):
    permissions = [
        make_permission(620 + n, "Rights", action, "settings", "*") for n, action in enumerate(("read", "update"))
    ]
    await editors.load({"directus_permissions": permissions})
    await editors.directory(caller("ada"))["settings"].upsert_singleton(
        {
            "public_registration": False,
            "public_registration_role": uid("role-App"),
            "public_registration_verify_email": True,
        }
    )
    settings = editors.directory(RITA)["settings"]

    assert await is_allowed(settings, settings.update_singleton_command(values)) is not is_usable
