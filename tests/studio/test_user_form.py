"""Creating and editing users: fields by the caller's rights, errors at the fields, only changes are sent."""

import pytest

from tests.base_data import uid
from tests.flows.inviters import user_row
from tests.studio.writers import sign_in_as


def fields(page):
    """The names and values of the form's controls."""
    form = page.html.select_one("form.user-form")
    values = {}
    for control in form.select("[name]"):
        if control.name == "select":
            chosen = control.find("option", selected=True) or control.find("option")
            values[control["name"]] = chosen["value"]
        elif control.name == "textarea":
            values[control["name"]] = control.get_text().removeprefix("\n")
        else:
            values[control["name"]] = control.get("value", "")
    return {name: value for name, value in values.items() if name != "form_token"}


def error_at(page, name):
    error = page.html.find(id=f"error-{name}")
    return error and error.get_text()


async def edit(browser, name, **changes):
    path = f"/users/{uid(name)}/edit"
    return await browser.post(path, {**fields(await browser.get(path)), **changes})


async def test_a_user_is_created_and_its_page_is_shown(ada):
    form = await ada.get(f"/users/new?role={uid('role-Viewer')}")
    assert fields(form)["role"] == uid("role-Viewer")

    page = await ada.post("/users/new", {**fields(form), "first_name": "Zoe", "email": "zoe@example.com"})

    row = await user_row(ada.system, "zoe@example.com")
    assert page.location == f"/admin/users/{row['id']}?notice=user-created"
    assert (row["first_name"], str(row["role"]), row["status"]) == ("Zoe", uid("role-Viewer"), "active")
    assert row["last_name"] is None


async def test_only_changed_fields_are_written(ada):
    path = f"/users/{uid('ed')}/edit"
    form = fields(await ada.get(path))
    await edit(ada, "ed", title="Chief")

    page = await ada.post(path, {**form, "last_name": "Edwards"})

    assert page.location == f"/admin/users/{uid('ed')}?notice=user-saved"
    row = await user_row(ada.system, "ed@example.com")
    assert (row["last_name"], row["title"]) == ("Edwards", "Chief")


async def test_an_emptied_field_becomes_null(ada):
    await edit(ada, "ed", last_name="", role="")

    row = await user_row(ada.system, "ed@example.com")
    assert (row["last_name"], row["role"]) == (None, None)


async def test_saving_without_changes_writes_nothing(ada):
    page = await edit(ada, "ed")

    assert page.location.endswith("?notice=user-saved")
    assert "Changed" not in (await ada.get(f"/users/{uid('ada')}")).text


async def test_a_rejected_form_keeps_what_was_entered_but_no_password(ada):
    page = await edit(ada, "ed", email="not an address", first_name="Edward", password="a new secret, typed")

    assert page.status == 400
    assert error_at(page, "email") == "Enter a complete email address, such as name@example.com."
    assert page.errors[0].startswith("Email: ")
    assert fields(page)["email"] == "not an address"
    assert fields(page)["first_name"] == "Edward"
    assert page.html.h1.get_text() == "Ed Edelman"
    assert "a new secret, typed" not in page.response.text
    saved = await ada.post(f"/users/{uid('ed')}/edit", {**fields(page), "email": "ed@example.com"})
    assert saved.status == 303
    assert (await user_row(ada.system, "ed@example.com"))["first_name"] == "Edward"


async def test_an_email_in_use_is_reported_at_its_field(ada):
    page = await edit(ada, "ed", email="ADA@example.com")

    assert error_at(page, "email") == "This value is already in use. Choose another one."


async def test_a_new_password_works(ada, studio):
    await edit(ada, "vi", password="a better password for vi")

    page = await studio.post("/sign-in", {"email": "vi@example.com", "password": "a better password for vi"})
    assert page.status == 303


async def test_a_form_offers_the_fields_that_its_caller_may_write(studio, members):
    wes = await sign_in_as(studio, members, "wes")
    new, form = await wes.get("/users/new"), await wes.get(f"/users/{uid('will')}/edit")

    assert set(fields(new)) == {"original", "first_name", "title", "email", "password", "role"}
    assert fields(new)["title"] == "New here"
    assert fields(new)["role"] == uid("role-Writer")
    assert set(fields(form)) >= {"original", "first_name", "title", "status"}
    page = await wes.post("/users/new", {**fields(new), "email": "new@example.com"})
    assert page.status == 303
    assert (await user_row(members, "new@example.com"))["title"] == "New here"
    saved = await wes.post(f"/users/{uid('will')}/edit", {**fields(form), "title": "Poet"})
    assert saved.status == 303
    assert (await user_row(members, "will@example.com"))["title"] == "Poet"


@pytest.mark.parametrize("path", ["/users/new", f"/users/{uid('ed')}/edit"])
async def test_forms_are_refused_as_by_the_api(vi, path):
    assert (await vi.get(path)).status == 403
    assert (await vi.post(path, {"first_name": "X", "original": "{}"})).status == 403


async def test_a_field_that_was_not_offered_is_not_written(ada):
    page = await edit(ada, "ed", token="a token that is typed in", id=uid("ada"))

    assert page.status == 303
    assert (await user_row(ada.system, "ed@example.com"))["token"] == "static-of-ed"
