"""With more roles than a select should have, pages ask for the name of a role."""

import pytest

from app.studio import role_choice
from tests.base_data import uid
from tests.flows.inviters import user_row
from tests.studio.test_user_form import error_at, fields
from tests.studio.test_user_list import emails

EDITOR, VIEWER = uid("role-Editor"), uid("role-Viewer")
FORM = f"/users/{uid('ed')}/edit"


@pytest.fixture(autouse=True)
def many_roles(monkeypatch):
    monkeypatch.setattr(role_choice, "MAX_ROLES", 1)


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


async def test_the_form_of_a_role_asks_for_the_name_of_its_parent(ada):
    path = f"/roles/{VIEWER}/edit"
    assert (await ada.get(path)).attribute_at("#field-parent", "value") == ""

    rejected = await ada.post(path, {"name": "Viewer", "parent": "No such role"})
    assert (rejected.status, rejected.errors) == (422, ["Parent: There is no such entry."])
    assert rejected.attribute_at("#field-parent", "value") == "No such role"
    assert (await ada.post(path, {"name": "Viewer", "parent": "Editor"})).status == 303
    assert (await ada.get(path)).attribute_at("#field-parent", "value") == "Editor"
    below_itself = await ada.post(f"/roles/{EDITOR}/edit", {"name": "Editor", "parent": "Viewer"})
    assert below_itself.status == 400
    assert (await ada.post(path, {"name": "Viewer", "parent": ""})).status == 303
    assert (await ada.get(path)).attribute_at("#field-parent", "value") == ""


async def test_the_invitation_asks_for_the_name_of_a_role(ada):
    assert (await ada.get(f"/users/invite?role={EDITOR}")).attribute_at("#field-role", "value") == "Editor"

    for text, message in (("", "Role: Choose a role."), ("No such role", "Role: There is no such entry.")):
        rejected = await ada.post("/users/invite", {"role": text, "emails": "new@example.com"})
        assert (rejected.status, rejected.errors) == (422, [message])
        assert rejected.attribute_at("#field-role", "value") == text
    invited = await ada.post("/users/invite", {"role": "Viewer", "emails": "new@example.com"})
    assert (invited.status, invited.errors) == (200, [])  # a page with the link, as no mail is sent
    assert (await user_row(ada.system, "new@example.com"))["role"] == VIEWER


async def test_a_policy_is_attached_to_the_role_with_a_name(ada):
    path = f"/policies/{uid('policy-Editors')}"
    suggested = [option["value"] for option in (await ada.get(path)).html.select("#suggestions-role option")]
    assert "Editor" not in suggested  # it holds the policy

    rejected = await ada.post(f"{path}/attach", {"holder": "role", "role": "No such role"})
    assert (rejected.status, error_at(rejected, "role")) == (422, "There is no such entry.")
    assert rejected.attribute_at("#field-role", "value") == "No such role"
    assert (await ada.post(f"{path}/attach", {"holder": "role", "role": "Viewer"})).status == 303
    assert (await ada.get(path)).has_link(f"/admin/roles/{VIEWER}")
