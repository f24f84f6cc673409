"""The navigation: beside the content on wide pages, in a menu on narrow ones."""

import pytest
from playwright.async_api import expect

from tests.browser.backends import sqlite_only

pytestmark = sqlite_only


@pytest.mark.parametrize("javascript", [True, False], ids=["with scripts", "without scripts"])
async def test_a_narrow_page_has_a_menu_for_the_keyboard(browsing, javascript):
    page = await browsing.open("/roles", user="ada", javascript=javascript, width=320)
    roles = page.get_by_role("navigation", name="Main").get_by_role("link", name="Roles")
    await expect(roles).to_be_hidden()
    await page.locator("summary", has_text="Menu").focus()
    await page.keyboard.press("Enter")

    await expect(roles).to_be_visible()
    await expect(roles).to_have_attribute("aria-current", "page")


async def test_a_wide_page_shows_the_navigation_without_a_menu(browsing):
    page = await browsing.open("/roles", user="ada")

    await expect(page.get_by_role("navigation", name="Main").get_by_role("link", name="Users")).to_be_visible()
    await expect(page.locator("summary", has_text="Menu")).to_be_hidden()


async def test_the_menu_of_a_narrow_page_signs_out_and_its_account_is_beside_the_button(browsing):
    page = await browsing.open("/roles", user="ada", width=320)
    sign_out = page.get_by_role("button", name="Sign out")
    await expect(sign_out).to_be_hidden()
    await expect(page.get_by_role("link", name="Ada")).to_be_visible()
    await page.locator("summary", has_text="Menu").click()
    await sign_out.click()

    await expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
