"""The page that asks before a user is deleted: what refers to the user, and to whom it may move."""

import pytest

from app.core.caller import SYSTEM
from tests.base_data import uid
from tests.flows.inviters import user_row
from tests.writes.conftest import run_sql

PAGE = f"/users/{uid('kit')}/delete"


@pytest.fixture
async def file(ada):
    """A file that Kit uploaded."""
    values = {"storage": "local", "filename_download": "a.txt", "uploaded_by": uid("kit")}
    return await ada.system.directory(SYSTEM)["files"].create_one(values)


@pytest.fixture
async def contract(ada):
    """A row of a project's table that keeps Kit from being deleted."""
    url, key = ada.system.settings.database_url, "uuid" if ada.system.database.dialect == "postgresql" else "char(36)"
    await run_sql(url, f"CREATE TABLE contracts (id integer PRIMARY KEY, owner {key} REFERENCES directus_users (id));")
    await run_sql(url, f"INSERT INTO contracts VALUES (1, '{uid('kit')}');")
    yield
    await run_sql(url, "DROP TABLE contracts;")


def cells(page):
    return [[cell.get_text() for cell in row.select("td")] for row in page.html.select("main tbody tr")]


async def test_the_page_lists_what_refers_to_the_user(ada, file, contract):
    page = await ada.get(PAGE)

    assert ["directus_files", "uploaded_by", "1", "no longer name the user"] in cells(page)
    assert ["contracts", "owner", "1", "prevent the deletion"] in cells(page)
    assert page.html.select_one("#field-reassign_to")
    assert await user_row(ada.system, "kit@example.com")


async def test_entries_move_to_the_user_that_the_form_names(ada, file, contract):
    page = await ada.post(PAGE, {"reassign_to": "ED@example.com"})
    row = await ada.system.directory(SYSTEM)["files"].read_one(file, {"fields": ["uploaded_by.email"]})

    assert page.location == "/admin/users?notice=user-deleted"
    assert row == {"uploaded_by": {"email": "ed@example.com"}}


@pytest.mark.parametrize("target", ["no-one@example.com", "ed@example", "Edelman", uid("nowhere")])
async def test_a_target_that_is_no_single_user_is_an_error_at_the_field(ada, file, target):
    page = await ada.post(PAGE, {"reassign_to": target})

    assert page.status == 400
    assert page.html.select_one("#error-reassign_to").get_text() == "Enter the email address or the id of another user."
    assert page.html.select_one("#field-reassign_to")["value"] == target
    assert await user_row(ada.system, "kit@example.com")


async def test_a_deletion_that_is_prevented_says_by_what_and_changes_nothing(ada, file, contract):
    page = await ada.post(PAGE)
    row = await ada.system.directory(SYSTEM)["files"].read_one(file, {"fields": ["uploaded_by"]})

    assert page.status == 400
    assert "contracts.owner (1)" in page.errors[0]
    assert row == {"uploaded_by": uid("kit")}


async def test_several_users_are_deleted_with_their_entries_moved(ada, file):
    form = {"action": "delete", "ids": [uid("kit")], "state": ""}
    page = await ada.post("/users/bulk", form)
    assert ["directus_files", "uploaded_by", "1", "no longer name the user"] in cells(page)
    done = await ada.post("/users/bulk", {**form, "confirmed": "true", "reassign_to": "ed@example.com"})
    row = await ada.system.directory(SYSTEM)["files"].read_one(file, {"fields": ["uploaded_by"]})

    assert "users-deleted" in done.location
    assert row == {"uploaded_by": uid("ed")}


@pytest.mark.parametrize("name", ["ed", "nowhere"])
async def test_users_who_may_not_be_deleted_look_like_missing_ones(vi, name):
    page = await vi.get(f"/users/{uid(name)}/delete")

    assert page.status == 403
    assert "Not available" in page.text
