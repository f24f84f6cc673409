"""What pages show after a form was sent is as accessible, and as narrow, as the pages themselves."""

from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import Page, expect

from app.db.models import User
from tests.base_data import uid
from tests.browser import axe, requirements
from tests.browser.backends import sqlite_only
from tests.browser.test_every_page import SIDEWAYS_SCROLL, UNFOLD
from tests.studio.grants import insert_rows


async def explained_access(page: Page) -> None:
    await page.goto(f"/admin/access?action=read&collection=users&user={uid('vi')}&item={uid('sue')}")
    await expect(page.get_by_text("can read Sue")).to_be_visible()


async def who_can(page: Page) -> None:
    await page.goto("/admin/access/who-can")
    await page.get_by_role("button", name="Find").click()
    await expect(page.get_by_role("link", name="Administrator", exact=True).first).to_be_visible()


async def effects_of_a_policy(page: Page) -> None:
    await page.goto(f"/admin/policies/{uid('policy-Editors')}")
    await page.get_by_label("Files: Read").select_option("all")
    await page.get_by_role("button", name="Preview effects").click()
    await expect(page.get_by_role("region", name="Effects on access")).to_be_visible()


async def effects_of_detaching(page: Page) -> None:
    await page.goto(f"/admin/roles/{uid('role-Editor')}")
    await page.get_by_role("button", name="Preview effects").first.click()
    await expect(page.get_by_role("region", name="Effects on access")).to_be_visible()


async def new_token(page: Page) -> None:
    await page.goto("/admin/account/tokens/new")
    await page.get_by_label("Name").fill("backup")
    await page.get_by_label("Expires").fill("2199-01-01")
    await page.get_by_role("button", name="Create token").click()
    await expect(page.get_by_role("button", name="Copy")).to_be_visible()


async def tokens(page: Page) -> None:
    await new_token(page)
    await page.goto("/admin/account/tokens")
    await expect(page.get_by_role("rowheader", name="backup")).to_be_visible()


async def policy_with_an_end(page: Page) -> None:
    await page.goto(f"/admin/users/{uid('ed')}")
    await page.get_by_label("Attach a policy to this user").select_option(label="Viewers")
    await page.get_by_label("Until").first.fill("2199-01-01T00:00")
    await page.get_by_role("button", name="Attach").click()
    await expect(page.get_by_text("until Jan 1, 2199")).to_be_visible()


async def invitations(page: Page) -> None:
    await page.goto(f"/admin/roles/{uid('role-Editor')}/invite")
    await page.get_by_label("Email addresses").fill("new@example.com, vi@example.com, not an address")
    await page.get_by_role("button", name="Invite", exact=True).click()
    await expect(page.get_by_role("status").get_by_role("listitem")).to_have_count(3)


async def selected_pages(page: Page) -> None:
    await page.goto("/admin/users?search=many")
    await page.get_by_label("Select all users on this page").check()
    await page.get_by_label("Select all 26 users on all pages").check()


async def change_of_all_matching(page: Page) -> None:
    await selected_pages(page)
    await page.get_by_label("New status").select_option("suspended")
    await page.get_by_role("button", name="Set status").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("26 users")


async def deletion_of_all_matching(page: Page) -> None:
    await selected_pages(page)
    await page.get_by_role("button", name="Delete…").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Delete 26 users?")


async def rejected_user(page: Page) -> None:
    await page.goto("/admin/users/new")
    await page.get_by_label("Email", exact=True).fill("no address")
    await page.get_by_role("button", name="Create user").click()
    await expect(page.get_by_role("alert")).to_be_visible()


async def no_such_page(page: Page) -> None:
    await page.goto("/admin/no-such-page")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Page not found")


Step = Callable[[Page], Awaitable[None]]
STEPS: list[Step] = [
    explained_access,
    who_can,
    effects_of_a_policy,
    effects_of_detaching,
    new_token,
    tokens,
    policy_with_an_end,
    invitations,
    selected_pages,
    change_of_all_matching,
    deletion_of_all_matching,
    rejected_user,
    no_such_page,
]


@sqlite_only
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
async def test_a_page_after_a_form_is_accessible_and_fits_on_a_narrow_screen(browsing, step):
    rows = [{"id": uid(f"many-{number}"), "email": f"many{number}@example.com"} for number in range(26)]
    await insert_rows(browsing.system, User, *rows)
    page = await browsing.open(user="ada")

    await step(page)
    await page.evaluate(UNFOLD)
    light = [] if requirements.is_axe_missing() else await axe.violations(page)
    await page.emulate_media(color_scheme="dark")
    dark = [] if requirements.is_axe_missing() else await axe.violations(page)
    await page.set_viewport_size({"width": 320, "height": 800})

    assert (light, dark) == ([], [])
    assert await page.evaluate(SIDEWAYS_SCROLL) == 0
