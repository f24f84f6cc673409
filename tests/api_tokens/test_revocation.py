"""An API token loses its rights at the next statement, in whatever way they are taken away."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text, update

from app.core.errors import APITokenExpired, InvalidCredentials
from app.db.models import API_TOKENS, User
from app.flows.api_tokens import APITokenService
from app.testing import open_system
from tests.api_tokens.tokens import IP, caller_with, create_token, token_caller
from tests.base_data import caller, uid
from tests.flows.clock import FrozenClock
from tests.test_revocation import EMAILS, write

pytestmark = pytest.mark.both_databases

INVALIDATIONS = {
    "the owner is suspended": f"UPDATE directus_users SET status = 'suspended' WHERE id = '{uid('ed')}'",
    "the owner is deleted": f"DELETE FROM directus_users WHERE id = '{uid('ed')}'",
    "the token is revoked": "DELETE FROM rollcall_tokens",
    "the token is bound to another address": "UPDATE rollcall_tokens SET ip_access = '10.0.0.0/8'",
    "the token has expired": "UPDATE rollcall_tokens SET expires = '2020-01-01T00:00:00.000000Z'",
}
LOST_RIGHTS = {
    "the policy of its scope is deleted": f"DELETE FROM directus_policies WHERE id = '{uid('policy-Editors')}'",
    "the policy is removed from its scope": "DELETE FROM rollcall_token_policies",
    "its owner loses the policy": f"DELETE FROM directus_access WHERE policy = '{uid('policy-Editors')}'",
    "its owner loses the role": f"UPDATE directus_users SET role = NULL WHERE id = '{uid('ed')}'",
    "it becomes scoped": "UPDATE rollcall_tokens SET scoped = true",
}


@pytest.mark.parametrize("change", INVALIDATIONS)
async def test_an_invalidated_token_is_rejected_at_once(restored_db, change):
    token = await token_caller(restored_db, "ed", ip_access=[IP])
    before = await restored_db.execute(EMAILS, caller=token)
    await write(restored_db, INVALIDATIONS[change])
    after = await restored_db.execute(EMAILS, caller=token)

    assert before.data["users"]
    assert after.data is None
    expected = APITokenExpired if "expired" in change else InvalidCredentials
    assert type(after.errors[0].original_error) is expected


@pytest.mark.parametrize("change", LOST_RIGHTS)
async def test_a_scoped_token_loses_rights_with_its_scope_and_never_falls_back_to_all(restored_db, change):
    policies = None if change == "it becomes scoped" else ["Editors"]
    token = await token_caller(restored_db, "ed", policies=policies)
    before = await restored_db.execute(EMAILS, caller=token)
    await write(restored_db, LOST_RIGHTS[change])
    after = await restored_db.execute(EMAILS, caller=token)

    assert before.data["users"]
    assert after.data is None
    assert "Cannot query field" in after.errors[0].message


async def test_a_token_is_deleted_with_its_owner_and_its_scope_with_it(restored_db):
    await create_token(restored_db, "ed", policies=["Editors"])
    await write(restored_db, INVALIDATIONS["the owner is deleted"])

    async with restored_db.database.transaction() as connection:
        tables = ("rollcall_tokens", "rollcall_token_policies")
        counts = [await connection.scalar(text(f"SELECT count(*) FROM {table}")) for table in tables]
    assert counts == [0, 0]


async def test_the_last_use_of_a_token_changes_no_access_version(restored_db):
    await create_token(restored_db, "ed")
    versions = []
    for statement in ("SELECT 1", "UPDATE rollcall_tokens SET last_used = NULL, last_used_ip = '192.0.2.7'"):
        await write(restored_db, statement)
        async with restored_db.database.transaction() as connection:
            versions.append(await connection.scalar(text("SELECT token FROM rollcall_version")))

    assert versions[0] == versions[1]


async def test_a_cached_token_ends_at_the_moment_it_expires(restored_db):
    clock = FrozenClock()
    expires = clock.now + timedelta(hours=1)
    async with open_system(restored_db.settings, clock) as system:
        token = await token_caller(system, "ed", expires=expires.isoformat())
        await system.execute(EMAILS, caller=token)
        clock.now = expires - timedelta(seconds=1)
        before = await system.execute(EMAILS, caller=token)
        clock.now = expires
        after = await system.execute(EMAILS, caller=token)

    assert before.data
    assert before.data["users"]
    assert after.errors
    assert type(after.errors[0].original_error) is APITokenExpired


async def test_an_unknown_token_is_rejected(readonly_db):
    result = await readonly_db.execute(EMAILS, caller=caller_with("rollcall_unknown"))

    assert isinstance(result.errors[0].original_error, InvalidCredentials)


async def test_a_user_suspended_while_a_token_waits_to_be_created_gets_none(restored_db):
    """The token would outlive the session of which it was created."""
    is_writing, may_commit = asyncio.Event(), asyncio.Event()

    async def suspend(writer):
        is_writing.set()
        await may_commit.wait()
        await writer.execute(update(User).where(User.id == uid("vi")).values(status="suspended"))

    suspending = asyncio.create_task(restored_db.database.run_write(suspend, exclusive=True))
    await is_writing.wait()
    creating = asyncio.create_task(APITokenService(restored_db.directory(caller("vi"))).create({"name": "late"}))
    await asyncio.sleep(0.2)  # enough for the first check: then it waits for the other transaction
    may_commit.set()
    await suspending

    with pytest.raises(InvalidCredentials):
        await creating
    async with restored_db.database.transaction() as connection:
        assert await connection.scalar(select(func.count()).select_from(API_TOKENS)) == 0
