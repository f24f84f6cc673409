"""Signing in to the Studio and out of it: what a visitor sees, and that nobody is signed in by another site."""

import pytest

from tests.http.clients import PASSWORD, SESSION, cookies_of, totp_code

CREDENTIALS = {"email": "vi@example.com", "password": PASSWORD}


@pytest.mark.parametrize("path", ["", "/users", "/users?search=ada"])
async def test_a_visitor_is_led_to_the_form_and_back(studio, path):
    page = await studio.get(path)

    assert page.status == 303
    assert page.location.startswith("/admin/sign-in")
    form = await studio.get(page.location.removeprefix("/admin"))
    target = form.html.find("input", {"name": "next"})["value"]
    signed_in = await studio.post("/sign-in", {**CREDENTIALS, "next": target})
    assert signed_in.status == 303
    assert signed_in.location == f"/admin{path}"


@pytest.mark.parametrize(
    "target",
    [
        "https://example.com/admin",
        "//example.com",
        "/admin//example.com",
        "/admin\\@example.com",
        "/adminx",
        "/admin\n",
    ],
)
async def test_it_never_leads_to_another_site(studio, target):
    page = await studio.post("/sign-in", {**CREDENTIALS, "next": target})

    assert page.location == "/admin"


@pytest.mark.parametrize("email", ["vi@example.com", "nobody@example.com"])
async def test_a_wrong_password_is_reported_like_an_unknown_address(studio, email):
    page = await studio.post("/sign-in", {"email": email, "password": "wrong"})

    assert page.status == 401
    (error,) = page.errors
    assert error.startswith("The email address or the password is wrong.")


async def test_a_code_is_requested_and_the_password_is_not_in_the_page(studio):
    page = await studio.post("/sign-in", {"email": "ed@example.com", "password": PASSWORD})

    assert page.status == 401
    assert page.errors == []
    assert page.html.select_one(".invalid, .error") is None
    assert "hidden" not in page.html.select_one("[data-code]").attrs
    assert "autofocus" in page.html.select_one("#field-otp").attrs
    assert PASSWORD not in page.response.text
    signed_in = await studio.post("/sign-in", {"email": "ed@example.com", "password": PASSWORD, "otp": totp_code()})
    assert signed_in.status == 303


async def test_a_wrong_code_is_an_error_at_its_field(studio):
    page = await studio.post("/sign-in", {"email": "ed@example.com", "password": PASSWORD, "otp": "000000"})

    assert page.status == 401
    assert page.errors == ["One-time code: This code is wrong or was used before. Enter the current one."]
    assert page.html.find(id="error-otp")


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://example.com"}, {"origin": "null"}, {"origin": ""}, {"sec-fetch-site": "cross-site"}],
    ids=["another origin", "opaque origin", "no origin", "cross-site"],
)
async def test_a_form_of_another_site_signs_nobody_in(studio, headers):
    page = await studio.post("/sign-in", CREDENTIALS, headers)

    assert page.status == 403
    assert "set-cookie" not in page.response.headers


async def test_signing_out_ends_the_session(vi):
    page = await vi.post("/sign-out")

    assert page.location == "/admin/sign-in?notice=signed-out"
    assert cookies_of(page.response)[SESSION][0] == ""
    assert (await vi.get("")).location == "/admin/sign-in?notice=session-ended"


async def test_a_form_needs_the_token_of_its_user(vi):
    page = await vi.post("/sign-out", {"form_token": "0" * 64})

    assert page.status == 403
    assert (await vi.get("")).status == 200


async def test_a_token_in_the_address_makes_nobody_act_as_another_user(studio, vi):
    other = (await studio.get(f"/users?access_token={'static-of-ada'}")).location
    own = await vi.get("?access_token=static-of-ada")

    assert other.startswith("/admin/sign-in")
    assert "Vi" in own.html.select_one(".account-name").get_text()
