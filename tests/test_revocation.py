"""A right that is gone is gone at the next statement, and one that is new is there: whoever wrote it, and however."""

import asyncio

import asyncpg
import pytest
from sqlalchemy import text

from app.core.caller import Caller
from app.core.errors import InvalidCredentials, ServiceUnavailable
from app.graphql.plans.queries import MAX_ATTEMPTS
from app.repositories.engine.reading import MAX_READ_ATTEMPTS
from app.testing import open_system
from tests.world import caller, static_token, uid

EMAILS = "{ users(limit: -1) { email } }"
ED, VI = caller("ed"), caller("vi")

WAYS_TO_LOSE = {
    "the permission is deleted": "DELETE FROM directus_permissions WHERE id = 3",
    "the permission loses the field": "UPDATE directus_permissions SET fields = 'id' WHERE id = 3",
    "the access row is deleted": f"DELETE FROM directus_access WHERE policy = '{uid('policy-Editors')}'",
    "the role is changed": f"UPDATE directus_users SET role = '{uid('role-Viewer')}' WHERE id = '{uid('ed')}'",
    "the policy is bound to a network": (
        f"UPDATE directus_policies SET ip_access = '10.0.0.0/8' WHERE id = '{uid('policy-Editors')}'"
    ),
}
WAYS_TO_GO = {
    "the user is suspended": f"UPDATE directus_users SET status = 'suspended' WHERE id = '{uid('ed')}'",
    "the static token is changed": f"UPDATE directus_users SET token = 'another' WHERE id = '{uid('ed')}'",
    "the user is deleted": f"DELETE FROM directus_users WHERE id = '{uid('ed')}'",
}


async def write(system, statement):
    async with system.database.transaction() as connection:
        await connection.execute(text(statement))


async def write_and_fail(system, statement):
    async with system.database.transaction() as connection:
        await connection.execute(text(statement))
        raise LookupError


@pytest.mark.parametrize("way", WAYS_TO_LOSE)
async def test_a_right_that_is_taken_away_is_gone_at_the_next_question(writable_db, way):
    before = await writable_db.execute(EMAILS, caller=ED)
    await write(writable_db, WAYS_TO_LOSE[way])
    after = await writable_db.execute(EMAILS, caller=ED)

    assert before.errors is None
    assert after.data is None
    assert "Cannot query field" in after.errors[0].message


@pytest.mark.parametrize("way", WAYS_TO_GO)
async def test_somebody_who_is_shut_out_is_shut_out_at_once(writable_db, way):
    await writable_db.execute(EMAILS, caller=ED)
    await write(writable_db, WAYS_TO_GO[way])
    after = await writable_db.execute(EMAILS, caller=ED)

    assert after.data is None
    assert isinstance(after.errors[0].original_error, InvalidCredentials)


@pytest.mark.parametrize("way", WAYS_TO_LOSE)
async def test_a_right_taken_away_between_planning_and_execution_is_not_used(writable_db, way):
    await writable_db.execute(EMAILS, caller=ED)
    between(writable_db, WAYS_TO_LOSE[way])
    after = await writable_db.execute(EMAILS, caller=ED)

    assert after.data is None
    assert "Cannot query field" in after.errors[0].message


async def test_a_right_just_granted_is_never_refused_from_memory(writable_db):
    refused = await writable_db.execute(EMAILS, caller=VI)
    await write(writable_db, "UPDATE directus_permissions SET fields = 'id,email' WHERE id = 4")
    granted = await writable_db.execute(EMAILS, caller=VI)

    assert refused.data is None
    assert granted.errors is None
    assert {"email": "ada@example.com"} in granted.data["users"]


async def test_another_process_counts_as_much_as_our_own(writable_db):
    async with open_system(writable_db.settings) as other:
        before = await writable_db.execute(EMAILS, caller=ED)
        await other.load({"directus_permissions": [{"id": 3, "fields": "id", "policy": uid("policy-Editors")}]})
        after = await writable_db.execute(EMAILS, caller=ED)

    assert before.errors is None
    assert after.data is None


async def test_truncating_the_permissions_counts_too(writable_db):
    if writable_db.database.dialect == "sqlite":
        pytest.skip("SQLite has no TRUNCATE")
    await writable_db.execute(EMAILS, caller=ED)
    connection = await asyncpg.connect(writable_db.settings.database_url)
    await connection.execute("TRUNCATE directus_permissions")
    await connection.close()
    after = await writable_db.execute(EMAILS, caller=ED)

    assert after.data is None


@pytest.mark.counting
async def test_a_write_that_is_rolled_back_changes_nobodys_rights(writable_db):
    await writable_db.execute(EMAILS, caller=ED)
    with pytest.raises(LookupError):
        await write_and_fail(writable_db, "DELETE FROM directus_permissions")
    asked = writable_db.database.reader.statements
    after = await writable_db.execute(EMAILS, caller=ED)

    assert after.errors is None
    assert writable_db.database.reader.statements == asked + 1


