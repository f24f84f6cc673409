"""Concurrent writes over separate connections: no write is lost, and one of two conflicting writes fails."""

import asyncio

import pytest
import pytest_asyncio
from sqlalchemy import func, select

from app.core.caller import Caller
from app.core.errors import RollcallError
from app.db.models import Access, Activity, Role, User
from app.testing import open_system
from tests.base_data import caller, uid

pytestmark = pytest.mark.both_databases

ADA, ZOE = caller("ada"), Caller(user=uid("zoe"))
REPETITIONS = 5


@pytest_asyncio.fixture
async def other(editors):
    """The same database, opened as by a second process."""
    async with open_system(editors.settings) as system:
        yield system


async def error_codes_of(*writes):
    """Run writes concurrently; return the error code of each, or None for a success."""
    results = await asyncio.gather(*writes, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, RollcallError):
            raise result
    return [result.code if isinstance(result, RollcallError) else None for result in results]


async def scalar(system, statement):
    async with system.database.transaction() as connection:
        return await connection.scalar(statement)


@pytest.mark.parametrize("emails", [("new@example.com", "new@example.com"), ("new@example.com", "NEW@Example.com")])
async def test_one_of_two_concurrent_creates_with_the_same_email_fails(editors, other, emails):
    for number in range(REPETITIONS):
        first, second = (f"{number}{email}" for email in emails)
        codes = await error_codes_of(
            editors.directory(ADA)["users"].create_one({"email": first}),
            other.directory(ADA)["users"].create_one({"email": second}),
        )
        assert sorted(codes, key=str) == [None, "RECORD_NOT_UNIQUE"]
        count = select(func.count()).where(func.lower(User.email) == first.lower()).select_from(User)
        assert await scalar(editors, count) == 1


async def test_one_of_two_concurrent_updates_to_the_same_email_fails(editors, other):
    for number in range(REPETITIONS):
        values = {"email": f"same{number}@example.com"}
        codes = await error_codes_of(
            editors.directory(ADA)["users"].update_one(uid("ed"), values),
            other.directory(ADA)["users"].update_one(uid("vi"), values),
        )
        assert sorted(codes, key=str) == [None, "RECORD_NOT_UNIQUE"]


def remove(system, caller_, user, removal):
    users = system.directory(caller_)["users"]
    if removal == "deleted":
        return users.delete_one(uid(user))
    return users.update_one(uid(user), {"status": "suspended"} if removal == "suspended" else {"role": None})


@pytest.mark.parametrize("removal", ["deleted", "suspended", "stripped"])
async def test_two_administrators_removing_each_other_leave_one(editors, other, removal):
    users = editors.directory(ADA)["users"]
    role = (await users.read_one(uid("ada")))["role"]
    admin = {"role": role, "status": "active"}
    await users.delete_by_query({"filter": {"email": {"_eq": "admin@example.com"}}})
    await users.create_one({"id": uid("zoe"), "email": "zoe@example.com", **admin})
    codes = await error_codes_of(remove(editors, ADA, "zoe", removal), remove(other, ZOE, "ada", removal))

    assert codes.count(None) == 1, codes
    assert set(codes) <= {None, "UNPROCESSABLE_CONTENT", "INVALID_CREDENTIALS", "FORBIDDEN"}
    active = select(func.count()).select_from(User).where(User.role_id == role, User.status == "active")
    assert await scalar(editors, active) == 1


async def test_concurrent_updates_create_no_cycle_of_roles(editors, other):
    roles = editors.directory(ADA)["roles"]
    for number in range(REPETITIONS):
        a, b = await roles.create_many([{"name": f"A{number}"}, {"name": f"B{number}"}])
        codes = await error_codes_of(
            roles.update_one(a, {"parent": b}), other.directory(ADA)["roles"].update_one(b, {"parent": a})
        )
        assert codes.count(None) == 1, codes
        assert await scalar(editors, select(func.count()).where(Role.id.in_([a, b]), Role.parent_id.is_not(None))) == 1


async def test_a_user_deleted_during_an_update_stays_deleted(editors, other):
    users = editors.directory(ADA)["users"]
    for number in range(REPETITIONS):
        key = await users.create_one({"email": f"short{number}@example.com"})
        update, deletion = await error_codes_of(
            other.directory(ADA)["users"].update_one(key, {"title": "still here"}), users.delete_one(key)
        )
        assert deletion is None
        assert update in (None, "FORBIDDEN")
        assert await scalar(editors, select(func.count()).where(User.id == key)) == 0
        deletions = select(func.count()).where(Activity.item == key, Activity.action == "delete")
        assert await scalar(editors, deletions) == 1


async def test_concurrent_assignments_of_policies_to_one_role_are_all_stored(editors, other):
    role, policies = uid("role-Writer"), [uid("policy-Tokens"), uid("policy-Rights")]
    codes = await error_codes_of(
        *(
            system.directory(ADA)["roles"].update_one(role, {"policies": {"create": [{"policy": policy}]}})
            for system, policy in zip((editors, other), policies, strict=True)
        )
    )
    assert codes == [None, None]
    stored = select(func.count()).where(Access.role_id == role, Access.policy_id.in_(policies))
    assert await scalar(editors, stored) == 2
