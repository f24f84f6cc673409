"""Upserts of the repositories: rows that exist are updated, the others created, and all of them or none."""

import pytest

from app.core.caller import SYSTEM
from app.core.errors import FailedValidation, Forbidden
from tests.base_data import caller, uid


def roles(system, who=SYSTEM):
    return system.directory(who)["roles"]


async def test_an_upsert_updates_what_exists_and_creates_the_rest(editors):
    keys = await roles(editors).upsert_many([{"id": uid("role-Writer"), "name": "Author"}, {"name": "New role"}])

    assert keys[0] == uid("role-Writer")
    rows = await roles(editors).read_many(keys, {"fields": ["name"], "sort": ["name"]})
    assert [row["name"] for row in rows] == ["Author", "New role"]


async def test_an_upsert_with_an_unused_key_creates_the_row_with_that_key(editors):
    assert await roles(editors).upsert_one({"id": uid("role-Unused"), "name": "Unused"}) == uid("role-Unused")
    assert (await roles(editors).read_one(uid("role-Unused")))["name"] == "Unused"


async def test_a_failing_row_undoes_the_others(editors):
    with pytest.raises(FailedValidation):
        await roles(editors).upsert_many([{"id": uid("role-Writer"), "name": "Author"}, {"icon": "no name"}])

    assert (await roles(editors).read_one(uid("role-Writer")))["name"] == "Writer"


async def test_an_upsert_needs_the_permission_of_what_it_does(editors):
    """Wes may create and update users of his own role, but not roles."""
    with pytest.raises(Forbidden):
        await roles(editors, caller("wes")).upsert_one({"id": uid("role-Writer"), "name": "Author"})
    with pytest.raises(Forbidden):
        await roles(editors, caller("wes")).upsert_one({"name": "Mine"})


async def test_a_singleton_is_created_once_and_updated_then(restored_db):
    settings = restored_db.directory(SYSTEM)["settings"]
    first = await settings.upsert_singleton({"project_name": "First"})
    second = await settings.upsert_singleton({"project_name": "Second"})

    assert first == second
    assert (await settings.read_singleton())["project_name"] == "Second"
    assert await settings.count() == 1
