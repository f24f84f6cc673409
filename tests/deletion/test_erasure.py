"""An erasure leaves nothing that identifies the person anywhere in the database."""

from pathlib import Path

import pytest

from app import mail
from app.core.errors import Forbidden, UnprocessableContent
from app.flows.personal_data import erase_user
from app.repositories.stores.login_attempts import MAIL_KINDS
from tests.base_data import caller, uid
from tests.cli.commands import run_command
from tests.deletion.conftest import ADA, IP, SAM, VI
from tests.deletion.database import content
from tests.writes.conftest import run_sql

PERSONAL_TEXTS = ("vi@example", "viola", IP, "viewer/1", "static-of-vi", "notasecret", "secret-hash", "555-1234")


async def remaining(system) -> list[tuple[str, str]]:
    """Return the personal texts that are left, each with its table."""
    found = await content(system)
    return [(name, text) for name, rows in found.items() for text in PERSONAL_TEXTS if text in repr(rows).lower()]


async def unblock(system) -> None:
    await run_sql(system.settings.database_url, "DELETE FROM contracts; DELETE FROM memberships;")
    await system.directory(ADA)["files"].update_by_query(
        {"filter": {"uploaded_by": {"_eq": VI}}}, {"uploaded_by": None}
    )


@pytest.fixture
async def known_person(person):
    """The same, with a custom field, a revision of the settings, and a counted attempt."""
    url = person.settings.database_url
    await run_sql(url, "ALTER TABLE directus_users ADD COLUMN phone varchar(20);")
    await run_sql(url, f"UPDATE directus_users SET phone = '555-1234', tags = '[\"Viola\"]' WHERE id = '{VI}';")
    await person.directory(ADA)["settings"].upsert_singleton({"project_owner": "vi@Example.com"})
    return person


async def test_an_erased_user_is_deleted_without_a_trace(known_person):
    await unblock(known_person)
    assert {text for _, text in await remaining(known_person)} == set(PERSONAL_TEXTS)
    erasure = await erase_user(known_person.directory(ADA), VI)
    after = await content(known_person)

    assert not erasure.anonymized
    assert await remaining(known_person) == []
    assert VI not in {str(row["id"]) for row in after["directus_users"]}


async def test_a_user_to_whom_rows_must_refer_is_anonymized(known_person):
    erasure = await erase_user(known_person.directory(ADA), VI)
    after = await content(known_person)
    (row,) = (row for row in after["directus_users"] if str(row["id"]) == VI)

    assert erasure.anonymized
    assert await remaining(known_person) == []
    assert (row["email"], row["status"], row["role"]) == (f"{VI}@erased.invalid", "archived", None)
    assert {str(access["user"]) for access in after["directus_access"]} == {"None"}
    assert after["directus_sessions"] == []
    assert {str(contract["Owner"]) for contract in after["contracts"]} == {VI, SAM}
    assert len(after["articles"]) == 3


async def test_other_users_who_refer_to_an_anonymized_user_stay(known_person):
    key = "uuid" if known_person.database.dialect == "postgresql" else "char(36)"
    await run_sql(
        known_person.settings.database_url,
        f"ALTER TABLE directus_users ADD COLUMN manager {key} REFERENCES directus_users (id) ON DELETE CASCADE;"
        f"UPDATE directus_users SET manager = '{VI}' WHERE id = '{SAM}';",
    )
    await erase_user(known_person.directory(ADA), VI)
    after = await content(known_person)

    assert [str(row["manager"]) for row in after["directus_users"] if str(row["id"]) == SAM] == [VI]


@pytest.mark.parametrize("blocked_", [True, False])
async def test_the_audit_log_keeps_that_a_user_was_erased(known_person, blocked_):
    if not blocked_:
        await unblock(known_person)
    await erase_user(known_person.directory(ADA), VI)
    activity = (await content(known_person))["directus_activity"]
    (entry,) = (row for row in activity if row["action"] == "erase")

    assert (entry["collection"], entry["item"], str(entry["user"])) == ("directus_users", VI, uid("ada"))


async def test_a_dry_run_reports_what_the_erasure_does_and_changes_nothing(known_person):
    before = await content(known_person)
    planned = await erase_user(known_person.directory(ADA), VI, dry_run=True)
    unchanged = await content(known_person) == before
    done = await erase_user(known_person.directory(ADA), VI)

    assert unchanged
    assert (planned.references, planned.erased, planned.anonymized) == (done.references, done.erased, done.anonymized)
    assert {"directus_activity", "directus_revisions", "rollcall_outbox", "directus_users"} <= {
        rows.table for rows in done.erased
    }


@pytest.mark.parametrize("must_stay", [True, False])
async def test_the_last_admin_is_not_erased(project, must_stay):
    if must_stay:
        await run_sql(project.settings.database_url, f"INSERT INTO contracts VALUES (9, '{uid('ada')}');")
    before = await content(project)
    with pytest.raises(UnprocessableContent, match="last admin"):
        await erase_user(project.directory(ADA), uid("ada"))

    assert await content(project) == before


@pytest.mark.parametrize(("user", "key"), [("ed", VI), (None, VI), ("ada", uid("nowhere"))])
async def test_only_admins_erase_and_only_users_who_exist(project, user, key):
    with pytest.raises(Forbidden):
        await erase_user(project.directory(caller(user)), key)


def test_counts_of_every_kind_of_mail_are_erased():
    templates = {file.stem for file in Path(mail.__file__).with_name("templates").glob("*.txt")}

    assert set(MAIL_KINDS) == templates - {"mail"}


async def test_the_command_asks_and_says_what_it_did(known_person):
    url = known_person.settings.database_url
    dry = await run_command(url, "users", "erase", "vi@example.com", "--dry-run")
    refused = await run_command(url, "users", "erase", "vi@example.com")
    done = await run_command(url, "users", "erase", "VI@example.com", "--yes")
    again = await run_command(url, "users", "erase", "vi@example.com", "--yes")

    assert (dry.code, dry.out.splitlines()[-1]) == (
        0,
        f"User {VI} would be anonymized, because rows must keep referring to it.",
    )
    assert (refused.code, "Add --yes to erase the user." in refused.err) == (1, True)
    assert (done.code, done.out.splitlines()[-1]) == (
        0,
        f"User {VI} was anonymized, because rows must keep referring to it.",
    )
    assert "contracts.Owner\t2\tkept" in done.out
    assert "directus_sessions.user\t1\tdeleted" in done.out
    assert "vi@" not in done.out.lower()
    assert again.code == 1
