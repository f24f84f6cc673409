"""With more roles than a select should have, pages ask for the name of a role."""

import pytest

from app.studio.pages.users import user_roles
from tests.base_data import uid
from tests.flows.inviters import user_row
from tests.studio.test_user_form import error_at, fields
from tests.studio.test_user_list import emails

EDITOR, VIEWER = uid("role-Editor"), uid("role-Viewer")
FORM = f"/users/{uid('ed')}/edit"


@pytest.fixture(autouse=True)
def many_roles(monkeypatch):
    monkeypatch.setattr(user_roles, "MAX_ROLES", 1)


@pytest.mark.parametrize("role", ["Editor", EDITOR])
async def test_the_list_is_filtered_by_a_name(ada, role):
    page = await ada.get(f"/users?role={role}")

    assert emails(page) == ["ed@example.com", "ida@example.com"]
    assert page.attribute_at("#field-role", "value") == "Editor"
    assert "nora@example.com" in emails(await ada.get("/users?role=No+role"))
    assert (await ada.get("/users?role=No+such+role")).errors == ["role: This value is not valid for this filter."]


async def test_selected_users_get_the_role_with_a_name(ada):
    values = {"ids": [uid("sam")], "action": "role"}

    assert (await ada.post("/users/bulk", {**values, "role": "Viewer"})).status == 303
    assert (await user_row(ada.system, "sam@example.com"))["role"] == VIEWER
    rejected = await ada.post("/users/bulk", {**values, "role": "No such role"})
    assert (rejected.status, rejected.errors) == (400, ["role: There is no such entry."])
    confirmation = await ada.post("/users/bulk", {**values, "matching": "true", "role": "Viewer"})
    assert "“Viewer”?" in confirmation.text_at("h1")
    assert (await ada.post("/users/bulk", {**values, "role": "No role"})).status == 303
    assert (await user_row(ada.system, "sam@example.com"))["role"] is None


async def test_the_form_of_a_user_asks_for_a_name(ada):
    form = fields(await ada.get(FORM))
    assert form["role"] == "Editor"

    assert error_at(await ada.post(FORM, {**form, "role": "No such role"}), "role") == "There is no such entry."
    assert (await ada.post(FORM, form)).status == 303
    assert (await user_row(ada.system, "ed@example.com"))["role"] == EDITOR
    assert (await ada.post(FORM, {**form, "role": "Viewer"})).status == 303
    assert (await user_row(ada.system, "ed@example.com"))["role"] == VIEWER
