"""The list of users in a browser: search while typing, selection, and the picture."""

import struct
import zlib

from playwright.async_api import expect

from app.db.models import User
from tests.base_data import uid
from tests.studio.grants import insert_rows


def png(width, height):
    """Return an image without any compression, so that it is large."""
    rows = b"".join(b"\0" + bytes(3 * width) for _ in range(height))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b"")


async def test_search_while_typing_selection_and_back(browsing):
    page = await browsing.open("/users", user="ada")
    await page.get_by_label("Search").press_sequentially("ed edel")
    await expect(page.locator(".list-summary")).to_have_text("1 user")
    await expect(page).to_have_url("/admin/users?search=ed+edel")
    await page.get_by_label("Select all users on this page").check()
    await expect(page.locator("#bulk")).to_contain_text("1 selected")

    await page.get_by_role("link", name="Ed Edelman").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Ed Edelman")
    await page.go_back()

    await expect(page.get_by_label("Search")).to_have_value("ed edel")
    await expect(page.locator(".list-summary")).to_have_text("1 user")


async def test_a_large_picture_is_made_smaller_before_it_is_uploaded(browsing):
    page = await browsing.open(f"/users/{uid('ed')}", user="ada")
    await page.get_by_text("Change picture").click()
    picture = {"name": "large.png", "mimeType": "image/png", "buffer": png(1200, 900)}
    await page.get_by_label("Picture").set_input_files(picture)
    await expect(page.locator("[data-picture] img")).to_be_visible()
    await page.get_by_role("button", name="Save picture").click()

    await expect(page.get_by_role("status")).to_have_text("The picture was saved.")
    await expect(page.locator("[data-picture] img")).to_have_js_property("naturalWidth", 512)


async def test_all_users_of_several_pages_are_changed_after_a_confirmation(browsing):
    rows = [{"id": uid(f"many-{number}"), "email": f"many{number}@example.com"} for number in range(30)]
    await insert_rows(browsing.system, User, *rows)
    page = await browsing.open("/users?search=many", user="ada")
    everyone = page.get_by_label("Select all 30 users on all pages")
    await expect(everyone).to_be_hidden()
    await page.get_by_label("Select all users on this page").check()
    await expect(page.locator("#bulk")).to_contain_text("25 selected")
    await everyone.check()
    await expect(page.locator("#bulk")).to_contain_text("30 selected")
    await page.get_by_label("New status").select_option("suspended")
    await page.get_by_role("button", name="Set status").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Set the status of 30 users to “Suspended”?")
    await page.get_by_role("button", name="Change 30 users").click()

    await expect(page.get_by_role("status").first).to_have_text("30 users suspended and signed out.")
    await expect(page.get_by_label("Search")).to_have_value("many")
