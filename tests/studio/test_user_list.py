"""The list of users: its state is in the address, and it shows no more than the API."""

from urllib.parse import parse_qs, urlsplit

import pytest

from app.db.models import User
from tests.base_data import uid
from tests.http.clients import count_rows


def emails(page):
    return [cell.get_text(strip=True) for cell in page.html.select("tbody td:nth-of-type(2)")]


def headers(page):
    return [" ".join(cell.get_text().split()).rstrip("▲▼ ") for cell in page.html.select("thead th")]


def header(page, label):
    return next(cell for cell in page.html.select("thead th") if label in cell.get_text())


async def test_users_are_sorted_by_email_and_paginated(ada):
    page = await ada.get("/users")

    assert page.status == 200
    assert emails(page) == sorted(emails(page))
    assert "users" in page.html.select_one(".list-summary").get_text()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("search=edel", ["ed"]),
        ("search=ed+edel", ["ed"]),
        ("search=EXAMPLE.com+ada", ["ada"]),
        ("search=nobody", []),
        ("search=%25", []),
        ("status=suspended", ["pip", "sue"]),
        (f"role={uid('role-Editor')}", ["ed", "ida"]),
        (f"role={uid('role-Editor')}&status=invited", ["ida"]),
        ("last_access=quarter", ["ed"]),
        ("last_access=never&search=sam", ["sam"]),
    ],
)
async def test_search_and_filters_are_combined(ada, query, expected):
    page = await ada.get(f"/users?{query}")

    assert emails(page) == [f"{name}@example.com" for name in expected]


async def test_users_without_a_role_can_be_listed(ada):
    listed = emails(await ada.get("/users?role=none"))

    assert "nora@example.com" in listed
    assert "ada@example.com" not in listed


async def test_a_header_sorts_by_its_column_and_keeps_the_rest_of_the_state(ada):
    page = await ada.get("/users?status=active&sort=name")

    assert header(page, "Name")["aria-sort"] == "ascending"
    link = urlsplit(header(page, "Name").a["href"])
    assert parse_qs(link.query) == {"status": ["active"], "sort": ["-name"]}
    back = await ada.get(f"/users?{link.query}")
    assert header(back, "Name")["aria-sort"] == "descending"
    assert emails(back) != emails(page)
    assert sorted(emails(back)) == sorted(emails(page))


async def test_initials_are_the_same_as_in_the_navigation(ada):
    page = await ada.get("/users?search=ada")

    assert page.text_at("tbody .avatar").strip() == page.text_at(".account .avatar").strip() == "A"
    assert (await ada.get("/users?search=edelman")).text_at("tbody .avatar").strip() == "EE"


async def test_columns_are_chosen_in_the_address(ada):
    page = await ada.get("/users?columns=name&columns=title")

    assert headers(page)[1:] == ["Name", "Title"]


@pytest.mark.parametrize(
    "query", ["page=0", "page=-1", "page=x", "size=7", "sort=password", "sort=-no_such", "columns=token", "status=%20"]
)
async def test_what_an_address_asks_for_in_vain_is_ignored(ada, query):
    page = await ada.get(f"/users?{query}")

    assert page.status == 200
    assert len(page.html.select("tbody tr")) > 5


async def test_a_wrong_filter_is_reported(ada):
    page = await ada.get("/users?role=no-key")

    assert page.status == 200
    assert page.errors == ["role: This value is not valid for this filter."]


async def test_a_page_beyond_the_last_one_leads_back(ada):
    page = await ada.get("/users?page=99")

    assert page.status == 200
    assert "No matching users" in page.text


async def test_a_script_gets_only_the_results(ada):
    page = await ada.get("/users?search=ada", {"studio-fragment": "results"})

    assert page.html.find(id="results")
    assert not page.html.find("html")


async def test_a_limited_caller_sees_the_columns_and_rows_of_the_api(vi):
    page = await vi.get("/users?columns=name&columns=email&columns=status&columns=title&columns=token")

    assert headers(page) == ["Name", "Title"]
    assert "@example.com" not in page.html.find(id="results").get_text()
    assert not page.html.find("form", {"id": "bulk"})
    assert not page.html.find("input", {"name": "ids"})
    assert not page.has_link("/admin/users/new")


