"""The GraphQL explorer in a browser: completion, answers, documents of pages, documentation, history, keyboard."""

import re

import pytest
from playwright.async_api import expect

from tests.browser import axe, requirements
from tests.browser.backends import sqlite_only


async def open_explorer(browsing, user="ada", fragment="", **options):
    """Return a page with the explorer, after it loaded the schema."""
    page = await browsing.open(f"/explorer{fragment}", user=user, **options)
    await expect(page.locator("[data-docs-browser]")).not_to_have_attribute("hidden", "")
    return page


async def write_document(page, text):
    """Type a document in place of the first one."""
    editor = page.get_by_label("Document", exact=True)
    await editor.fill("")
    await editor.press_sequentially(text)
    return editor


async def test_a_query_is_typed_with_completion_and_its_answer_appears(browsing):
    page = await open_explorer(browsing)
    editor = await write_document(page, "query Staff {\n")
    await editor.press("Control+Space")
    await expect(page.get_by_role("option", name="users_by_id")).to_be_visible()
    await editor.press_sequentially("users")
    await expect(editor).to_have_attribute("aria-activedescendant", "suggestion-0")
    await editor.press_sequentially("(li")
    await editor.press("Enter")
    await editor.press_sequentially(": 1) { ema")
    await editor.press("Enter")
    await editor.press_sequentially(" }\n}")
    await editor.press("Control+Enter")

    await expect(editor).to_have_value("query Staff {\n  users(limit: 1) { email }\n}")
    await expect(page.get_by_role("status").filter(has_text="HTTP status 200")).to_contain_text(" ms")
    await expect(page.get_by_role("region", name="Answer as JSON")).to_contain_text("@example.com")


async def test_completion_knows_only_what_the_user_may_read(browsing):
    page = await open_explorer(browsing, user="vi")
    await write_document(page, "{ users { ")
    await page.keyboard.press("Control+Space")
    options = await page.get_by_role("option").all_inner_texts()

    names = {option.split()[0] for option in options}
    assert "title" in names
    assert not names & {"email", "status", "role"}


async def test_a_long_document_scrolls_with_the_cursor(browsing):
    page = await open_explorer(browsing)
    editor = page.get_by_label("Document", exact=True)
    await editor.fill("query Ping {\n" + "  server_ping\n" * 100)
    await editor.press("Control+End")
    await editor.press_sequentially("us")

    await expect(page.get_by_role("option", name="users_by_id")).to_be_in_viewport()
    assert await page.evaluate("document.querySelector('.editor-text').scrollTop") > 500


async def test_an_error_leads_to_its_place(browsing):
    page = await open_explorer(browsing)
    editor = await write_document(page, "{ users { id nope } }")
    await page.get_by_role("button", name="Run").click()
    await page.get_by_role("button", name="line 1, column 14").click()

    await expect(editor).to_be_focused()
    assert await editor.evaluate("(element) => element.selectionStart") == 13


async def test_the_operation_at_the_cursor_runs(browsing):
    page = await open_explorer(browsing)
    editor = await write_document(page, "query A { a: server_ping }\nquery B { b: server_ping }")
    await expect(page.get_by_label("Operation to run")).to_have_value("B")
    await editor.press("Control+Home")
    await expect(page.get_by_label("Operation to run")).to_have_value("A")
    await page.get_by_label("Operation to run").select_option("B")
    await page.get_by_role("button", name="Run").click()

    await expect(page.get_by_role("region", name="Answer as JSON")).to_contain_text('"b": "pong"')


async def test_variables_that_are_not_json_are_reported_and_nothing_runs(browsing):
    page = await open_explorer(browsing)
    variables = page.get_by_label("Variables")
    await variables.fill('{"search": }')
    await variables.press("Control+Enter")

    await expect(page.get_by_role("alert")).to_have_text("The variables are not valid JSON: line 1, column 12.")
    await expect(variables).to_be_focused()
    await expect(page.get_by_text("Run the document to see its answer here.")).to_be_visible()


async def test_a_mutation_runs_with_the_session(browsing):
    page = await open_explorer(browsing)
    await write_document(page, 'mutation { update_users_me(data: {title: "Captain"}) { title } }')
    await page.keyboard.press("Control+Enter")

    await expect(page.get_by_role("region", name="Answer as JSON")).to_contain_text('"title": "Captain"')


