"""Signing in with a browser: by keyboard only, with a one-time code, without scripts, and in two tabs."""

import pytest
from playwright.async_api import expect

from tests.http.clients import PASSWORD, totp_code


async def fill_credentials(page, user, password=PASSWORD):
    await page.goto("/admin/sign-in")
    await page.get_by_label("Email").fill(f"{user}@example.com")
    await page.get_by_label("Password").fill(password)


@pytest.mark.parametrize("javascript", [True, False], ids=["with scripts", "without scripts"])
async def test_a_password_leads_to_the_start_page(browsing, javascript):
    page = await browsing.open(javascript=javascript)
    await fill_credentials(page, "ada")
    await page.get_by_role("button", name="Sign in").click()

    await expect(page.get_by_role("heading", level=1)).to_have_text("Overview")


@pytest.mark.parametrize("javascript", [True, False], ids=["with scripts", "without scripts"])
async def test_a_wrong_password_is_reported_and_leaves_the_email(browsing, javascript):
    page = await browsing.open(javascript=javascript)
    await fill_credentials(page, "ada", "wrong")
    await page.get_by_role("button", name="Sign in").click()

    await expect(page.get_by_role("alert")).to_contain_text("The email address or the password is wrong.")
    await expect(page.get_by_label("Email")).to_have_value("ada@example.com")


async def test_a_script_keeps_the_password_while_the_form_asks_for_the_code(page):
    await fill_credentials(page, "ed")
    await page.keyboard.press("Enter")
    code = page.get_by_label("One-time code")
    await expect(code).to_be_focused()
    await expect(page.get_by_label("Password")).to_have_value(PASSWORD)
    await code.fill(totp_code())
    await page.keyboard.press("Enter")

    await expect(page.get_by_role("heading", level=1)).to_have_text("Overview")


async def test_signing_out_ends_the_session_of_all_tabs_of_this_browser_and_of_no_other(browsing):
    page, other = await browsing.open("", user="ada"), await browsing.open("", user="ada")
    tab = await page.context.new_page()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("status")).to_have_text("You are signed out.")
    await tab.goto("/admin")
    await other.reload()

    await expect(tab.get_by_role("button", name="Sign in")).to_be_visible()
    await expect(other.get_by_role("heading", level=1)).to_have_text("Overview")
