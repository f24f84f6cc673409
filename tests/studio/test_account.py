"""The own account: each user sees and changes what the API permits, and nothing else."""

import pytest
import pytest_asyncio

from tests.base_data import IS_SELF, uid
from tests.flows.inviters import update_settings, update_user, user_row
from tests.http.clients import PASSWORD, PASSWORD_HASH, SESSION, cookies_of
from tests.studio.pages import StudioClient
from tests.writes.editors import make_permission

NEW_PASSWORD = "a new password"


@pytest_asyncio.fixture
async def wes(studio):
    """Wes, who may change some of his fields, and not the password."""
    await update_user(studio.system, "wes", password=PASSWORD_HASH)
    return await studio.sign_in("wes")


@pytest_asyncio.fixture
async def vi_with_password(studio, vi):
    """Vi, who may change her own password."""
    permission = make_permission(900, "Viewers", "update", "users", "password", permissions=IS_SELF)
    await studio.system.load({"directus_permissions": [permission]})
    return vi


def fields_of(page):
    return {field["name"] for field in page.html.select("main form [name]")} - {"form_token"}


async def test_an_administrator_may_change_the_whole_profile(ada):
    page = await ada.get("/account")

    assert fields_of(page) >= {"first_name", "last_name", "email", "title", "location", "description", "language"}
    assert page.attribute_at("#field-email", "value") == "ada@example.com"


async def test_only_fields_that_may_be_changed_are_offered_and_others_are_shown_as_text(wes):
    page = await wes.get("/account")

    assert fields_of(page) == {"first_name", "last_name", "email", "title"}
    assert "Description" in page.text_at("dl.details")


async def test_a_user_who_may_change_nothing_sees_what_is_readable(vi):
    page = await vi.get("/account")

    assert fields_of(page) == set()
    assert "Viewer" in page.text_at("dl.details")
    assert "vi@example.com" not in page.text
    assert (await vi.post("/account", {"first_name": "Viola"})).location == "/admin/account"
    assert (await user_row(vi.system, "vi@example.com"))["first_name"] == "Vi"


async def test_a_user_without_any_permission_has_an_account_page_too(studio):
    await update_user(studio.system, "nora", password=PASSWORD_HASH)
    nora = await studio.sign_in("nora")

    for path in ("/account", "/account/password", "/account/two-factor", "/account/sessions", "/account/rights"):
        page = await nora.get(path)
        assert page.status == 200, path
        assert fields_of(page) <= {"password"}, path


async def test_changed_fields_are_saved_and_an_empty_one_becomes_null(ada):
    stored = await user_row(ada.system, "ada@example.com")

    page = await ada.post(
        "/account", {"first_name": " Augusta ", "title": "", "appearance": "dark", "language": "de-DE"}
    )

    assert page.location == "/admin/account?notice=profile-saved"
    saved = await user_row(ada.system, "ada@example.com")
    changes = {name: saved[name] for name in saved if saved[name] != stored[name]} | {"last_access": None}
    assert changes == {
        "first_name": "Augusta",
        "title": None,
        "appearance": "dark",
        "language": "de-DE",
        "last_access": None,
    }
    shown = await ada.get("/account")
    assert shown.attribute_at("html", "data-appearance") == "dark"
    assert shown.attribute_at("html", "lang") == "de"


async def test_a_rejected_profile_keeps_what_was_entered_and_names_the_field(ada):
    page = await ada.post("/account", {"email": "vi@example.com", "title": "Analyst"})

    assert page.status == 400
    assert page.errors == ["Email: This value is already in use. Choose another one."]
    assert page.attribute_at("#field-title", "value") == "Analyst"


async def test_an_invalid_address_is_reported_in_words(wes):
    page = await wes.post("/account", {"email": "wes"})

    assert page.status == 400
    assert page.errors == ["Email: Enter a complete email address, such as name@example.com."]


async def test_a_changed_password_ends_all_other_sessions_and_keeps_this_one(vi_with_password, studio):
    vi = vi_with_password
    other = StudioClient(vi.client, vi.system, None, (await studio.sign_in("vi")).cookies)

    page = await vi.post("/account/password", {"current": PASSWORD, "password": NEW_PASSWORD})

    assert page.location == "/admin/account/password?notice=password-changed"
    vi.cookies = {SESSION: cookies_of(page.response)[SESSION][0]}
    assert (await vi.get("/account/sessions")).status == 200
    assert len((await vi.get("/account/sessions")).html.select("tbody tr")) == 1
    assert (await other.get("/account")).location.startswith("/admin/sign-in")
    assert (await studio.post("/sign-in", {"email": "vi@example.com", "password": NEW_PASSWORD})).status == 303


@pytest.mark.parametrize("current", ["wrong", ""])
async def test_the_current_password_is_needed(vi_with_password, current):
    page = await vi_with_password.post("/account/password", {"current": current, "password": NEW_PASSWORD})

    assert page.status == 400
    assert page.errors[0].startswith("Current password: This is not your current password.")
    assert NEW_PASSWORD not in page.response.text
    assert (await user_row(vi_with_password.system, "vi@example.com"))["password"] == PASSWORD_HASH
    assert (await vi_with_password.get("/account")).status == 200


async def test_too_many_wrong_passwords_lock_the_right_one_out(vi_with_password):
    await update_settings(vi_with_password.system, auth_login_attempts=2)
    for _ in range(3):
        await vi_with_password.post("/account/password", {"current": "wrong", "password": NEW_PASSWORD})

    page = await vi_with_password.post("/account/password", {"current": PASSWORD, "password": NEW_PASSWORD})

    assert page.status == 400
    assert "further ones are rejected for a while" in page.errors[0]


async def test_a_password_against_the_projects_rules_changes_nothing(vi_with_password):
    await update_settings(vi_with_password.system, auth_password_policy="/^.{8,}$/")

    page = await vi_with_password.post("/account/password", {"current": PASSWORD, "password": "short"})

    assert page.errors == ["New password: This password does not meet the requirements. Choose another one."]
    assert (await vi_with_password.get("/account")).status == 200


async def test_a_user_who_may_not_change_the_password_is_led_to_the_mailed_link(wes):
    page = await wes.get("/account/password")
    rejected = await wes.post("/account/password", {"current": PASSWORD, "password": NEW_PASSWORD})

    assert fields_of(page) == set()
    assert page.has_link("/admin/forgot-password")
    assert rejected.status == 403
    assert (await wes.get("/account")).status == 200


async def test_what_a_user_may_do_is_a_table_of_collections_and_actions(wes):
    page = await wes.get("/account/rights")

    rows = {
        row.find("th").get_text(): [cell.get_text(" ", strip=True) for cell in row.select("td")]
        for row in page.html.select("tbody tr")
    }
    create, read, update, delete = rows["users"]
    assert create.startswith("All rows")
    assert read.startswith("Some rows")
    assert "description" in read
    assert "description" not in update
    assert delete == "Some rows"
    assert "Writers" not in page.text


async def test_an_administrator_sees_the_names_of_the_own_policies(ada):
    page = await ada.get("/account/rights")

    assert "you may do everything" in page.text
    assert page.has_link(f"/admin/policies/{uid('policy-Administrators')}")