async def test_two_who_swap_their_roles_swap_what_they_see(writable_db):
    swap = f"""UPDATE directus_users SET role = CASE id WHEN '{uid("ed")}' THEN '{uid("role-Viewer")}'
               ELSE '{uid("role-Editor")}' END WHERE id IN ('{uid("ed")}', '{uid("vi")}')"""
    if writable_db.database.dialect == "postgresql":
        swap = swap.replace("THEN '", "THEN uuid '").replace("ELSE '", "ELSE uuid '").replace("WHEN '", "WHEN uuid '")
    before = [(await writable_db.execute(EMAILS, caller=who)).data is not None for who in (ED, VI)]
    await write(writable_db, swap)
    after = [(await writable_db.execute(EMAILS, caller=who)).data is not None for who in (ED, VI)]

    assert (before, after) == ([True, False], [False, True])


async def test_what_was_read_of_oneself_is_read_again(writable_db):
    """A rule on $CURRENT_USER.title follows the title, without any right having changed."""
    await write(
        writable_db,
        """UPDATE directus_permissions SET permissions = '{"title":{"_eq":"$CURRENT_USER.title"}}' WHERE id = 4""",
    )
    before = await writable_db.execute("{ users { title } }", caller=VI)
    await write(writable_db, f"UPDATE directus_users SET title = 'Director' WHERE id = '{uid('vi')}'")
    after = await writable_db.execute("{ users { title } }", caller=VI)

    assert before.data["users"] == [{"title": "Viewer"}]
    assert after.data["users"] == [{"title": "Director"}, {"title": "Director"}]


async def test_rights_that_never_hold_still_are_a_503_and_not_an_answer(writable_db):
    renew = "UPDATE directus_policies SET icon = 'x'"
    run, told = writable_db.database.reader.fetch_one, 0

    async def restless(*asked):
        nonlocal told
        told += 1
        await write(writable_db, renew)
        return await run(*asked)

    await writable_db.execute(EMAILS, caller=ED)
    writable_db.database.reader.fetch_one = restless
    result = await asyncio.wait_for(writable_db.execute(EMAILS, caller=ED), 10)

    assert isinstance(result.errors[0].original_error, ServiceUnavailable)
    assert told <= 2 * (MAX_ATTEMPTS + MAX_READ_ATTEMPTS) + 1


async def test_a_session_that_ended_takes_its_token_with_it(writable_db):
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


@pytest.mark.parametrize("who", ["ida", "sue"])
async def test_only_active_users_are_anybody(readonly_db, who):
    by_token = await readonly_db.execute(EMAILS, caller=caller(who))
    by_claim = await readonly_db.execute(EMAILS, caller=Caller(user=uid(who)))
    by_guess = await readonly_db.execute(EMAILS, caller=Caller(token=static_token(who).upper()))

    for result in (by_token, by_claim, by_guess):
        assert isinstance(result.errors[0].original_error, InvalidCredentials)


def between(system, statement):
    """Has `statement` written after the next plan is made, before it is run."""
    run = system.database.reader.fetch_one

    async def late(*planned):
        system.database.reader.fetch_one = run
        await write(system, statement)
        return await run(*planned)

    system.database.reader.fetch_one = late


TO_ROLE = f"UPDATE directus_users SET role = '{uid('role-Editor')}' WHERE id = '{uid('nora')}'"
SUSPENDED = f"UPDATE directus_users SET status = 'suspended' WHERE id = '{uid('nora')}'"
NO_ADMIN = f"UPDATE directus_users SET role = NULL WHERE id = '{uid('ada')}'"
SHOWN = f"""INSERT INTO directus_permissions (id, policy, collection, action, fields, permissions)
    VALUES (90, '{uid("policy-Public")}', 'directus_users', 'read', 'id', '{{}}')"""
NO_LONGER = "DELETE FROM directus_permissions WHERE id = 90"


@pytest.mark.parametrize(
    ("who", "asked", "change", "before", "after"),
    [
        ("nora", "{ roles_me { name } }", TO_ROLE, "[]", "Editor"),
        ("nora", "{ roles_me { name } }", SUSPENDED, "[]", "Invalid user credentials"),
        ("ada", "{ policies_me_globals { admin_access } }", NO_ADMIN, "True", "Cannot query field"),
        ("ada", "{ server_health }", NO_ADMIN, "responseTime", "ok"),
        ("ed", "{ server_specs_oas }", WAYS_TO_LOSE["the permission is deleted"], "email", "first_name"),
        ("ed", "{ server_specs_graphql }", WAYS_TO_LOSE["the permission is deleted"], "email", "first_name"),
        (None, "{ users_me { id } }", NO_LONGER, "None", "Cannot query field"),
    ],
)
async def test_what_is_read_from_no_row_is_judged_by_the_rights_of_the_moment(
    writable_db, who, asked, change, before, after
):
    await write(writable_db, SHOWN)
    for _ in range(3):
        told = await writable_db.execute(asked, caller=caller(who))
        assert before in str(told.errors or told.data)
    await write(writable_db, change)

    told = await writable_db.execute(asked, caller=caller(who))
    assert after in str(told.errors or told.data)
    assert str(told.errors or told.data) != before
