"""Actions on all users that match the list's search and filters: they ask first, and change just those they named."""

import pytest

from app.db.models import User
from app.studio.pages.users import user_list
from tests.base_data import uid
from tests.flows.inviters import user_row
from tests.http.clients import count_rows
from tests.studio.grants import insert_rows

SUSPENDED = {"matching": "true", "state": "status=suspended&sort=-email", "action": "status", "status": "draft"}


def hidden_values(page):
    """The values that the form of a page sends again, without its token."""
    fields = page.html.select('main form input[type="hidden"]')
    return {field["name"]: field["value"] for field in fields if field["name"] != "form_token"}


async def statuses(browser, *names):
    return [(await user_row(browser.system, f"{name}@example.com"))["status"] for name in names]


async def test_all_matching_users_are_named_and_then_changed(ada):
    page = await ada.post("/users/bulk", SUSPENDED)

    assert page.text_at("h1") == "Set the status of 2 users to “Draft”?"
    assert len(page.html.select("main .consequences li")) == 2
    assert "all users that match" in page.text
    assert await statuses(ada, "pip", "sue") == ["suspended", "suspended"]
    done = await ada.post("/users/bulk", hidden_values(page))
    assert done.location == "/admin/users?status=suspended&sort=-email&notice=users-draft&count=2"
    assert await statuses(ada, "pip", "sue", "ed") == ["draft", "draft", "active"]


async def test_a_confirmation_counts_only_for_the_users_it_was_about(ada):
    values = hidden_values(await ada.post("/users/bulk", SUSPENDED))
    await ada.post(f"/users/{uid('ed')}/status", {"status": "suspended"})

    page = await ada.post("/users/bulk", values)

    assert page.status == 409
    assert page.errors == ["Other users match now. Check them again."]
    assert page.text_at("h1") == "Set the status of 3 users to “Draft”?"
    assert await statuses(ada, "pip", "ed") == ["suspended", "suspended"]
    assert (await ada.post("/users/bulk", hidden_values(page))).status == 303


@pytest.mark.parametrize("confirmed", ["", "true"])
async def test_nothing_is_changed_without_a_confirmation(ada, confirmed):
    assert (await ada.post("/users/bulk", {**SUSPENDED, "confirmed": confirmed})).status == 409
    assert await statuses(ada, "pip", "sue") == ["suspended", "suspended"]


async def test_a_list_without_a_filter_says_so(ada):
    page = await ada.post("/users/bulk", {"matching": "true", "action": "role", "role": uid("role-Viewer")})

    assert "these are all users that you may see" in page.text
    assert "Your own account is among them." in page.text
    assert "“Viewer”?" in page.text_at("h1")
    assert page.html.select("main .consequences li")[-1].get_text().startswith("and ")


async def test_all_matching_users_are_deleted(ada):
    before = await count_rows(ada.system, User)
    values = {"matching": "true", "state": "search=sam%40example.com", "action": "delete"}
    page = await ada.post("/users/bulk", values)

    assert page.text_at("h1") == "Delete 1 user?"
    assert await count_rows(ada.system, User) == before
    done = await ada.post("/users/bulk", hidden_values(page))
    assert done.location == "/admin/users?search=sam%40example.com&notice=users-deleted&count=1"
    assert await count_rows(ada.system, User) == before - 1


async def test_sessions_of_all_matching_users_are_ended(ada, vi):
    values = {"matching": "true", "state": "search=vi%40example.com", "action": "sessions"}
    page = await ada.post("/users/bulk", values)

    assert page.text_at("h1") == "End the sessions of 1 user?"
    assert (await vi.get("")).status == 200
    assert (await ada.post("/users/bulk", hidden_values(page))).status == 303
    assert (await vi.get("")).location == "/admin/sign-in?notice=session-ended"


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("role=no-key", "Correct the filters of the list first."),
        ("search=nobody", "Select at least one user."),
    ],
)
async def test_a_list_that_selects_no_certain_users_changes_none(ada, state, error):
    page = await ada.post("/users/bulk", {**SUSPENDED, "state": state})

    assert page.status == 400
    assert error in page.errors


async def test_a_number_of_users_that_would_take_too_long_is_rejected(ada, monkeypatch):
    monkeypatch.setattr(user_list, "MAX_MATCHING", 3)

    page = await ada.post("/users/bulk", {**SUSPENDED, "state": ""})

    assert page.status == 400
    assert page.errors == ["At most 3 users can be changed at once. Narrow the list with the search or a filter."]
    assert (await ada.post("/users/bulk", SUSPENDED)).status == 200


async def test_they_are_offered_if_the_list_has_several_pages(ada, monkeypatch):
    rows = [{"id": uid(f"matching-{number}"), "email": f"match{number}@example.com"} for number in range(26)]
    await insert_rows(ada.system, User, *rows)

    page = await ada.get("/users?search=match")

    assert page.text_at("[data-all-matching]").strip() == "Select all 26 users on all pages"
    assert (await ada.get("/users?search=sam")).html.select("[data-all-matching]") == []
    monkeypatch.setattr(user_list, "MAX_MATCHING", 3)
    assert "at most 3 users" in (await ada.get("/users")).text_at("[data-all-matching]")


@pytest.mark.parametrize("action", ["status", "role", "sessions", "delete"])
async def test_the_actions_are_refused_as_by_the_api(vi, action):
    values = {"matching": "true", "action": action, "status": "active", "role": "none"}
    page = await vi.post("/users/bulk", values)
    if page.status == 200:
        page = await vi.post("/users/bulk", hidden_values(page))

    assert page.status in (400, 403)
