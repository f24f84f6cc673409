"""The unique index on emails: created unless there are duplicates, which are reported, and binding for every writer."""

from uuid import uuid4

import pytest
import pytest_asyncio
from sqlalchemy import literal, select, text
from sqlalchemy.exc import IntegrityError

from app.core.errors import RollcallError
from app.db import migrate
from app.db.email_index import select_has_email_index
from app.db.models import User
from app.flows.bootstrap import bootstrap
from app.query.sql_functions import EmailEquals
from app.repositories.commands.accounts import AccountStore
from app.testing import open_system
from tests.base_data import caller, uid
from tests.cli.commands import run_command


async def insert(system, *emails):
    """Insert users by SQL, past every check of Rollcall."""
    async with system.database.transaction() as connection:
        for email in emails:
            values = {"id": str(uuid4()), "email": email}
            await connection.execute(text("INSERT INTO directus_users (id, email) VALUES (:id, :email)"), values)


async def delete(system, *emails):
    async with system.database.transaction() as connection:
        for email in emails:
            await connection.execute(text("DELETE FROM directus_users WHERE email = :email"), {"email": email})


async def change_email(system, user, email):
    async with system.database.transaction() as connection:
        values = {"email": email, "id": uid(user)}
        await connection.execute(text("UPDATE directus_users SET email = :email WHERE id = :id"), values)


async def is_indexed(system):
    async with system.database.transaction() as connection:
        return bool(await connection.scalar(select_has_email_index(system.database.dialect)))


@pytest_asyncio.fixture
async def with_duplicates(writable_db):
    """A database as it was before the index, with Ed's email twice and Vi's three times."""
    await migrate.migrate_down(writable_db.database, "0003")
    await insert(writable_db, "VI@example.com", "Vi@Example.com", "eD@example.com", None, None)
    return writable_db


async def test_a_new_database_has_the_index(writable_db):
    assert await is_indexed(writable_db)


async def test_a_database_with_duplicates_works_without_the_index_and_they_are_reported(with_duplicates):
    outcome = await bootstrap(with_duplicates.database, with_duplicates.settings)

    assert outcome.duplicate_emails == ("ed@example.com", "vi@example.com")
    assert outcome.admin is None
    assert not await is_indexed(with_duplicates)
    assert not await with_duplicates.database.has_email_index()
    rows = await with_duplicates.directory(caller("ada"))["users"].read_by_query({"limit": -1, "fields": ["email"]})
    assert {"VI@example.com", "vi@example.com", "Vi@Example.com"} <= {row["email"] for row in rows}


async def test_duplicates_are_reported_as_long_as_there_are_some(with_duplicates):
    first = await bootstrap(with_duplicates.database, with_duplicates.settings)
    await delete(with_duplicates, "VI@example.com", "eD@example.com")
    second = await bootstrap(with_duplicates.database, with_duplicates.settings)
    await delete(with_duplicates, "Vi@Example.com")
    third = await bootstrap(with_duplicates.database, with_duplicates.settings)
    fourth = await bootstrap(with_duplicates.database, with_duplicates.settings)

    assert [outcome.duplicate_emails for outcome in (first, second, third, fourth)] == [
        ("ed@example.com", "vi@example.com"),
        ("vi@example.com",),
        (),
        (),
    ]
    assert await is_indexed(with_duplicates)


async def test_duplicates_in_the_other_spelling_of_a_domain_are_reported(writable_db):
    for name, email in (("ann", "Info@dömäin.example"), ("ed", "info@xn--dmin-moa0i.example"), ("vi", "ü@a.example")):
        await change_email(writable_db, name, email)
    outcome = await bootstrap(writable_db.database, writable_db.settings)

    assert outcome.duplicate_emails == ("info@dömäin.example", "info@xn--dmin-moa0i.example")
    assert await is_indexed(writable_db)


async def test_a_running_server_notices_that_the_index_was_created(with_duplicates):
    await migrate.migrate_up(with_duplicates.database)
    assert not await with_duplicates.database.has_email_index()
    await delete(with_duplicates, "VI@example.com", "Vi@Example.com", "eD@example.com")
    async with open_system(with_duplicates.settings) as other:
        await bootstrap(other.database, other.settings)

    assert await with_duplicates.database.has_email_index()


