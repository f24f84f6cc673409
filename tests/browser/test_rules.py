"""Building the rule of a permission with a browser: rows of controls and JSON are two views of one value."""

import json

import pytest_asyncio
from playwright.async_api import expect

from tests.base_data import caller, uid
from tests.flows.inviters import update_user

READ_USERS = f"/policies/{uid('policy-Writers')}/directus_users/read"


@pytest_asyncio.fixture
async def editor(browsing):
    """The page of the permission of writers to read users, with an empty rule."""
    page = await browsing.open(READ_USERS, user="ada")
    await expect(page.get_by_label("Comparison").first).to_be_visible()
    await page.locator("details", has=page.locator("[name=permissions]")).locator("summary").click()
    await page.locator("[name=permissions]").fill("")
    return page


async def rule_of(page):
    """Return the value of the JSON field."""
    return json.loads(await page.locator("[name=permissions]").input_value())


async def test_a_built_rule_is_what_its_holders_see(editor, directory):
    await editor.get_by_role("button", name="Add condition").click()
    await editor.get_by_label("Value", exact=True).select_option("suspended")

    assert await rule_of(editor) == {"status": {"_eq": "suspended"}}
    await expect(editor.locator("#preview")).to_contain_text("rows match.")
    await editor.get_by_role("button", name="Save permission").click()
    await expect(editor.locator("[data-notice]")).to_contain_text("The permission was saved and applies now.")
    seen = await directory.directory(caller("wes"))["users"].read_by_query({"fields": ["id", "status"]})
    assert {row["status"] for row in seen} == {"suspended"}
    assert uid("sue") in {row["id"] for row in seen}


async def test_a_path_leads_through_relations_and_groups_are_nested(editor):
    await editor.get_by_role("button", name="Add condition").click()
    await editor.get_by_label("Field").first.select_option("policies")
    await editor.get_by_label("Field").nth(1).select_option("_some")
    await editor.get_by_label("Field").nth(2).select_option("policy")
    await editor.get_by_label("Field").nth(3).select_option("name")
    await editor.get_by_label("Comparison").select_option("_contains")
    await editor.get_by_label("Value", exact=True).fill("Staff")
    await editor.get_by_role("button", name="Add group").click()
    group = editor.locator(".rule-group.nested")
    await group.get_by_role("button", name="Add condition").click()
    await group.get_by_label("Field").select_option("last_access")
    await group.get_by_label("Comparison").select_option("_between")
    await group.get_by_label("From").fill("$NOW(-30 days)")
    await group.get_by_label("To", exact=True).fill("$NOW")

    assert await rule_of(editor) == {
        "_and": [
            {"policies": {"_some": {"policy": {"name": {"_contains": "Staff"}}}}},
            {"_or": [{"last_access": {"_between": ["$NOW(-30 days)", "$NOW"]}}]},
        ]
    }


async def test_json_that_the_builder_cannot_show_is_kept(editor):
    same_row = {"policies": {"_some": {"sort": {"_null": True}, "policy": {"name": {"_eq": "Staff"}}}}}
    await editor.locator("[name=permissions]").fill(json.dumps({"status": {"_eq": "active"}, **same_row}))
    await expect(editor.get_by_text("This part can only be edited as JSON.")).to_be_visible()
    await editor.get_by_label("Value", exact=True).select_option("archived")

    assert await rule_of(editor) == {"_and": [{"status": {"_eq": "archived"}}, same_row]}


async def test_a_condition_without_a_value_is_marked_where_it_is(editor):
    await editor.get_by_role("button", name="Add condition").click()
    await expect(editor.locator("#preview")).to_contain_text("Enter a value for each condition")
    await editor.get_by_role("button", name="Save permission").click()

    await expect(editor.get_by_text("Enter a value.", exact=True)).to_be_visible()
    await expect(editor.get_by_label("Value", exact=True)).to_have_attribute("aria-invalid", "true")


