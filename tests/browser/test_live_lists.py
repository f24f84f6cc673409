"""Lists that follow the directory, on a server with realtime."""

from itertools import pairwise

import pytest
import pytest_asyncio
from playwright.async_api import Expect
from sqlalchemy import delete, update

from app.db.models import Permission, Policy, Role, User
from tests.base_data import IS_SELF, uid
from tests.browser import axe, requirements
from tests.browser.backends import sqlite_only
from tests.browser.browsing import Browsing
from tests.realtime.sockets import serving
from tests.studio.grants import insert_rows

expect = Expect()
expect.set_options(timeout=30_000)  # a page shows a change after a second, but not while all processors are busy
LOST_CONNECTION = "error: WebSocket connection to"
"""What browsers log of an attempt to connect to a server that is being restarted."""
READS_USERS = 100
"""The permission of writers such as Wes to read users."""
FETCH_TIMES = """performance.getEntriesByType("resource").filter((entry) => entry.initiatorType === "fetch")
  .map((entry) => entry.startTime)"""
SET_VISIBILITY = """(state) => {
  Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest_asyncio.fixture(scope="module")
async def live_url(inviters_db):
    """The URL of a server with realtime on the database; it has no PUBLIC_URL."""
    async with serving(inviters_db.settings) as server:
        yield url_of(server)


def url_of(server):
    return f"http://127.0.0.1:{server.port}"


@pytest_asyncio.fixture
async def live(chromium, live_url, directory):
    """Opens pages of the server with realtime; at the end, they have broken no policy and logged no error."""
    browsing = Browsing(chromium, live_url, directory)
    yield browsing
    await browsing.close()
    assert browsing.faults == []


async def follow(browsing, path="/users", user="ada", **options):
    """Return a page once it follows its list."""
    page = await browsing.open(path, user=user, **options)
    await expect(page.get_by_role("button", name="Pause live updates")).to_be_visible()
    return page


def row(page, name):
    """Return the row of a user."""
    return page.locator(f"tr[data-key='{uid(name)}']")


async def change(system, table, key, **values):
    """Change a row without the API, as another program does."""
    async with system.database.transaction() as connection:
        await connection.execute(update(table).where(table.id == key).values(**values))


async def test_a_tab_shows_what_another_one_changes_and_keeps_its_selection(live):
    second = await follow(live)
    first = await live.open("/users", user="ada")
    await row(second, "vi").get_by_role("checkbox").check()
    link = row(second, "ed").get_by_role("link").first
    await link.focus()
    await second.evaluate("window.marker = 'not reloaded'")
    await row(first, "ed").get_by_role("checkbox").check()
    await first.get_by_label("New status").select_option("suspended")
    await first.get_by_role("button", name="Set status").click()

    await expect(row(second, "ed")).to_contain_text("Suspended")
    await expect(row(second, "ed")).to_have_attribute("data-changed", "")
    await expect(second.get_by_text("The list was updated.")).to_have_count(1)
    await expect(row(second, "vi").get_by_role("checkbox")).to_be_checked()
    await expect(second.locator("#bulk")).to_contain_text("1 selected")
    await expect(link).to_be_focused()
    await expect(row(second, "ed")).not_to_have_attribute("data-changed", "")
    assert await second.evaluate("window.marker") == "not reloaded"


async def test_rows_come_move_and_go_while_the_focus_stays(live):
    page = await follow(live)
    box = row(page, "vi").get_by_role("checkbox")
    await box.focus()
    new = {"id": uid("new"), "email": "aaa@example.com", "status": "active"}
    await insert_rows(live.system, User, new)
    await expect(page.locator("tbody tr").first).to_contain_text("aaa@example.com")
    await expect(box).to_be_focused()
    await change(live.system, User, uid("vi"), email="a@example.com")
    await expect(page.locator("tbody tr").first).to_contain_text("a@example.com")
    await expect(box).to_be_focused()
    async with live.system.database.transaction() as connection:
        await connection.execute(delete(User).where(User.id == uid("vi")))

    await expect(row(page, "vi")).to_have_count(0)
    await expect(page.get_by_role("region", name="Users")).to_be_focused()


async def test_many_changes_cause_at_most_one_request_per_second(live):
    page = await follow(live)
    for number in range(20):
        await change(live.system, User, uid("ed"), last_name=f"Number {number}")
    await expect(row(page, "ed")).to_contain_text("Number 19")
    times = await page.evaluate(FETCH_TIMES)

    assert times
    assert all(later - earlier >= 1000 for earlier, later in pairwise(times))


async def test_a_list_shows_what_its_search_finds(live):
    page = await follow(live)
    await page.get_by_label("Search").fill("sam")
    await expect(page.locator("tbody tr")).to_have_count(1)
    await change(live.system, User, uid("vi"), last_name="Samson")
    await expect(row(page, "vi")).to_contain_text("Samson")

    await expect(page.locator("tbody tr")).to_have_count(2)


async def test_withdrawn_rights_make_the_list_what_a_reload_shows(live):
    page = await follow(live, user="wes")
    await expect(row(page, "will")).to_be_visible()
    await change(live.system, Permission, READS_USERS, permissions=IS_SELF)
    await expect(row(page, "will")).to_have_count(0)
    await expect(row(page, "wes")).to_be_visible()
    async with live.system.database.transaction() as connection:
        await connection.execute(delete(Permission).where(Permission.id == READS_USERS))

    await expect(row(page, "wes")).to_have_count(0)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Not available")


async def test_a_withdrawn_field_leaves_the_list(live):
    page = await follow(live, user="wes")
    await expect(row(page, "will")).to_contain_text("will@example.com")
    await change(live.system, Permission, READS_USERS, fields="id,first_name,status,role")

    await expect(page.get_by_text("will@example.com")).to_have_count(0)
    await expect(row(page, "will")).to_contain_text("Will")


async def test_a_suspended_user_is_led_to_the_sign_in_page(live):
    page = await follow(live, user="wes")
    await change(live.system, User, uid("wes"), status="suspended")

    await expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


async def test_the_users_of_a_role_are_updated_and_an_open_dialog_stays(live):
    page = await follow(live, f"/roles/{uid('role-Editor')}")
    section = page.get_by_role("region", name="Users in Role")
    await section.get_by_role("button", name="Cancel invitation").click()
    dialog = page.get_by_role("dialog", name="Cancel invitation")
    await change(live.system, User, uid("nora"), role_id=uid("role-Editor"))

    await expect(section.get_by_role("rowheader", name="Nora")).to_be_visible()
    await expect(dialog).to_be_visible()
    await change(live.system, User, uid("ida"), status="active")
    await expect(dialog).to_be_hidden()


@pytest.mark.parametrize(
    ("path", "table", "name"), [("/roles", Role, "role-Editor"), ("/policies", Policy, "policy-Editors")]
)
async def test_other_lists_are_updated_too(live, path, table, name):
    page = await follow(live, path)
    await change(live.system, table, uid(name), name="Redactors")

    await expect(page.get_by_role("link", name="Redactors", exact=True)).to_be_visible()


async def test_the_first_page_of_the_activity_is_updated(live):
    page = await follow(live, "/activity")
    latest = await page.locator("tbody tr").first.get_attribute("data-key")
    await live.open(user="wes")

    await expect(page.locator("tbody tr").first).not_to_have_attribute("data-key", latest)
    await expect(page.locator("tbody tr").first).to_contain_text("Wes")


async def test_updates_pause_while_the_tab_is_hidden(live):
    page, other = await follow(live), await follow(live)
    await page.evaluate(SET_VISIBILITY, "hidden")
    await change(live.system, User, uid("ed"), status="suspended")
    await expect(row(other, "ed")).to_contain_text("Suspended")
    await expect(row(page, "ed")).to_contain_text("Active")
    await page.evaluate(SET_VISIBILITY, "visible")

    await expect(row(page, "ed")).to_contain_text("Suspended")


async def test_updates_pause_until_the_user_resumes_them_also_on_the_next_page(live):
    page, other = await follow(live), await follow(live)
    pause = page.get_by_role("button", name="Pause live updates")
    await pause.click()
    await page.reload()
    await expect(pause).to_have_attribute("aria-pressed", "true")
    await change(live.system, User, uid("ed"), status="suspended")
    await expect(row(other, "ed")).to_contain_text("Suspended")
    await expect(row(page, "ed")).to_contain_text("Active")
    await pause.click()

    await expect(row(page, "ed")).to_contain_text("Suspended")
    await expect(pause).to_have_attribute("aria-pressed", "false")


async def test_a_lost_connection_is_made_again(chromium, directory):
    async with serving(directory.settings) as server:
        browsing = Browsing(chromium, url_of(server), directory)
        page = await follow(browsing)
    await change(directory, User, uid("ed"), status="suspended")
    async with serving(directory.settings, server.port):
        await expect(row(page, "ed")).to_contain_text("Suspended")
        await change(directory, User, uid("vi"), status="archived")
        await expect(row(page, "vi")).to_contain_text("Archived")
        await browsing.close()

    assert [fault for fault in browsing.faults if not fault.startswith(LOST_CONNECTION)] == []


@pytest.mark.skipif(requirements.is_axe_missing(), reason="axe-core is missing; `make test-browser` fetches it")
@sqlite_only
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_list_with_a_changed_row_is_accessible(live, scheme):
    page = await follow(live, scheme=scheme)
    await change(live.system, User, uid("ed"), last_name="Changed")
    await expect(row(page, "ed")).to_have_attribute("data-changed", "")

    assert await axe.violations(page) == []


@sqlite_only
async def test_without_realtime_a_page_neither_connects_nor_mentions_it(browsing):
    page, sockets = await browsing.open(user="ada"), []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    await page.goto("/admin/users", wait_until="networkidle")

    assert sockets == []
    assert await page.locator("[data-live-bar], [data-watched]").count() == 0
