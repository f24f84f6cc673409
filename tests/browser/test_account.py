"""The story of an account in a browser: invitation, two-factor authentication, recovery code, forgotten password."""

import asyncio
import time

import pyotp
import pytest
from playwright.async_api import expect

from app.core.email_links import LinkPurpose, password_fingerprint
from tests.base_data import uid
from tests.browser import axe, requirements
from tests.flows.inviters import link_token, user_row
from tests.http.clients import PASSWORD

EMAIL = "ida@example.com"
STEP_SECONDS, MARGIN_SECONDS = 30, 4


async def current_code(secret):
    """Return a code that remains valid for some seconds."""
    remaining = STEP_SECONDS - time.time() % STEP_SECONDS
    if remaining < MARGIN_SECONDS:
        await asyncio.sleep(remaining)
    return pyotp.TOTP(secret).now()


async def check_page(page, *, javascript):
    """Check the accessibility of a page that only a form leads to; that needs scripts."""
    if requirements.is_axe_missing() or not javascript:
        return
    assert await axe.violations(page) == []


async def set_up_two_factors(page, *, javascript):
    """Set up two-factor authentication with the key beside the QR code, and return the recovery codes."""
    await page.goto("/admin/account/two-factor")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Set up").click()
    await expect(page.get_by_role("img", name="QR code with the key")).to_be_visible()
    await check_page(page, javascript=javascript)
    secret = (await page.locator("code.secret").text_content()).replace(" ", "")
    await page.get_by_label("Enter the code that the app shows").fill(await current_code(secret))
    await page.get_by_role("button", name="Enable").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Recovery codes")
    await check_page(page, javascript=javascript)
    return secret, (await page.locator("#recovery-codes").text_content()).split()


@pytest.mark.parametrize("javascript", [True, False], ids=["with scripts", "without scripts"])
async def test_an_invited_user_sets_up_two_factors_and_recovers_the_password(browsing, javascript):
    system = browsing.system
    page = await browsing.open(javascript=javascript)

    # The link of the invitation: its token leaves the address bar, and the password is that of the account.
    token = link_token(system, LinkPurpose.INVITATION, EMAIL, uid("ida"))
    await page.goto(f"/admin/accept-invite?token={token}")
    assert ("token" in page.url) is not javascript
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Activate account").click()
    await expect(page.get_by_role("status")).to_contain_text("your account is active")
    _, codes = await set_up_two_factors(page, javascript=javascript)
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Download").click()
    assert (await download.value).suggested_filename == "recovery-codes.txt"

    # Another device needs the password and a recovery code.
    other = await browsing.open("/sign-in", javascript=javascript)
    await other.get_by_label("Email").fill(EMAIL)
    await other.get_by_label("Password").fill(PASSWORD)
    await other.get_by_role("button", name="Sign in").click()
    await expect(other.get_by_label("One-time code")).to_be_visible()
    if not javascript:
        await other.get_by_label("Password").fill(PASSWORD)
    await other.get_by_label("One-time code").fill(codes[0])
    await other.get_by_role("button", name="Sign in").click()
    await expect(other.get_by_role("heading", level=1)).to_have_text("Overview")

    # A forgotten password: the mailed link ends all sessions, and the second factor is still needed.
    fingerprint = password_fingerprint((await user_row(system, EMAIL))["password"])
    await page.goto(
        f"/admin/reset-password?token={link_token(system, LinkPurpose.RESET, EMAIL, uid('ida'), fingerprint)}"
    )
    await page.get_by_label("Password", exact=True).fill("the second password")
    await page.get_by_role("button", name="Save password").click()
    await expect(page.get_by_label("Email")).to_have_value(EMAIL)
    await check_page(page, javascript=javascript)
    await other.reload()
    await expect(other.get_by_role("button", name="Sign in")).to_be_visible()


async def test_a_new_password_can_be_shown_while_it_is_typed(browsing):
    page = await browsing.open("/account/password", user="ada")
    password = page.get_by_label("New password")
    await password.fill("a new password")
    await page.get_by_role("button", name="Show password").click()
    await expect(password).to_have_attribute("type", "text")
    await page.get_by_role("button", name="Hide password").click()

    await expect(password).to_have_attribute("type", "password")
