"""Previewing with a browser what a policy would change, before it is saved."""

from playwright.async_api import expect

from tests.base_data import uid


async def test_the_effects_of_a_policy_are_previewed_and_then_saved(browsing):
    page = await browsing.open(f"/policies/{uid('policy-Editors')}", user="ada")
    await page.get_by_label("Files: Read").select_option("all")
    await page.get_by_role("button", name="Preview effects").click()
    effects = page.get_by_role("region", name="Effects on access")

    await expect(effects).to_contain_text("Ed Edelman")
    await expect(effects.get_by_role("row", name="Files Read Gained")).to_be_visible()
    await expect(page.get_by_text("Not saved yet")).to_be_visible()
    await page.get_by_role("button", name="Save policy and permissions").click()
    await expect(page.locator("[data-notice]")).to_have_text("The policy and its permissions were saved.")
    await expect(page.get_by_label("Files: Read")).to_have_value("all")
