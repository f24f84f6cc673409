"""Recovering a forgotten password: nothing reveals who has an account, and links work once."""

import pytest

from app.core.email_links import LinkPurpose, password_fingerprint
from tests.base_data import uid
from tests.flows.inviters import invalid_links, link_token, queued_mails, snapshot, update_settings
from tests.http.clients import PASSWORD, PASSWORD_HASH, SESSION, cookies_of

STRONG = r"/(?=^.{8,}$)(?=.*\d)(?=.*[!@#$%^&*()_+}{';'?>.<,])(?!.*\s)(?=.*[A-Z])(?=.*[a-z]).*$/"


def reset_token(system, name="vi", **options):
    password = password_fingerprint(PASSWORD_HASH)
    return link_token(system, LinkPurpose.RESET, f"{name}@example.com", uid(name), password, **options)


async def reset(studio, name="vi", password="a new password"):
    return await studio.post("/reset-password", {"token": reset_token(studio.system, name), "password": password})


@pytest.mark.parametrize("email", ["vi@example.com", "VI@example.com", "sue@example.com", "nobody@example.com", "nope"])
async def test_the_response_is_the_same_for_every_address(studio, email):
    page = await studio.post("/forgot-password", {"email": email})

    assert page.location == "/admin/sign-in?notice=reset-requested"
    mails = await queued_mails(studio.system)
    assert [kind for kind, _, _ in mails] == (["reset"] if email.lower() == "vi@example.com" else [])


async def test_an_address_is_needed(studio):
    page = await studio.post("/forgot-password", {"email": " "})

    assert page.status == 400
    assert page.errors == ["Email: Enter a complete email address, such as name@example.com."]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_opening_a_link_changes_nothing(studio, method):
    before = await snapshot(studio.system)

    response = await studio.client.request(method, f"/admin/reset-password?token={reset_token(studio.system)}")

    assert response.status_code == 200
    assert response.headers["referrer-policy"] == "strict-origin"
    assert response.headers["cache-control"] == "no-store"
    assert await snapshot(studio.system) == before


async def test_the_form_names_the_account_for_password_managers_and_hides_the_token(studio):
    token = reset_token(studio.system)
    page = await studio.get(f"/reset-password?token={token}")

    assert page.attribute_at("input[autocomplete=username]", "value") == "vi@example.com"
    assert page.attribute_at("input[name=password]", "autocomplete") == "new-password"
    assert page.attribute_at("input[name=token]", "type") == "hidden"
    assert page.response.text.count(token) == 1


async def test_a_new_password_ends_all_sessions_and_begins_one(studio, vi):
    page = await reset(studio)

    assert page.location == "/admin?notice=password-changed"
    assert cookies_of(page.response)[SESSION][0]
    assert (await vi.get("/account")).location.startswith("/admin/sign-in")
    old = await studio.post("/sign-in", {"email": "vi@example.com", "password": PASSWORD})
    assert old.status == 401


async def test_with_two_factors_the_form_to_sign_in_asks_for_the_code(studio):
    page = await reset(studio, "ed")

    assert page.status == 200
    assert SESSION not in cookies_of(page.response)
    assert page.attribute_at("#field-email", "value") == "ed@example.com"
    assert "Your new password is saved." in page.text
    assert "a new password" not in page.response.text


async def test_a_link_works_once(studio):
    token = reset_token(studio.system)
    await studio.post("/reset-password", {"token": token, "password": "a new password"})

    page = await studio.post("/reset-password", {"token": token, "password": "another password"})

    assert page.status == 400
    assert "expired or was used already" in page.text
    assert page.has_link("/admin/forgot-password")


async def test_an_invalid_link_leads_to_a_page_with_the_next_step(studio):
    binding = {"user": uid("vi"), "password": password_fingerprint(PASSWORD_HASH)}
    for token, _ in invalid_links(studio.system, LinkPurpose.RESET, "vi@example.com", **binding):
        for page in (
            await studio.post("/reset-password", {"token": token, "password": "a new password"}),
            await studio.get(f"/reset-password?token={token}") if "\0" not in token else None,
        ):
            if page is not None:
                assert page.status == 400
                assert page.has_link("/admin/forgot-password")


@pytest.mark.parametrize(
    ("policy", "hint"),
    [
        (None, ""),
        ("/^.{8,}$/", "At least 8 characters."),
        (STRONG, "At least 8 characters without spaces"),
        ("/^[a-z]{9,}$/", "It has to match the pattern /^[a-z]{9,}$/"),
    ],
    ids=["none", "length", "strong", "other"],
)
async def test_the_projects_rules_are_shown_and_a_password_against_them_is_reported_at_its_field(studio, policy, hint):
    await update_settings(studio.system, auth_password_policy=policy)
    form = await studio.get(f"/reset-password?token={reset_token(studio.system)}")
    page = await reset(studio, password="" if policy is None else "Short!1")

    assert hint in form.text
    assert page.status == 400
    assert page.attribute_at("#field-password", "aria-invalid") == "true"
    assert page.attribute_at("#field-password", "value") == ""
    assert "Short!1" not in page.response.text
    assert len(page.errors) == 1


async def test_another_site_resets_no_password(studio):
    before = await snapshot(studio.system)
    values = {"token": reset_token(studio.system), "password": "a new password"}

    page = await studio.post("/reset-password", values, {"origin": "https://example.com"})

    assert page.status == 403
    assert await snapshot(studio.system) == before
