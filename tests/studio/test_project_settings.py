"""The settings of the project: who may change which, errors at the fields, the password policy, and the logo."""

import logging

import pytest
from sqlalchemy import select

from app.db.models import File
from app.db.models import Settings as ProjectSettings
from app.studio.pages.settings.password_policies import PRESETS
from tests.base_data import uid
from tests.files.uploaders import HTML, SVG, png
from tests.flows.inviters import update_settings
from tests.studio.grants import grant

EXAMPLE = "Tr0ub4dor & more!"
BACKTRACKING = "/^(a|a)*$/"
EVERY_FIELD = {
    "project_name": "Roster",
    "project_color": "#a03060",
    "public_note": "Ask the office.",
    "default_language": "de",
    "default_appearance": "dark",
    "public_registration": "true",
    "public_registration_role": uid("role-Viewer"),
    "public_registration_email_filter": '{"email": {"_ends_with": "@example.com"}}',
    "password_preset": "weak",
    "auth_login_attempts": "7",
}


async def stored(system):
    async with system.database.transaction() as connection:
        columns = [column.label(column.key) for column in ProjectSettings.__table__.c]
        return (await connection.execute(select(*columns))).mappings().one()


def values_of(page):
    """The entries of the form, as a browser submits them."""
    form = page.html.select_one("form.settings")
    values = {}
    for control in form.find_all(["input", "textarea", "select"]):
        if control.name == "select":
            chosen = control.find("option", selected=True)
            values[control["name"]] = chosen["value"] if chosen else control.option["value"]
        elif control.name == "textarea":
            values[control["name"]] = control.get_text().strip("\n")
        elif control.get("type") not in ("checkbox", "radio") or control.has_attr("checked"):
            values[control["name"]] = control.get("value", "")
    return values


async def test_an_administrator_changes_every_setting(ada, members):
    page = await ada.post("/settings", EVERY_FIELD)

    assert page.location == "/admin/settings?notice=settings-saved"
    row = await stored(members)
    assert row["project_name"] == "Roster"
    assert row["project_color"] == "#a03060"
    assert row["public_registration"] is True
    assert row["public_registration_verify_email"] is False
    assert row["public_registration_role"] == uid("role-Viewer")
    assert row["public_registration_email_filter"] == {"email": {"_ends_with": "@example.com"}}
    assert row["auth_password_policy"] == PRESETS["weak"]
    assert row["auth_login_attempts"] == 7
    changed = await ada.get("/settings")
    assert "Roster" in changed.html.select_one(".project-name").get_text()
    assert changed.html.find("link", href=lambda href: href and href.endswith("theme-a03060.css"))


async def test_saving_an_unchanged_form_changes_nothing(ada, members):
    await update_settings(members, auth_password_policy="/^.{9,}$/", public_registration_email_filter={"id": {}})
    before = await stored(members)
    page = await ada.post("/settings", values_of(await ada.get("/settings")))

    assert page.status == 303
    assert await stored(members) == before


async def test_emptied_fields_are_removed(ada, members):
    await ada.post("/settings", EVERY_FIELD)
    emptied = dict.fromkeys(EVERY_FIELD, "") | {"password_preset": "none", "project_color": "#6644ff"}
    kept = {"default_language": "de", "default_appearance": "dark"}
    page = await ada.post("/settings", {**emptied, **kept})

    assert page.status == 303, page.errors
    row = await stored(members)
    assert row["project_name"] == "Directus"
    nullable = ("public_note", "public_registration_role", "public_registration_email_filter")
    assert [row[name] for name in (*nullable, "auth_password_policy", "auth_login_attempts")] == [None] * 5


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("project_name", "x" * 101, "This value is too long. Enter a shorter one."),
        ("project_color", "red", "Enter a color as six hexadecimal digits, such as #6644ff."),
        ("auth_login_attempts", "many", "Enter a whole number, or nothing for no limit."),
        ("public_registration_email_filter", '{\n "email": ', "there is an error in line 2, column"),
        ("public_registration_email_filter", "[]", "Enter a JSON object"),
        ("public_registration_email_filter", '{"no_such_field": {"_eq": 1}}', "a field that does not exist"),
        ("public_registration_email_filter", '{"email": {"_no": 1}}', "_no"),
        ("auth_password_policy", "/(/", "This is not a regular expression"),
        ("auth_password_policy", "x" * 101, "This value is too long. Enter a shorter one."),
    ],
)
async def test_an_error_is_reported_at_its_field_and_nothing_is_stored(ada, members, field, value, message):
    before = await stored(members)
    entries = {**EVERY_FIELD, "password_preset": "custom", "auth_password_policy": "/^.{9,}$/"}
    page = await ada.post("/settings", {**entries, field: value})

    assert 400 <= page.status <= 422
    assert message in page.html.find(id=f"error-{field}").get_text()
    assert len(page.errors) == 1
    assert values_of(page)[field] == value
    assert values_of(page)["public_note"] == "Ask the office."
    assert await stored(members) == before


async def test_a_user_without_rights_is_offered_no_settings(vi):
    assert (await vi.get("/settings")).status == 403
    assert (await vi.post("/settings", EVERY_FIELD)).status == 403
    assert (await vi.post("/settings/try-password", {"tried_password": "x"})).status == 403
    assert (await vi.upload("/settings/logo", "project_logo", "a.png", png())).status == 403
    assert not (await vi.get()).has_link("/admin/settings")


