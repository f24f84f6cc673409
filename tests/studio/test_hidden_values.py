"""A value that a caller may not see is never shown as one that does not exist."""

import pytest_asyncio

from app.flows.import_export import import_rows
from tests.base_data import IS_ACTIVE, make_access, uid
from tests.flows.inviters import update_user
from tests.http.clients import SECRET
from tests.studio.grants import grant

FACTS = "id,first_name,last_name,email,status"


@pytest_asyncio.fixture
async def app_user(vi):
    """The Studio, visited by Vi with app access, who reads the roles, the last access and the like only of herself."""
    access = {"directus_access": [make_access("App", role="Viewer")]}
    await import_rows(vi.system.database, access, replace=False)
    await grant(vi.system, "read", "users", FACTS, permissions=IS_ACTIVE)
    await update_user(vi.system, "ed", tfa_secret=SECRET)
    return vi


def headers(page):
    return [" ".join(cell.get_text().split()).rstrip("▲▼ ") for cell in page.html.select("thead th")]


async def test_fields_of_the_own_row_only_are_no_columns_and_no_filters_of_the_list(app_user):
    page = await app_user.get("/users?columns=name&columns=role&columns=email&columns=last_access&columns=status")

    assert headers(page) == ["Name", "Email", "Status"]
    assert "ed@example.com" in page.text
    assert "No role" not in page.text
    assert not page.html.select("select[name=role], select[name=last_access]")


async def test_a_hidden_role_is_not_called_none(app_user):
    await grant(app_user.system, "read", "users", "role", permissions={"id": {"_eq": uid("ada")}})
    await grant(app_user.system, "read", "roles", "id,name")

    page = await app_user.get("/users?columns=name&columns=role")

    rows = {
        row.th.get_text(" ", strip=True).split()[-1]: row.td.get_text(" ", strip=True)
        for row in page.html.select("tbody tr")
    }
    assert rows["Ada"] == "Administrator"
    assert rows["Edelman"].endswith("Empty, or not visible to you")
    assert not page.html.select("select[name=role] option[value=none]")
    assert (await app_user.get("/users?role=none")).errors == ["role: This value is not valid for this filter."]


async def test_hidden_roles_of_users_are_not_called_none(app_user):
    await grant(app_user.system, "read", "users", "*")

    page = await app_user.get("/users?columns=name&columns=role")

    assert "Viewer" in page.text
    assert "No role" not in page.html.find(id="results").get_text()


async def test_hidden_facts_of_a_user_are_not_denied(app_user):
    page = await app_user.get(f"/users/{uid('ed')}")

    assert page.status == 200
    for statement in ("No role", "not set up", "No activity is recorded", "no policies"):
        assert statement not in page.text, statement
    assert "There is no activity that you may see." in page.text


async def test_own_facts_are_stated(app_user):
    await update_user(app_user.system, "vi", tfa_secret=None)
    page = await app_user.get(f"/users/{app_user.user}")

    assert "Two-factor authentication: not set up" in page.text
    assert "Viewer" in page.text


async def test_users_are_counted_by_role_only_for_those_who_see_all_roles(app_user):
    page = await app_user.get("/roles")

    assert page.status == 200
    assert "Viewer" in page.text
    assert "have no role" not in page.text
    assert "user" not in page.text_at(".role-tree")
    await grant(app_user.system, "read", "users", "id,role")
    assert "have no role" in (await app_user.get("/roles")).text


async def test_the_form_says_which_values_are_hidden(app_user):
    await grant(app_user.system, "update", "users", "title,location")
    await grant(app_user.system, "read", "users", "location", permissions={"location": {"_nnull": True}})

    page = await app_user.get(f"/users/{uid('ed')}/edit")

    assert page.text_at("#hint-location") == "The current value is hidden from you."
