"""The index that keeps e-mail addresses apart: made once nothing is in its way, named what is, and unbreakable then."""

from uuid import uuid4

import pytest
import pytest_asyncio
from sqlalchemy import literal, select, text
from sqlalchemy.exc import IntegrityError

from app.core.errors import RollcallError
from app.db import migrate
from app.db.email_index import has_email_index
from app.db.models import User
from app.flows.bootstrap import bootstrap
from app.query.sql_functions import EmailEquals
from app.repositories.commands.accounts import AccountStore
from app.testing import open_system
from tests.world import caller, uid
from tests.writes.test_user_admin import rollcall


async def insert(system, *addresses):
    """Past everything that looks for itself."""
    async with system.database.transaction() as connection:
        for address in addresses:
            values = {"id": str(uuid4()), "email": address}
            await connection.execute(text("INSERT INTO directus_users (id, email) VALUES (:id, :email)"), values)


async def remove(system, *addresses):
    async with system.database.transaction() as connection:
        for address in addresses:
            await connection.execute(text("DELETE FROM directus_users WHERE email = :email"), {"email": address})


async def move(system, whom, address):
    async with system.database.transaction() as connection:
        moved = {"email": address, "id": uid(whom)}
        await connection.execute(text("UPDATE directus_users SET email = :email WHERE id = :id"), moved)


async def is_kept(system):
    async with system.database.transaction() as connection:
        return await connection.run_sync(has_email_index)


@pytest_asyncio.fixture
async def doubled(writable_db):
    """A database as it was before the index, in which Vi and Ed are there twice, and Vi even three times."""
    await migrate.migrate_down(writable_db.database, "0003")
    await insert(writable_db, "VI@example.com", "Vi@Example.com", "eD@example.com", None, None)
    return writable_db


async def test_a_new_database_has_the_index(writable_db):
    assert await is_kept(writable_db)


async def test_what_holds_doubles_goes_on_without_the_index_and_names_them(doubled):
    made = await bootstrap(doubled.database, doubled.settings)

    assert made.duplicate_emails == ("ed@example.com", "vi@example.com")
    assert made.admin is None
    assert not await is_kept(doubled)
    assert not await doubled.database.has_email_index()
    rows = await doubled.directory(caller("ada"))["users"].read_by_query({"limit": -1, "fields": ["email"]})
    assert {"VI@example.com", "vi@example.com", "Vi@Example.com"} <= {row["email"] for row in rows}


async def test_doubles_are_named_as_long_as_there_are_some(doubled):
    first = await bootstrap(doubled.database, doubled.settings)
    await remove(doubled, "VI@example.com", "eD@example.com")
    second = await bootstrap(doubled.database, doubled.settings)
    await remove(doubled, "Vi@Example.com")
    third = await bootstrap(doubled.database, doubled.settings)
    fourth = await bootstrap(doubled.database, doubled.settings)

    assert [made.duplicate_emails for made in (first, second, third, fourth)] == [
        ("ed@example.com", "vi@example.com"),
        ("vi@example.com",),
        (),
        (),
    ]
    assert await is_kept(doubled)


async def test_a_server_that_is_running_learns_of_the_index(doubled):
    await migrate.migrate_up(doubled.database)
    assert not await doubled.database.has_email_index()
    await remove(doubled, "VI@example.com", "Vi@Example.com", "eD@example.com")
    async with open_system(doubled.settings) as other:
        await bootstrap(other.database, other.settings)

    assert await doubled.database.has_email_index()


async def test_without_the_index_whoever_writes_here_is_still_kept_apart(doubled):
    await migrate.migrate_up(doubled.database)
    users = doubled.directory(caller("ada"))["users"]
    for doing in (
        users.create_one({"email": "SAM@example.com"}),
        users.update_one(uid("ann"), {"email": "Sam@example.com"}),
    ):
        with pytest.raises(RollcallError) as refusal:
            await doing
        assert refusal.value.code == "RECORD_NOT_UNIQUE"


