"""The page of a user: what it shows to whom, and what can be done there."""

import pytest

from app.core.caller import SYSTEM
from tests.base_data import uid
from tests.flows.inviters import user_row
from tests.studio.grants import grant
from tests.studio.writers import sign_in_as


def buttons(page):
    return {" ".join(button.get_text().split()) for button in page.html.select("main button")}


def path(name, action=""):
    return f"/users/{uid(name)}{action}"


async def test_each_policy_names_where_it_comes_from(ada):
    page = await ada.get(path("ed"))
    policies = page.html.find(id="policies-title").parent.get_text(" ", strip=True)

    assert "Editors From the role Editor" in policies
    assert "Staff From the parent role Staff" in policies
    assert "Public: applies" not in policies
    assert page.has_link(f"/admin/policies/{uid('policy-Editors')}")
    assert page.has_link(f"/admin/roles/{uid('role-Staff')}")


async def test_public_policies_count_for_users_without_a_role(ada):
    assert "Public: applies to users without a role" in (await ada.get(path("nora"))).text


async def test_a_policy_is_attached_to_a_user_and_detached_again(ada):
    assigned = await ada.post(path("sam", "/policies"), {"policy": uid("policy-App")})
    page = await ada.get(path("sam"))

    assert assigned.location.endswith("?notice=policy-assigned")
    assert "App Attached to this user" in page.text
    form = page.html.find("input", {"name": "access"}).parent
    access = form.find("input", {"name": "access"})["value"]
    await ada.post(path("sam", "/policies/remove"), {"access": access})
    assert "Attached to this user" not in (await ada.get(path("sam"))).text.replace("Attach a policy to this user", "")


async def test_an_administrator_ends_sessions_of_a_user(ada, vi):
    page = await ada.get(path("vi"))
    session = page.html.find("input", {"name": "session"})["value"]
    ended = await ada.post(path("vi", "/sessions"), {"session": session})

    assert ended.location.endswith("?notice=session-ended-by-admin")
    assert (await vi.get("")).location == "/admin/sign-in?notice=session-ended"
    assert "No active session." in (await ada.get(path("vi"))).text


async def test_a_policy_must_be_chosen(ada):
    page = await ada.post(path("sam", "/policies"), {"policy": ""})

    assert page.status == 400
    assert "Choose a policy." in page.errors[0]
    assert page.text_at("#assign-policy option") == "Choose a policy"


async def test_a_user_is_suspended_and_activated_again(ada, vi):
    assert "all sessions end at once" in (await ada.get(path("vi"))).text_at("#confirm-suspend")

    suspended = await ada.post(path("vi", "/status"), {"status": "suspended"})

    assert suspended.location.endswith("?notice=user-suspended")
    assert (await vi.get("")).location == "/admin/sign-in?notice=session-ended"
    page = await ada.get(path("vi"))
    assert "Activate" in buttons(page)
    assert "Suspend" not in buttons(page)
    await ada.post(path("vi", "/status"), {"status": "active"})
    assert (await user_row(ada.system, "vi@example.com"))["status"] == "active"


async def test_own_accounts_are_not_suspended_with_a_button(ada):
    assert "Suspend" not in buttons(await ada.get(path("ada")))


async def test_an_administrator_removes_two_factor_authentication_of_others(ada):
    assert "Remove two-factor authentication" in (await ada.get(path("ed"))).text

    page = await ada.post(path("ed", "/tfa/remove"))

    assert page.location.endswith("?notice=tfa-removed")
    assert (await user_row(ada.system, "ed@example.com"))["tfa_secret"] is None
    assert "Remove two-factor authentication" not in (await ada.get(path("ed"))).text


async def test_a_generated_token_is_shown_once_and_works(ada):
    page = await ada.post(path("sam", "/token"))
    token = page.html.select_one(".secret").get_text()
    response = await ada.client.get("/users/me", headers={"authorization": f"Bearer {token}"})

    assert page.status == 200
    assert response.json()["data"]["id"] == uid("sam")
    assert token not in (await ada.get(path("sam"))).response.text
    await ada.post(path("sam", "/token/remove"))
    response = await ada.client.get("/users/me", headers={"authorization": f"Bearer {token}"})
    assert response.status_code == 401


async def test_deletion_says_what_it_takes_along(ada):
    page = await ada.get(path("kit", "/delete"))

    assert "Deleted along: sessions" in page.text
    deleted = await ada.post(path("kit", "/delete"))
    assert deleted.location == "/admin/users?notice=user-deleted"
    assert await user_row(ada.system, "kit@example.com") is None


