"""A change of permissions applies from the next statement on, whichever process wrote it and however."""

import asyncio

import asyncpg
import pytest
from sqlalchemy import text

from app.core.caller import Caller
from app.core.errors import InvalidCredentials, ServiceUnavailable
from app.graphql.plans.queries import ATTEMPTS_LEFT
from app.repositories.engine.reading import MAX_READ_ATTEMPTS
from app.testing import open_system
from tests.base_data import caller, static_token, uid

EMAILS = "{ users(limit: -1) { email } }"
ED, VI = caller("ed"), caller("vi")

REVOCATIONS = {
    "the permission is deleted": "DELETE FROM directus_permissions WHERE id = 3",
    "the permission loses the field": "UPDATE directus_permissions SET fields = 'id' WHERE id = 3",
    "the access row is deleted": f"DELETE FROM directus_access WHERE policy = '{uid('policy-Editors')}'",
    "the role is changed": f"UPDATE directus_users SET role = '{uid('role-Viewer')}' WHERE id = '{uid('ed')}'",
    "the policy is bound to a network": (
        f"UPDATE directus_policies SET ip_access = '10.0.0.0/8' WHERE id = '{uid('policy-Editors')}'"
    ),
}
INVALIDATIONS = {
    "the user is suspended": f"UPDATE directus_users SET status = 'suspended' WHERE id = '{uid('ed')}'",
    "the static token is changed": f"UPDATE directus_users SET token = 'another' WHERE id = '{uid('ed')}'",
    "the user is deleted": f"DELETE FROM directus_users WHERE id = '{uid('ed')}'",
}


@pytest.fixture
def writable_db(restored_db):
    """The database of `restored_db`: no test here changes tables."""
    return restored_db


async def write(system, statement):
    async with system.database.transaction() as connection:
        await connection.execute(text(statement))


async def write_and_fail(system, statement):
    async with system.database.transaction() as connection:
        await connection.execute(text(statement))
        raise LookupError


@pytest.mark.parametrize("change", REVOCATIONS)
async def test_a_revoked_permission_is_gone_for_the_next_query(writable_db, change):
    before = await writable_db.execute(EMAILS, caller=ED)
    await write(writable_db, REVOCATIONS[change])
    after = await writable_db.execute(EMAILS, caller=ED)

    assert before.errors is None
    assert after.data is None
    assert "Cannot query field" in after.errors[0].message


@pytest.mark.parametrize("change", INVALIDATIONS)
async def test_an_invalidated_caller_is_rejected_at_once(writable_db, change):
    await writable_db.execute(EMAILS, caller=ED)
    await write(writable_db, INVALIDATIONS[change])
    after = await writable_db.execute(EMAILS, caller=ED)

    assert after.data is None
    assert isinstance(after.errors[0].original_error, InvalidCredentials)


@pytest.mark.parametrize("change", REVOCATIONS)
async def test_a_permission_revoked_between_planning_and_execution_is_not_used(writable_db, change):
    await writable_db.execute(EMAILS, caller=ED)
    write_before_next_statement(writable_db, REVOCATIONS[change])
    after = await writable_db.execute(EMAILS, caller=ED)

    assert after.data is None
    assert "Cannot query field" in after.errors[0].message


async def test_a_new_permission_is_never_denied_by_the_cache(writable_db):
    before = await writable_db.execute(EMAILS, caller=VI)
    await write(writable_db, "UPDATE directus_permissions SET fields = 'id,email' WHERE id = 4")
    after = await writable_db.execute(EMAILS, caller=VI)

    assert before.data is None
    assert after.errors is None
    assert {"email": "ada@example.com"} in after.data["users"]


async def test_a_change_by_another_process_applies_too(writable_db):
    async with open_system(writable_db.settings) as other:
        before = await writable_db.execute(EMAILS, caller=ED)
        await other.load({"directus_permissions": [{"id": 3, "fields": "id", "policy": uid("policy-Editors")}]})
        after = await writable_db.execute(EMAILS, caller=ED)

    assert before.errors is None
    assert after.data is None


async def test_truncating_the_permissions_applies_too(writable_db):
    if writable_db.database.dialect == "sqlite":
        pytest.skip("SQLite has no TRUNCATE")
    await writable_db.execute(EMAILS, caller=ED)
    connection = await asyncpg.connect(writable_db.settings.database_url)
    await connection.execute("TRUNCATE directus_permissions")
    await connection.close()
    after = await writable_db.execute(EMAILS, caller=ED)

    assert after.data is None


@pytest.mark.counting
async def test_a_write_that_is_rolled_back_changes_no_permissions(writable_db):
    await writable_db.execute(EMAILS, caller=ED)
    with pytest.raises(LookupError):
        await write_and_fail(writable_db, "DELETE FROM directus_permissions")
    statements = writable_db.database.reader.statements
    after = await writable_db.execute(EMAILS, caller=ED)

    assert after.errors is None
    assert writable_db.database.reader.statements == statements + 1


async def test_two_users_who_swap_roles_swap_permissions(writable_db):
    swap = f"""UPDATE directus_users SET role = CASE id WHEN '{uid("ed")}' THEN '{uid("role-Viewer")}'
               ELSE '{uid("role-Editor")}' END WHERE id IN ('{uid("ed")}', '{uid("vi")}')"""
    if writable_db.database.dialect == "postgresql":
        swap = swap.replace("THEN '", "THEN uuid '").replace("ELSE '", "ELSE uuid '").replace("WHEN '", "WHEN uuid '")
    before = [(await writable_db.execute(EMAILS, caller=user)).data is not None for user in (ED, VI)]
    await write(writable_db, swap)
    after = [(await writable_db.execute(EMAILS, caller=user)).data is not None for user in (ED, VI)]

    assert (before, after) == ([True, False], [False, True])