async def test_whoever_has_a_doubled_address_can_be_given_another(doubled):
    await migrate.migrate_up(doubled.database)
    users = doubled.directory(caller("ada"))["users"]

    assert await users.update_one(uid("vi"), {"email": "viola@example.com"})
    assert await users.update_one(uid("vi"), {"title": "Seer"})


async def test_the_index_can_be_taken_away_whether_it_is_there_or_not(doubled):
    await migrate.migrate_up(doubled.database)
    await migrate.migrate_down(doubled.database, "0003")
    await remove(doubled, "VI@example.com", "Vi@Example.com", "eD@example.com")
    await migrate.migrate_up(doubled.database)
    assert await is_kept(doubled)
    await migrate.migrate_down(doubled.database, "0003")

    assert not await is_kept(doubled)
    await insert(doubled, "VI@example.com")


@pytest.mark.parametrize(
    ("there", "new"),
    [
        ("vi@example.com", "vi@example.com"),
        ("vi@example.com", "VI@EXAMPLE.COM"),
        ("new.One@example.com", "NEW.oNE@example.com"),
        ("čapek@example.com", "čAPEK@example.com"),
    ],
)
async def test_no_two_users_have_one_address_whatever_its_case_and_whoever_writes_them(writable_db, there, new):
    if not there.startswith("vi"):
        await insert(writable_db, there)
    with pytest.raises(IntegrityError):
        await insert(writable_db, new)
    with pytest.raises(IntegrityError):
        await move(writable_db, "ed", new)


async def test_letters_beyond_ascii_are_folded_by_the_index_too(writable_db):
    if writable_db.database.dialect == "sqlite":
        pytest.skip("SQLite folds ASCII only in an index")
    await insert(writable_db, "čapek@example.com")
    with pytest.raises(IntegrityError):
        await insert(writable_db, "ČAPEK@example.com")


async def test_nobody_is_in_the_way_of_others_without_an_address(writable_db):
    await insert(writable_db, None, None, "new@example.com", "ne@example.com")

    assert (await bootstrap(writable_db.database, writable_db.settings)).duplicate_emails == ()


async def test_the_command_line_names_the_doubles_and_says_what_to_do(doubled):
    code, out, err = await rollcall(doubled.settings.database_url, "bootstrap")

    assert (code, out) == (0, "")
    assert "Several users share an address, whatever its case: ed@example.com, vi@example.com." in err
    assert "bootstrap again" in err
    assert "sam@example.com" not in err


ADDRESSES = ["plain@example.com", "Č.apek@example.com", "\u212aelvin@example.com", "ΣΑΣ@example.com", "İz@example.com"]
SHOWN = ["PLAIN@example.com", "č.APEK@EXAMPLE.com", "Kelvin@example.com", "KELVIN@example.com", "σας@example.com"]
SHOWN += ["i̇Z@example.com", "iz@example.com", "capek@example.com", "plain@example.co", "*@example.com", ""]


async def test_whoever_has_an_address_is_found_whatever_the_letters_and_their_case(writable_db):
    await insert(writable_db, *ADDRESSES)
    accounts = AccountStore(writable_db.services)
    for shown in ADDRESSES + SHOWN:
        found = await accounts.by_email(shown)
        assert (found and found.email) == next((one for one in ADDRESSES if one.lower() == shown.lower()), None), shown


async def test_sqlite_looks_at_nobody_else_to_find_whose_address_it_is(writable_db):
    if writable_db.database.dialect != "sqlite":
        pytest.skip("PostgreSQL folds all letters in an index")
    asked = select(User.id).where(EmailEquals(User.id, User.email, literal("vi@example.com")))
    plan = writable_db.database.reader.compile(asked)
    async with writable_db.database.transaction() as connection:
        steps = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {plan.text}", plan.parameters)
        told = [step[-1] for step in steps]

    assert [step for step in told if "SCAN" in step] == [
        "SCAN directus_users USING INDEX rollcall_users_email_other_letters"
    ]
    assert any("rollcall_users_email_folded" in step for step in told)