async def test_a_limited_user_changes_only_the_permitted_settings(vi, members):
    await grant(members, "read", "settings", "id,project_name,public_note,project_color")
    await grant(members, "update", "settings", "public_note,project_color,auth_login_attempts")
    page = await vi.get("/settings")

    assert values_of(page).keys() == {"form_token", "public_note", "project_color"}
    saved = await vi.post("/settings", EVERY_FIELD)
    assert saved.status == 303, saved.text
    row = await stored(members)
    assert row["public_note"] == "Ask the office."
    assert row["project_name"] == "Directus"
    assert row["auth_login_attempts"] == 25


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"password_preset": "none", "tried_password": "x"}, "Accepted."),
        ({"password_preset": "weak", "tried_password": "seven77"}, "Rejected: the password does not match the policy."),
        ({"password_preset": "weak", "tried_password": EXAMPLE}, "Accepted."),
        ({"password_preset": "strong", "tried_password": "Str0ng&short"}, "Accepted."),
        ({"password_preset": "custom", "auth_password_policy": "/^T/", "tried_password": EXAMPLE}, "Accepted."),
        ({"password_preset": "custom", "auth_password_policy": "/(/", "tried_password": "x"}, "This is not a regular"),
        (
            {"password_preset": "weak", "tried_password": "x" * 1025},
            "Rejected: a password has at most 1024",
        ),
        ({"password_preset": "custom", "auth_password_policy": BACKTRACKING, "tried_password": "a" * 40 + "b"}, ""),
        ({"password_preset": "weak", "tried_password": ""}, ""),
    ],
)
@pytest.mark.parametrize("fragment", [{}, {"studio-fragment": "policy-result"}], ids=["page", "script"])
async def test_the_password_policy_can_be_tried(ada, members, values, message, fragment):
    before = await stored(members)
    page = await ada.post("/settings/try-password", values, fragment)

    assert page.status == 200
    assert message in page.html.select_one("#policy-result").get_text()
    assert bool(fragment) is (page.html.select_one("form.settings") is None)
    assert await stored(members) == before


async def test_a_tried_password_is_neither_logged_nor_rendered(ada, caplog, capsys):
    caplog.set_level(logging.DEBUG)
    values = {"password_preset": "custom", "auth_password_policy": BACKTRACKING, "tried_password": "a" * 40 + EXAMPLE}
    page = await ada.post("/settings/try-password", values)
    await ada.post("/settings", {**EVERY_FIELD, **values, "project_color": "red"})

    assert EXAMPLE not in page.response.text
    assert page.response.headers["cache-control"] == "no-store"
    assert EXAMPLE not in caplog.text + "".join(capsys.readouterr())


async def test_the_logo_is_uploaded_and_shown_to_everybody(ada, studio, members):
    page = await ada.upload("/settings/logo", "project_logo", "logo.png", png())

    assert page.location == "/admin/settings?notice=logo-saved"
    key = (await stored(members))["project_logo"]
    assert (await studio.get("/sign-in")).html.find("img", src=f"/admin/logo/{key}")
    logo = (await studio.get(f"/logo/{key}")).response
    assert logo.content == png()
    assert logo.headers["content-type"] == "image/png"
    assert logo.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert logo.headers["cache-control"].startswith("public, max-age=")
    assert "set-cookie" not in logo.headers
    assert (await ada.post("/settings/logo/remove")).status == 303
    assert (await stored(members))["project_logo"] is None
    assert (await studio.get(f"/logo/{key}")).status == 404


async def test_no_other_file_is_shown_to_everybody(ada, studio, members):
    for name in ("first.png", "second.png"):
        await ada.upload("/settings/logo", "project_logo", name, png())
    async with members.database.transaction() as connection:
        keys = set((await connection.execute(select(File.id))).scalars())
    shown = {key for key in keys if (await studio.get(f"/logo/{key}")).status == 200}

    assert shown == {(await stored(members))["project_logo"]}


async def test_an_svg_is_allowed(ada, studio, members):
    await ada.upload("/settings/logo", "project_logo", "logo.svg", SVG, "image/svg+xml")
    logo = (await studio.get(f"/logo/{(await stored(members))['project_logo']}")).response

    assert logo.headers["content-type"] == "image/svg+xml"
    assert "sandbox" in logo.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("filename", "content", "message"),
    [
        ("logo.png", HTML, "Choose an image"),
        ("logo.png", b"", "Choose an image"),
        ("", b"", "Choose a file."),
        ("logo.png", png() + b"\0" * 1024**2, "is larger than"),
    ],
)
async def test_a_rejected_logo_is_reported_at_its_field(ada, members, filename, content, message):
    page = await ada.upload("/settings/logo", "project_logo", filename, content)

    assert 400 <= page.status <= 422
    assert message in page.html.find(id="error-project_logo").get_text()
    assert (await stored(members))["project_logo"] is None


async def test_an_upload_needs_the_form_token(ada, members):
    page = await ada.upload("/settings/logo", "project_logo", "logo.png", png(), token="0" * 64)

    assert page.status == 403
    async with members.database.transaction() as connection:
        assert not list((await connection.execute(select(File.id))).scalars())


async def test_a_limited_user_sets_the_logo(vi, members):
    await grant(members, "read", "settings", "id,project_logo")
    await grant(members, "update", "settings", "project_logo")
    assert "There is no setting" in (await vi.get("/settings")).text
    await grant(members, "read", "files", "id")
    assert not (await vi.get("/settings")).html.select_one("input[type=file]")
    await grant(members, "create", "files", "*")
    page = await vi.upload("/settings/logo", "project_logo", "logo.png", png())

    assert page.status == 303, page.text
    assert (await vi.get("/settings")).html.select_one(".logo-preview")