async def test_a_change_of_the_callers_own_row_applies_too(writable_db):
    """A rule on $CURRENT_USER.title follows the title, although no permission changes."""
    await write(
        writable_db,
        """UPDATE directus_permissions SET permissions = '{"title":{"_eq":"$CURRENT_USER.title"}}' WHERE id = 4""",
    )
    before = await writable_db.execute("{ users { title } }", caller=VI)
    await write(writable_db, f"UPDATE directus_users SET title = 'Director' WHERE id = '{uid('vi')}'")
    after = await writable_db.execute("{ users { title } }", caller=VI)

    assert before.data["users"] == [{"title": "Viewer"}]
    assert after.data["users"] == [{"title": "Director"}, {"title": "Director"}]


async def test_permissions_that_change_before_every_statement_are_a_503(writable_db):
    change = "UPDATE directus_policies SET icon = 'x'"
    fetch_one, statements = writable_db.database.reader.fetch_one, 0

    async def change_and_fetch(*arguments):
        nonlocal statements
        statements += 1
        await write(writable_db, change)
        return await fetch_one(*arguments)

    await writable_db.execute(EMAILS, caller=ED)
    writable_db.database.reader.fetch_one = change_and_fetch
    result = await asyncio.wait_for(writable_db.execute(EMAILS, caller=ED), 10)

    assert isinstance(result.errors[0].original_error, ServiceUnavailable)
    assert statements <= 2 * (len(ATTEMPTS_LEFT) + MAX_READ_ATTEMPTS) + 1


async def test_the_token_of_an_ended_session_is_invalid(writable_db):
    session = {
        "token": "a-session-of-eds",
        "user": uid("ed"),
        "expires": "2100-01-01T00:00:00Z",
    }
    await writable_db.load({"directus_sessions": [session]})
    ed = Caller(user=uid("ed"), session="a-session-of-eds")
    before = await writable_db.execute(EMAILS, caller=ed)
    await write(writable_db, "DELETE FROM directus_sessions")
    after = await writable_db.execute(EMAILS, caller=ed)

    assert before.errors is None
    assert isinstance(after.errors[0].original_error, InvalidCredentials)


@pytest.mark.parametrize("user", ["ida", "sue"])
async def test_only_active_users_are_authenticated(readonly_db, user):
    by_token = await readonly_db.execute(EMAILS, caller=caller(user))
    by_id = await readonly_db.execute(EMAILS, caller=Caller(user=uid(user)))
    by_wrong_token = await readonly_db.execute(EMAILS, caller=Caller(token=static_token(user).upper()))

    for result in (by_token, by_id, by_wrong_token):
        assert isinstance(result.errors[0].original_error, InvalidCredentials)


def write_before_next_statement(system, statement):
    """Write `statement` after the next query is planned and before it runs."""
    fetch_one = system.database.reader.fetch_one

    async def write_and_fetch(*arguments):
        system.database.reader.fetch_one = fetch_one
        await write(system, statement)
        return await fetch_one(*arguments)

    system.database.reader.fetch_one = write_and_fetch


NEW_ROLE = f"UPDATE directus_users SET role = '{uid('role-Editor')}' WHERE id = '{uid('nora')}'"
SUSPENDED = f"UPDATE directus_users SET status = 'suspended' WHERE id = '{uid('nora')}'"
NO_ADMIN = f"UPDATE directus_users SET role = NULL WHERE id = '{uid('ada')}'"
PUBLIC_USERS = f"""INSERT INTO directus_permissions (id, policy, collection, action, fields, permissions)
    VALUES (90, '{uid("policy-Public")}', 'directus_users', 'read', 'id', '{{}}')"""
NO_PUBLIC_USERS = "DELETE FROM directus_permissions WHERE id = 90"


@pytest.mark.parametrize(
    ("user", "query", "change", "before", "after"),
    [
        ("nora", "{ roles_me { name } }", NEW_ROLE, "[]", "Editor"),
        ("nora", "{ roles_me { name } }", SUSPENDED, "[]", "Invalid user credentials"),
        ("ada", "{ policies_me_globals { admin_access } }", NO_ADMIN, "True", "Cannot query field"),
        ("ada", "{ server_health }", NO_ADMIN, "responseTime", "'}}"),  # the status alone, ok or warn
        ("ed", "{ server_specs_oas }", REVOCATIONS["the permission is deleted"], "email", "first_name"),
        ("ed", "{ server_specs_graphql }", REVOCATIONS["the permission is deleted"], "email", "first_name"),
        (None, "{ users_me { id } }", NO_PUBLIC_USERS, "None", "Cannot query field"),
    ],
)
async def test_fields_that_read_no_row_use_the_current_permissions(writable_db, user, query, change, before, after):
    await write(writable_db, PUBLIC_USERS)
    for _ in range(3):
        result = await writable_db.execute(query, caller=caller(user))
        assert before in str(result.errors or result.data)
    await write(writable_db, change)

    result = await writable_db.execute(query, caller=caller(user))
    assert after in str(result.errors or result.data)
    assert str(result.errors or result.data) != before