async def test_files_of_a_deleted_user_stay_without_an_author(ada):
    files = ada.system.directory(SYSTEM)["files"]
    file = await files.create_one({"storage": "local", "filename_download": "a.txt", "uploaded_by": uid("kit")})
    assert "Kept without an author: 1 file." in (await ada.get(path("kit", "/delete"))).text

    page = await ada.post(path("kit", "/delete"))

    assert page.status == 303
    assert (await files.read_one(file, {"fields": ["uploaded_by"]}))["uploaded_by"] is None


async def test_deletion_of_an_author_is_refused_with_the_reason_to_those_who_may_not_change_files(studio, members):
    files = members.directory(SYSTEM)["files"]
    await files.create_one({"storage": "local", "filename_download": "a.txt", "uploaded_by": uid("will")})
    wes = await sign_in_as(studio, members, "wes")
    assert "refused as long as files name the user" in (await wes.get(path("will", "/delete"))).text

    page = await wes.post(path("will", "/delete"))

    assert page.status == 400
    assert page.errors == ["Files or other entries still refer to this user. Change them first."]


async def test_the_last_administrator_cannot_be_deleted(ada):
    page = await ada.post(path("ada", "/delete"))

    assert page.status == 422
    assert page.errors


async def test_activity_of_the_user_is_listed(ada):
    assert "Signed in" in (await ada.get(path("ada"))).text


def table(page, title):
    """The cells of the table of a section, row by row."""
    rows = page.html.find(id=title).find_parent("section").select("tbody tr")
    return [[" ".join(cell.get_text(" ").split()) for cell in row.find_all(["th", "td"])] for row in rows]


async def test_changes_of_a_user_name_who_did_them_and_the_changed_fields(ada):
    await ada.post("/users/bulk", {"ids": [uid("sam")], "action": "status", "status": "suspended"})

    page = await ada.get(path("sam"))

    assert table(page, "changes-title")[0][1:] == ["Ada", "Changed", "Status"]
    assert "Signed in" not in (await ada.get(path("ada"))).html.find(id="changes-title").find_parent("section").text
    entry = page.html.find(id="changes-title").find_parent("section").select_one("tbody th a")["href"]
    assert "suspended" in (await ada.get(entry.removeprefix("/admin"))).text
    link = next(a["href"] for a in page.html.find_all("a") if a.get_text() == "All changes to this user")
    assert "Changed" in (await ada.get(link.removeprefix("/admin"))).text


async def test_activity_of_a_user_names_the_rows_and_links_to_the_entries(ada):
    await ada.post("/users/bulk", {"ids": [uid("ed")], "action": "status", "status": "suspended"})

    page = await ada.get(path("ada"))

    assert table(page, "activity-title")[0][1:4] == ["Changed", "users", "Ed Edelman"]
    section = page.html.find(id="activity-title").find_parent("section")
    assert [cell.get_text() for cell in section.select("thead th")] == [
        "Time",
        "Action",
        "Collection",
        "Item",
        "IP address",
    ]
    assert section.select_one("tbody th a")["href"].startswith("/admin/activity/")


async def test_changes_are_shown_only_to_those_who_may_read_them(vi):
    assert not (await vi.get(path("ed"))).html.find(id="changes-title")
    await grant(vi.system, "read", "activity", "id,collection,item,action", permissions={"action": {"_eq": "delete"}})

    page = await vi.get(path("ed"))

    assert "There are no changes that you may see." in page.text


@pytest.mark.both_databases
async def test_a_limited_caller_sees_no_more_than_the_api_gives(vi):
    page = await vi.get(path("ed"))

    assert page.status == 200
    assert "Ed" in page.html.h1.get_text()
    assert "Edelman" not in page.text
    assert "ed@example.com" not in page.text
    assert buttons(page) == set()
    assert not page.html.find(id="policies-title")
    assert not page.html.find(id="activity-title")
    assert not page.html.find(id="security-title")


@pytest.mark.parametrize("name", ["nora", "nobody"])
async def test_a_user_out_of_sight_looks_like_one_that_does_not_exist(vi, name):
    page = await vi.get(path(name))

    assert page.status == 403
    assert "Not available" in page.text


@pytest.mark.parametrize(
    ("action", "values"),
    [
        ("/sessions", {}),
        ("/status", {"status": "suspended"}),
        ("/tfa/remove", {}),
        ("/token", {}),
        ("/token/remove", {}),
        ("/policies", {"policy": uid("policy-App")}),
        ("/policies/remove", {"access": uid("access-Staff-Staff-None")}),
        ("/delete", {}),
    ],
)
async def test_the_actions_are_refused_as_by_the_api(vi, action, values):
    before = await user_row(vi.system, "ed@example.com")

    page = await vi.post(path("ed", action), values)

    assert page.status in (400, 403)
    assert await user_row(vi.system, "ed@example.com") == before
