"""Conditions of the public: what everybody can do is free to grant, but only with all conditions of the public.

The public creates folders with the preset that one of its policies has, and another one grants. Rita manages rights and
users, and has neither of the two.
"""

from contextlib import suppress

import pytest_asyncio

from app.core.errors import Forbidden
from tests.base_data import caller, make_access, make_policy, make_role, make_user, uid
from tests.writes.editors import make_permission

RITA = caller("rita")
PRESET = {"presets": {"name": "Public"}}
ROWS = {
    "directus_roles": [make_role("Granted")],
    "directus_users": [
        make_user("gil", "Granted"),
        make_user("sue", "Granted", status="suspended"),
        make_user("nan", None),
    ],
    "directus_policies": [make_policy("Folders"), make_policy("Named")],
    "directus_access": [
        make_access("Folders"),
        make_access("Named"),
        make_access("Folders", role="Granted"),
    ],
    "directus_permissions": [
        make_permission(700, "Folders", "create", "folders", "name"),
        make_permission(701, "Named", "create", "folders", "name") | PRESET,
    ],
}

ROWS_OF_BOB = {
    "directus_roles": [make_role("Both")],
    "directus_users": [make_user("bob", "Both")],
    "directus_access": [make_access("Folders", role="Both"), make_access("Named", role="Both")],
}
"""A user who has all policies of the public by a role."""


@pytest_asyncio.fixture
async def system(editors):
    await editors.load(ROWS)
    return editors


async def is_allowed(system, collection, action, *arguments):
    repository = system.directory(RITA)[collection]
    with suppress(Forbidden):
        await repository.dry_run(getattr(repository, f"{action}_command")(*arguments))
        return True
    return False


async def test_a_user_with_all_policies_of_the_public_may_be_taken_over(system):
    await system.load(ROWS_OF_BOB)
    for name in ("bob", "nan"):
        assert await is_allowed(system, "users", "update", [uid(name)], {"password": "known to Rita"})


async def test_a_user_without_the_conditions_of_the_public_may_not_be_taken_over(system):
    assert not await is_allowed(system, "users", "update", [uid("gil")], {"password": "known to Rita"})
    assert not await is_allowed(system, "users", "update", [uid("sue")], {"status": "active"})


async def test_a_user_may_be_given_all_policies_of_the_public_but_not_one_without_its_conditions(system):
    both = [{"policy": uid("policy-Folders")}, {"policy": uid("policy-Named")}]

    assert await is_allowed(system, "users", "update", [uid("rita")], {"policies": both})
    assert not await is_allowed(system, "users", "update", [uid("rita")], {"policies": both[:1]})


async def test_a_condition_of_the_public_may_not_be_deleted(system):
    assert not await is_allowed(system, "permissions", "delete", [701])
    assert not await is_allowed(system, "policies", "delete", [uid("policy-Named")])


async def test_a_condition_of_the_public_may_not_be_changed(system):
    assert not await is_allowed(system, "permissions", "update", [701], {"presets": None})
    assert not await is_allowed(system, "permissions", "update", [701], {"presets": {"name": "Other"}})
