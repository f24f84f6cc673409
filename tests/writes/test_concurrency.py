"""Two who write at once, each with connections of his own: nothing is lost, and one is told that he came too late."""

import asyncio

import pytest
import pytest_asyncio
from sqlalchemy import func, select

from app.core.caller import Caller
from app.core.errors import RollcallError
from app.db.models import Access, Activity, Role, User
from app.testing import open_system
from tests.world import caller, uid

ADA, ZOE = caller("ada"), Caller(user=uid("zoe"))
TIMES = 5


@pytest_asyncio.fixture
async def other(editors):
    """The same database from a second process' point of view."""
    async with open_system(editors.settings) as system:
        yield system


async def error_codes_of(*doings):
    """What becomes of each: None, or the code of its refusal."""
    found = await asyncio.gather(*doings, return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException) and not isinstance(one, RollcallError):
            raise one
    return [one.code if isinstance(one, RollcallError) else None for one in found]


async def scalar(system, statement):
    async with system.database.transaction() as connection:
        return await connection.scalar(statement)


@pytest.mark.parametrize("addresses", [("new@example.com", "new@example.com"), ("new@example.com", "NEW@Example.com")])
async def test_of_two_who_take_one_address_one_gets_it(editors, other, addresses):
    for number in range(TIMES):
        one, two = (f"{number}{address}" for address in addresses)
        told = await error_codes_of(
            editors.directory(ADA)["users"].create_one({"email": one}),
            other.directory(ADA)["users"].create_one({"email": two}),
        )
        assert sorted(told, key=str) == [None, "RECORD_NOT_UNIQUE"]
        count = select(func.count()).where(func.lower(User.email) == one.lower()).select_from(User)
        assert await scalar(editors, count) == 1


async def test_of_two_who_change_their_address_to_one_one_gets_it(editors, other):
    for number in range(TIMES):
        change = {"email": f"same{number}@example.com"}
        told = await error_codes_of(
            editors.directory(ADA)["users"].update_one(uid("ed"), change),
            other.directory(ADA)["users"].update_one(uid("vi"), change),
        )
        assert sorted(told, key=str) == [None, "RECORD_NOT_UNIQUE"]


def removing(system, who, whom, way):
    users = system.directory(who)["users"]
    if way == "deleted":
        return users.delete_one(uid(whom))
    return users.update_one(uid(whom), {"status": "suspended"} if way == "suspended" else {"role": None})


@pytest.mark.parametrize("way", ["deleted", "suspended", "stripped"])
async def test_two_admins_who_remove_each_other_leave_one(editors, other, way):
    users = editors.directory(ADA)["users"]
    role = (await users.read_one(uid("ada")))["role"]
    admin = {"role": role, "status": "active"}
    await users.delete_by_query({"filter": {"email": {"_eq": "admin@example.com"}}})
    await users.create_one({"id": uid("zoe"), "email": "zoe@example.com", **admin})
    told = await error_codes_of(removing(editors, ADA, "zoe", way), removing(other, ZOE, "ada", way))

    assert told.count(None) == 1, told
    assert set(told) <= {None, "UNPROCESSABLE_CONTENT", "INVALID_CREDENTIALS", "FORBIDDEN"}
    active = select(func.count()).select_from(User).where(User.role_id == role, User.status == "active")
    assert await scalar(editors, active) == 1


async def test_no_cycle_comes_to_be_from_both_its_ends(editors, other):
    roles = editors.directory(ADA)["roles"]
    for number in range(TIMES):
        a, b = await roles.create_many([{"name": f"A{number}"}, {"name": f"B{number}"}])
        told = await error_codes_of(
            roles.update_one(a, {"parent": b}), other.directory(ADA)["roles"].update_one(b, {"parent": a})
        )
        assert told.count(None) == 1, told
        assert await scalar(editors, select(func.count()).where(Role.id.in_([a, b]), Role.parent_id.is_not(None))) == 1


async def test_who_is_deleted_while_being_changed_is_gone(editors, other):
    users = editors.directory(ADA)["users"]
    for number in range(TIMES):
        key = await users.create_one({"email": f"short{number}@example.com"})
        changed, removed = await error_codes_of(
            other.directory(ADA)["users"].update_one(key, {"title": "still here"}), users.delete_one(key)
        )
        assert removed is None
        assert changed in (None, "FORBIDDEN")
        assert await scalar(editors, select(func.count()).where(User.id == key)) == 0
        told = select(func.count()).where(Activity.item == key, Activity.action == "delete")
        assert await scalar(editors, told) == 1


async def test_of_two_who_give_one_role_policies_neither_is_lost(editors, other):
    role, given = uid("role-Writer"), [uid("policy-Tokens"), uid("policy-Rights")]
    told = await error_codes_of(
        *(
            system.directory(ADA)["roles"].update_one(role, {"policies": {"create": [{"policy": policy}]}})
            for system, policy in zip((editors, other), given, strict=True)
        )
    )
    assert told == [None, None]
    held = select(func.count()).where(Access.role_id == role, Access.policy_id.in_(given))
    assert await scalar(editors, held) == 2