async def test_single_fields_can_be_checked_only_if_they_are_chosen(editor):
    await editor.get_by_label("All fields").check()
    await expect(editor.get_by_label("title", exact=True)).to_be_disabled()
    await editor.get_by_label("Only these fields").check()
    await editor.get_by_label("title", exact=True).check()


async def test_the_preview_names_the_line_of_an_error(editor):
    await editor.locator("[name=permissions]").fill('{\n "nope": 1\n}')

    await expect(editor.locator("#preview")).to_contain_text("Line 2, column 2")


async def test_the_builder_is_used_by_keyboard_only(editor):
    await editor.get_by_role("button", name="Add condition").focus()
    await editor.keyboard.press("Enter")
    await expect(editor.get_by_label("Field", exact=True)).to_be_focused()
    await editor.keyboard.press("Tab")
    await expect(editor.get_by_label("Comparison")).to_be_focused()
    await editor.keyboard.press("Tab")
    await editor.keyboard.type("draft")
    assert await rule_of(editor) == {"status": {"_eq": "draft"}}
    await editor.keyboard.press("Tab")
    await editor.keyboard.press("Enter")

    await expect(editor.get_by_role("button", name="Add condition")).to_be_focused()
    await expect(editor.locator("[name=permissions]")).to_have_value("")


async def test_a_changed_cell_is_unsaved_until_the_only_save_button_is_pressed(browsing):
    page = await browsing.open(f"/policies/{uid('policy-Writers')}", user="ada")
    save = page.get_by_role("button", name="Save policy and permissions")
    await expect(page.get_by_text("Not saved yet")).to_be_hidden()
    await expect(page.get_by_text("Everything is saved")).to_be_visible()
    await expect(save).not_to_contain_class("primary")
    await page.get_by_label("Roles: Update").select_option("all")
    await expect(page.get_by_text("Not saved yet")).to_be_visible()
    await expect(page.get_by_text("Everything is saved")).to_be_hidden()
    await expect(save).to_contain_class("primary")

    questions = []

    async def stay(dialog):
        questions.append(dialog.type)
        await dialog.dismiss()

    page.once("dialog", stay)
    await page.get_by_role("link", name="Overview").click(no_wait_after=True)
    await expect(page.get_by_text("Not saved yet")).to_be_visible()
    await page.get_by_role("button", name="Save policy and permissions").click()

    await expect(page.locator("[data-notice]")).to_have_text("The policy and its permissions were saved.")
    await expect(page.get_by_label("Roles: Update")).to_have_value("all")
    assert questions == ["beforeunload"]


async def test_presets_are_built_from_fields_and_values(browsing):
    page = await browsing.open(READ_USERS.replace("/read", "/create"), user="ada")
    builder = page.locator("[data-builder=presets]")
    await builder.get_by_role("button", name="Add value").click()
    await builder.get_by_label("Field").last.select_option("language")
    await builder.get_by_label("Value").last.fill("de-DE")

    presets = json.loads(await page.locator("[name=presets]").input_value())
    assert presets["language"] == "de-DE"
    assert presets["role"] == "$CURRENT_ROLE"


async def test_without_scripts_a_rule_is_previewed_and_saved(browsing):
    page = await browsing.open(READ_USERS, user="ada", javascript=False)
    await page.locator("[name=permissions]").fill('{"id": {"_eq": "$CURRENT_USER"}}')
    await page.get_by_role("button", name="Preview", exact=True).click()
    await expect(page.locator("#preview")).to_contain_text("1 row matches.")
    await page.get_by_role("button", name="Save permission").click()

    await expect(page.locator("[data-notice]")).to_contain_text("The permission was saved and applies now.")


async def test_the_preview_fits_beside_the_fields_if_values_are_long(editor, directory):
    await update_user(directory, "sue", email=f"{'long' * 12}@example.com")
    await editor.locator("[name=permissions]").fill(json.dumps({"id": {"_eq": uid("sue")}}))

    await expect(editor.locator("#preview")).to_contain_text("longlong")
    frame = editor.locator("#preview .table-frame")
    assert await frame.evaluate("element => element.scrollWidth - element.clientWidth") == 0