async def test_the_export_has_the_filter_the_order_and_the_columns_of_the_list(ada):
    page = await ada.get("/users?search=edel&sort=-email&columns=email&columns=role")
    link = next(a["href"] for a in page.html.find_all("a", download=True) if a.get_text() == "CSV")
    cookie = "; ".join(f"{name}={value}" for name, value in ada.cookies.items())
    response = await ada.client.get(link, headers={"cookie": cookie})

    assert response.headers["content-type"].startswith("text/csv")
    assert "attachment" in response.headers["content-disposition"]
    lines = response.text.replace('"', "").splitlines()
    assert lines == ["first_name,last_name,email,role.name", "Ed,Edelman,ed@example.com,Editor"]


@pytest.mark.parametrize(
    ("values", "field", "expected"),
    [
        ({"action": "status", "status": "suspended"}, "status", "suspended"),
        ({"action": "role", "role": uid("role-Viewer")}, "role", {"id": uid("role-Viewer")}),
        ({"action": "role", "role": "none"}, "role", None),
    ],
)
async def test_selected_users_are_changed_and_the_list_keeps_its_state(ada, values, field, expected):
    ids = [uid("ed"), uid("sam")]
    page = await ada.post("/users/bulk", {"ids": ids, "state": "sort=-email&columns=name&columns=email", **values})

    notice = "users-suspended" if field == "status" else "users-updated"
    assert page.location == f"/admin/users?sort=-email&columns=name&columns=email&notice={notice}&count=2"
    directory = await ada.system.as_user("ada@example.com")
    names = ["role.id"] if field == "role" else [field]
    rows = await directory["users"].read_many(ids, {"fields": names})
    assert [row[field] for row in rows] == [expected, expected]


async def test_a_rejected_action_changes_nothing_and_keeps_the_selection(ada):
    ids = [uid("ada"), uid("ed")]
    page = await ada.post("/users/bulk", {"ids": ids, "action": "status", "status": "suspended"})

    assert page.status == 422
    assert page.errors
    checked = [box["value"] for box in page.html.find_all("input", {"name": "ids"}) if box.has_attr("checked")]
    assert sorted(checked) == sorted(ids)
    assert "ed@example.com" in emails(await ada.get("/users?status=active"))


async def test_the_message_names_the_number_of_users_and_the_status(ada):
    page = await ada.get("/users?notice=users-suspended&count=3")

    assert page.text_at("[data-notice]") == "3 users suspended and signed out."
    assert "1 user activated." in (await ada.get("/users?notice=users-active&count=1")).text
    assert not (await ada.get("/users?notice=users-active&count=x")).html.select("[data-notice]")


@pytest.mark.parametrize(("action", "error"), [("status", "Choose a status."), ("role", "Choose a role.")])
async def test_a_status_or_a_role_must_be_chosen(ada, action, error):
    page = await ada.post("/users/bulk", {"ids": [uid("sam")], "action": action, action: ""})

    assert page.status == 400
    assert error in page.errors[0]
    assert page.text_at(f"#bulk-{action} option") == "Choose…"


async def test_an_action_needs_a_selection(ada):
    page = await ada.post("/users/bulk", {"action": "status", "status": "suspended"})

    assert page.status == 400
    assert page.errors == ["Select at least one user."]


async def test_deletion_is_confirmed_on_a_page_that_says_how_many(ada):
    values = {"ids": [uid("sam"), uid("kit")], "action": "delete", "state": "status=active"}
    before = await count_rows(ada.system, User)
    page = await ada.post("/users/bulk", values)

    assert page.status == 200
    assert "Delete 2 users?" in page.text
    assert "sam@example.com" in page.text
    assert await count_rows(ada.system, User) == before
    done = await ada.post("/users/bulk", {**values, "confirmed": "true"})
    assert done.location == "/admin/users?status=active&notice=users-deleted&count=2"
    assert await count_rows(ada.system, User) == before - 2


async def test_sessions_of_selected_users_are_ended(ada, vi):
    page = await ada.post("/users/bulk", {"ids": [uid("vi"), uid("ada")], "action": "sessions"})

    assert page.location == "/admin/users?notice=sessions-ended&count=2"
    assert (await vi.get("")).location == "/admin/sign-in?notice=session-ended"
    assert (await ada.get("")).status == 200


@pytest.mark.parametrize("action", ["status", "role", "sessions", "delete"])
async def test_the_actions_are_refused_as_by_the_api(vi, action):
    values = {"ids": [uid("ada")], "action": action, "status": "active", "confirmed": "true"}

    assert (await vi.post("/users/bulk", values)).status in (400, 403)