async def test_without_the_index_rollcalls_own_writes_are_still_unique(with_duplicates):
    await migrate.migrate_up(with_duplicates.database)
    users = with_duplicates.directory(caller("ada"))["users"]
    for write in (
        users.create_one({"email": "SAM@example.com"}),
        users.update_one(uid("ann"), {"email": "Sam@example.com"}),
    ):
        with pytest.raises(RollcallError) as error:
            await write
        assert error.value.code == "RECORD_NOT_UNIQUE"


async def test_a_user_with_a_duplicate_email_can_be_changed(with_duplicates):
    await migrate.migrate_up(with_duplicates.database)
    users = with_duplicates.directory(caller("ada"))["users"]

    assert await users.update_one(uid("vi"), {"email": "viola@example.com"})
    assert await users.update_one(uid("vi"), {"title": "Seer"})


async def test_the_migration_can_be_reverted_with_and_without_the_index(with_duplicates):
    await migrate.migrate_up(with_duplicates.database)
    await migrate.migrate_down(with_duplicates.database, "0003")
    await delete(with_duplicates, "VI@example.com", "Vi@Example.com", "eD@example.com")
    await migrate.migrate_up(with_duplicates.database)
    assert await is_indexed(with_duplicates)
    await migrate.migrate_down(with_duplicates.database, "0003")

    assert not await is_indexed(with_duplicates)
    await insert(with_duplicates, "VI@example.com")


@pytest.mark.parametrize(
    ("existing", "new"),
    [
        ("vi@example.com", "vi@example.com"),
        ("vi@example.com", "VI@EXAMPLE.COM"),
        ("new.One@example.com", "NEW.oNE@example.com"),
        ("čapek@example.com", "čAPEK@example.com"),
    ],
)
async def test_every_writers_emails_are_unique_whatever_their_case(writable_db, existing, new):
    if not existing.startswith("vi"):
        await insert(writable_db, existing)
    with pytest.raises(IntegrityError):
        await insert(writable_db, new)
    with pytest.raises(IntegrityError):
        await change_email(writable_db, "ed", new)


async def test_the_index_also_folds_letters_beyond_ascii(writable_db):
    if writable_db.database.dialect == "sqlite":
        pytest.skip("SQLite folds ASCII only in an index")
    await insert(writable_db, "čapek@example.com")
    with pytest.raises(IntegrityError):
        await insert(writable_db, "ČAPEK@example.com")


async def test_users_without_an_email_are_no_duplicates(writable_db):
    await insert(writable_db, None, None, "new@example.com", "ne@example.com")

    assert (await bootstrap(writable_db.database, writable_db.settings)).duplicate_emails == ()


async def test_the_bootstrap_command_reports_the_duplicates_and_says_what_to_do(with_duplicates):
    code, out, err = await run_command(with_duplicates.settings.database_url, "bootstrap")

    assert (code, out) == (0, "")
    assert "ignoring case and the spelling of its domain: ed@example.com, vi@example.com." in err
    assert "`rollcall bootstrap` again" in err
    assert "sam@example.com" not in err


EMAILS = ["plain@example.com", "Č.apek@example.com", "\u212aelvin@example.com", "ΣΑΣ@example.com", "İz@example.com"]
SEARCHED = ["PLAIN@example.com", "č.APEK@EXAMPLE.com", "Kelvin@example.com", "KELVIN@example.com", "σας@example.com"]
SEARCHED += ["i̇Z@example.com", "iz@example.com", "capek@example.com", "plain@example.co", "*@example.com", ""]


async def test_an_account_is_found_by_its_email_whatever_its_letters_and_their_case(writable_db):
    await insert(writable_db, *EMAILS)
    accounts = AccountStore(writable_db.services)
    for email in EMAILS + SEARCHED:
        account = await accounts.by_email(email)
        expected = next((stored for stored in EMAILS if stored.lower() == email.lower()), None)
        assert (account and account.email) == expected, email


async def test_sqlite_finds_an_account_by_its_email_without_a_full_scan(writable_db):
    if writable_db.database.dialect != "sqlite":
        pytest.skip("PostgreSQL folds all letters in an index")
    query = select(User.id).where(EmailEquals(User.id, User.email, literal("vi@example.com")))
    plan = writable_db.database.reader.compile(query)
    async with writable_db.database.transaction() as connection:
        steps = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {plan.text}", plan.parameters)
        details = [step[-1] for step in steps]

    assert [step for step in details if "SCAN" in step] == [
        "SCAN directus_users USING INDEX rollcall_users_email_other_letters"
    ]
    assert any("rollcall_users_email_folded" in step for step in details)
