"""The tasks of the user guide, step by step: from the page of a role to its users."""

import pytest
from playwright.async_api import expect

from tests.base_data import uid

EDITOR = f"/roles/{uid('role-Editor')}"


async def open_role(browsing, *, javascript=True):
    """Return the page of the role Editor, reached from the navigation, and the section with its users."""
    page = await browsing.open("", user="ada", javascript=javascript)
    await page.get_by_role("link", name="Roles", exact=True).click()
    await page.get_by_role("link", name="Editor", exact=True).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Editor")
    return page, page.get_by_role("region", name="Users in Role")


async def test_invite_a_user(browsing):
    page, _ = await open_role(browsing)
    await page.get_by_role("link", name="Invite", exact=True).click()
    await page.get_by_label("Email addresses").fill("one@example.com, two@example.com\nthree@example.com")
    await page.get_by_role("button", name="Invite", exact=True).click()

    await expect(page.get_by_role("status")).to_contain_text("The users were invited.")
    for name in ("one", "two", "three"):
        await expect(page.get_by_role("row", name=f"{name}@example.com")).to_contain_text("Invited")


@pytest.mark.parametrize("javascript", [True, False], ids=["with scripts", "without scripts"])
async def test_assign_a_role_to_existing_users(browsing, javascript):
    page, section = await open_role(browsing, javascript=javascript)
    await section.get_by_role("link", name="Add Existing").click()
    await page.get_by_role("checkbox", name="Nora").check()
    search = page.get_by_role("searchbox", name="Search users")
    await search.fill("vi@")
    if not javascript:
        await page.get_by_role("button", name="Search").click()
    await expect(page.get_by_role("group", name="Selected")).to_contain_text("Nora")
    await expect(page.get_by_role("listitem").filter(has_text="vi@example.com")).to_contain_text("Now: Viewer")
    await page.get_by_role("checkbox", name="Vi", exact=False).last.check()
    await page.get_by_role("button", name="Add selected users").click()

    await expect(page.get_by_role("status")).to_contain_text("The users have this role now.")
    for name in ("Nora", "Vi"):
        await expect(section.get_by_role("rowheader", name=name, exact=True)).to_be_visible()


async def test_create_a_user(browsing):
    page, section = await open_role(browsing)
    await section.get_by_role("link", name="Create New").click()
    await expect(page.get_by_label("Role")).to_have_value(uid("role-Editor"))
    await page.get_by_label("First name").fill("Uma")
    await page.get_by_label("Email", exact=True).fill("uma@example.com")
    await page.get_by_role("button", name="Create user").click()

    await expect(page.get_by_role("status").first).to_contain_text("The user was created.")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Editor")
    await expect(section.get_by_role("rowheader", name="Uma")).to_be_visible()


async def test_remove_a_users_role(browsing):
    page, section = await open_role(browsing)
    await section.get_by_role("link", name="Remove from role Ed Edelman").click()
    await page.get_by_role("button", name="Remove", exact=True).click()

    await expect(page.get_by_role("status")).to_contain_text("The users have no role now")
    await expect(section.get_by_role("rowheader", name="Ed Edelman")).to_have_count(0)


async def test_a_failed_address_stays_in_the_form(browsing):
    page = await browsing.open(f"{EDITOR}/invite", user="ada")
    await page.get_by_label("Email addresses").fill("new@example.com, vi@example.com, not an address")
    await page.get_by_role("button", name="Invite", exact=True).click()

    entries = page.get_by_role("status").get_by_role("listitem")
    await expect(entries).to_contain_text(["Invited", "Already a user (skipped)", "Invalid address"])
    await expect(page.get_by_label("Email addresses")).to_have_value("not an address")


async def test_an_invitation_is_canceled_after_a_confirmation(browsing):
    page, section = await open_role(browsing)
    await section.get_by_label("Pending invitations only").check()
    await expect(section.get_by_role("rowheader")).to_have_text(["Ida"])
    await section.get_by_role("button", name="Cancel invitation", exact=True).click()
    await expect(page.get_by_role("dialog", name="Cancel invitation")).to_contain_text("ida@example.com is deleted")
    await page.get_by_role("dialog").get_by_role("button", name="Cancel invitation").click()

    await expect(page.get_by_role("status")).to_contain_text("The invitation was canceled.")
    await expect(section.get_by_role("rowheader")).to_have_text(["Ed Edelman"])


async def test_the_keyboard_alone_selects_users_while_the_list_is_updated(browsing):
    page = await browsing.open(f"{EDITOR}/add", user="ada")
    box = page.get_by_role("checkbox", name="Nora")
    await box.focus()
    await page.keyboard.press("Space")
    await page.wait_for_url(f"**user={uid('nora')}")
    await expect(box).to_be_focused()
    await expect(box).to_be_checked()
    await page.reload()

    await expect(box).to_be_checked()