async def test_a_page_leads_to_the_document_behind_it(browsing):
    page = await browsing.open("/users", user="ada")
    await page.get_by_text("GraphQL behind this page").click()
    await page.get_by_role("link", name="Open in the explorer").last.click()
    await expect(page.get_by_label("Document", exact=True)).to_have_value(re.compile(r"^query Users"))
    await page.get_by_role("button", name="Run").click()

    await expect(page.get_by_role("status").filter(has_text="HTTP status 200")).not_to_contain_text("errors")


async def test_a_query_of_the_documentation_becomes_an_operation(browsing):
    page = await open_explorer(browsing)
    await page.get_by_label("Document", exact=True).fill("")
    await page.get_by_role("tab", name="Documentation").click()
    await page.get_by_label("Search types and fields").fill("users_by")
    await page.get_by_role("button", name="users_by_id", exact=True).first.click()

    editor = page.get_by_label("Document", exact=True)
    await expect(editor).to_be_focused()
    assert (await editor.input_value()).startswith("query UsersById($id: ID!) {\n  users_by_id(id: $id) {\n    id\n")


async def test_the_history_has_documents_without_answers_and_secrets(browsing):
    page = await open_explorer(browsing)
    await write_document(page, 'query Search { users(search: "Edelman") { email } }')
    await page.get_by_label("Variables").fill('{"password": "hidden"}')
    await page.keyboard.press("Control+Enter")
    await expect(page.get_by_role("region", name="Answer as JSON")).to_contain_text("ed@example.com")
    stored = await page.evaluate("JSON.stringify(localStorage)")
    await page.reload()
    await page.get_by_role("tab", name="History").click()

    assert "Edelman" in stored
    assert "ed@example.com" not in stored
    assert "hidden" not in stored
    await expect(page.get_by_role("button", name="Search")).to_be_visible()
    await page.get_by_role("button", name="Clear the history").click()
    assert await page.evaluate("localStorage.length") == 0


async def test_the_curl_command_has_no_session(browsing):
    page = await open_explorer(browsing, permissions=["clipboard-read", "clipboard-write"])
    await page.get_by_role("button", name="Copy as curl").click()
    await expect(page.get_by_role("status").filter(has_text="Copied")).to_be_visible()
    command = await page.evaluate("navigator.clipboard.readText()")
    tokens = [cookie["value"] for cookie in await page.context.cookies()]

    assert command.startswith(f"curl '{browsing.base_url}/graphql/system'")
    assert "$ROLLCALL_TOKEN" in command
    assert tokens
    assert not any(token in command for token in tokens)


async def test_the_keyboard_leaves_the_editor_with_tab_and_its_suggestions_with_escape(browsing):
    page = await open_explorer(browsing)
    editor = await write_document(page, "{ us")
    await expect(page.get_by_role("listbox")).to_be_visible()
    await editor.press("Escape")
    await expect(page.get_by_role("listbox")).to_be_hidden()
    await editor.press("Control+Space")
    await editor.press("Tab")

    await expect(page.get_by_role("listbox")).to_be_hidden()
    await expect(page.get_by_label("Variables")).to_be_focused()


async def test_an_ended_session_is_reported_with_the_way_to_sign_in(browsing):
    page = await open_explorer(browsing)
    await page.context.clear_cookies()
    await write_document(page, "{ users { id } }")
    await page.keyboard.press("Control+Enter")

    await expect(page.get_by_role("link", name="Your session has ended. Sign in again.")).to_be_visible()


async def test_without_javascript_the_page_says_that_it_needs_it(browsing):
    page = await browsing.open("/explorer", user="ada", javascript=False)

    await expect(page.get_by_text("The explorer needs JavaScript.")).to_be_visible()
    await expect(page.get_by_role("button", name="Run")).to_be_hidden()


@pytest.mark.skipif(requirements.is_axe_missing(), reason="axe-core is missing; `make test-browser` fetches it")
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 320)])
@sqlite_only
async def test_its_suggestions_answers_and_panels_are_accessible(browsing, scheme, width):
    page = await open_explorer(browsing, scheme=scheme, width=width)
    editor = await write_document(page, "{ users { id nope us")
    await expect(page.get_by_role("listbox")).to_be_visible()
    found = await axe.violations(page)
    await editor.press_sequentially(" } }")
    await editor.press("Control+Enter")
    await expect(page.get_by_role("button", name="line 1, column 14")).to_be_visible()
    found += await axe.violations(page)
    for name in ("Documentation", "History"):
        await page.get_by_role("tab", name=name).click()
        found += await axe.violations(page)

    assert found == []
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
