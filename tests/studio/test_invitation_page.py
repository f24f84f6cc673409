"""Accepting an invitation, and creating an account where registration is open."""

import pytest

from app.core.email_links import LinkPurpose
from tests.base_data import uid
from tests.flows.inviters import (
    invalid_links,
    link_token,
    queued_mails,
    snapshot,
    update_settings,
    update_user,
    user_row,
)
from tests.http.clients import SESSION, cookies_of

PASSWORD = "the first password"
NEW_USER = {"first_name": "Noor", "last_name": "", "email": "noor@example.com", "password": PASSWORD}


def invitation(system, name="ida", **options):
    return link_token(system, LinkPurpose.INVITATION, f"{name}@example.com", uid(name), **options)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_opening_an_invitation_changes_nothing(studio, method):
    before = await snapshot(studio.system)

    response = await studio.client.request(method, f"/admin/accept-invite?token={invitation(studio.system)}")

    assert response.status_code == 200
    assert await snapshot(studio.system) == before


async def test_the_first_password_activates_the_account_and_signs_in(studio):
    page = await studio.post("/accept-invite", {"token": invitation(studio.system), "password": PASSWORD})

    assert page.location == "/admin?notice=invitation-accepted"
    assert cookies_of(page.response)[SESSION][0]
    assert (await user_row(studio.system, "ida@example.com"))["status"] == "active"


async def test_an_invited_user_fills_in_the_names_that_the_invitation_left_empty(studio):
    await update_user(studio.system, "ida", first_name="Ida", last_name=None)
    token = invitation(studio.system)
    page = await studio.get(f"/accept-invite?token={token}")
    values = {"token": token, "password": PASSWORD, "first_name": "Other", "last_name": " Ibsen "}

    assert [field["name"] for field in page.html.select("form input[id]")] == ["last_name", "password"]
    rejected = await studio.post("/accept-invite", {**values, "password": ""})
    assert rejected.attribute_at("#field-last_name", "value") == "Ibsen"
    assert (await studio.post("/accept-invite", values)).status == 303
    row = await user_row(studio.system, "ida@example.com")
    assert (row["first_name"], row["last_name"]) == ("Ida", "Ibsen")


async def test_a_name_that_is_too_long_is_reported_at_its_field(studio):
    await update_user(studio.system, "ida", last_name=None)
    values = {"token": invitation(studio.system), "password": PASSWORD, "last_name": "x" * 256}
    page = await studio.post("/accept-invite", values)

    assert page.status in (400, 422)
    assert page.errors == ["Last name: This value is too long. Enter a shorter one."]
    assert (await user_row(studio.system, "ida@example.com"))["status"] == "invited"


async def test_the_session_of_another_user_does_not_disturb(ada):
    page = await ada.post("/accept-invite", {"token": invitation(ada.system), "password": PASSWORD})

    assert page.location == "/admin?notice=invitation-accepted"
    ada.cookies = {SESSION: cookies_of(page.response)[SESSION][0]}
    assert (await ada.get("/account")).text_at(".account-name") == "Ida"


async def test_an_accepted_invitation_leads_to_the_form_to_sign_in(studio):
    token = invitation(studio.system)
    await studio.post("/accept-invite", {"token": token, "password": PASSWORD})

    for page in (
        await studio.get(f"/accept-invite?token={token}"),
        await studio.post("/accept-invite", {"token": token, "password": PASSWORD}),
    ):
        assert page.status == 400
        assert "accepted already" in page.text
        assert page.has_link("/admin/sign-in")


async def test_an_expired_invitation_says_whom_to_ask(studio):
    page = await studio.get(f"/accept-invite?token={invitation(studio.system, hours=-1)}")

    assert page.status == 400
    assert "Ask the person who invited you for a new one." in page.text


async def test_an_invalid_invitation_changes_nothing(studio):
    before = await snapshot(studio.system)
    for token, _ in invalid_links(studio.system, LinkPurpose.INVITATION, "ida@example.com", user=uid("ida")):
        page = await studio.post("/accept-invite", {"token": token, "password": PASSWORD})
        assert page.status == 400
        assert PASSWORD not in page.response.text
    assert await snapshot(studio.system) == before


async def test_a_rejected_first_password_is_reported_at_its_field(studio):
    await update_settings(studio.system, auth_password_policy="/^.{8,}$/")

    token = invitation(studio.system)
    page = await studio.post("/accept-invite", {"token": token, "password": "short"})

    assert page.errors == ["Password: This password does not meet the requirements. Choose another one."]
    assert "short" not in page.response.text
    assert page.attribute_at("input[name=token]", "value") == token


async def test_the_address_of_the_account_is_text_and_known_to_password_managers(studio):
    page = await studio.get(f"/accept-invite?token={invitation(studio.system)}")

    assert page.text_at(".own-email") == "ida@example.com"
    username = page.html.select_one("input[autocomplete=username]")
    assert username["value"] == "ida@example.com"
    assert "hidden" in username.attrs


@pytest.mark.parametrize("email", ["noor@example.com", "vi@example.com", "una@example.com"])
async def test_registration_responds_in_the_same_way_to_every_address(studio, email):
    page = await studio.post("/register", {**NEW_USER, "email": email})

    assert page.location == "/admin/sign-in?notice=registration-mailed"
    assert len(await queued_mails(studio.system)) == (0 if email == "vi@example.com" else 1)


async def test_a_registered_user_may_sign_in_at_once_if_addresses_are_not_confirmed(studio):
    await update_settings(studio.system, public_registration_verify_email=False)

    page = await studio.post("/register", NEW_USER)

    assert page.location == "/admin/sign-in?notice=registered"
    signed_in = await studio.post("/sign-in", {"email": NEW_USER["email"], "password": PASSWORD})
    assert signed_in.status == 303


async def test_a_rejected_registration_keeps_everything_but_the_password(studio):
    page = await studio.post("/register", {**NEW_USER, "email": "noor"})

    assert page.status == 400
    assert page.errors == ["Email: Enter a complete email address, such as name@example.com."]
    assert page.attribute_at("#field-first_name", "value") == "Noor"
    assert PASSWORD not in page.response.text


async def test_registration_is_limited_to_the_projects_addresses(studio):
    await update_settings(studio.system, public_registration_email_filter={"email": {"_ends_with": "@example.org"}})

    page = await studio.post("/register", NEW_USER)

    assert page.errors == ["Email: Accounts cannot be created with this email address."]


async def test_without_registration_there_is_no_such_page(studio):
    await update_settings(studio.system, public_registration=False)

    assert (await studio.get("/register")).status == 404
    assert (await studio.post("/register", NEW_USER)).status == 404
    assert not (await studio.get("/sign-in")).has_link("/admin/register")
    assert await user_row(studio.system, NEW_USER["email"]) is None
