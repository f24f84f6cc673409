"""The audit log: its filters and pages, what each entry changed, and what a limited user sees of it."""

from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from sqlalchemy import delete, select

from app.core.clock import utc_now
from app.db.models import Activity, Revision
from app.query.sql_expressions import MASK
from app.studio.pages.activity.activity import PAGE_SIZE
from app.studio.pages.activity.revision_changes import shown_value
from tests.base_data import uid
from tests.studio.grants import grant, insert_rows

LAST_MAY = datetime(2024, 5, 31, 23, 59, 59, tzinfo=UTC)


def entry(number, action="update", user="ed", item="vi", collection="users", **values):
    row = {"id": number, "action": action, "user_id": uid(user), "item": uid(item), "ip": "192.0.2.9"}
    return {**row, "collection": f"directus_{collection}", "timestamp": utc_now(), **values}


def revision(number, data, delta=None, item="vi", activity=None):
    row = {"id": number, "activity_id": activity or number, "collection": "directus_users", "item": uid(item)}
    return {**row, "data": data, "delta": data if delta is None else delta}


def listed(page):
    """The ids of the entries in a page."""
    return [int(row.th.a["href"].rpartition("/")[2]) for row in page.html.select("tbody tr")]


def changes(page):
    return [
        tuple(cell.get_text(" ", strip=True) for cell in row(["th", "td"])) for row in page.html.select(".changes tr")
    ]


@pytest_asyncio.fixture
async def log(members):
    """An audit log of five entries, besides those of signing in."""
    await insert_rows(
        members,
        Activity,
        entry(1001, "login", "vi", "vi", timestamp=LAST_MAY - timedelta(days=1)),
        entry(1002, "create", "ada", "vi", timestamp=LAST_MAY),
        entry(1003, "update", "ed", "role-Viewer", "roles"),
        entry(1004, "update", "ed", "vi"),
        entry(1005, "delete", "gone", "gone"),
    )


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", [1005, 1004, 1003, 1002, 1001]),
        ("action=update", [1004, 1003]),
        ("collection=directus_roles", [1003]),
        (f"user={uid('ed')}", [1004, 1003]),
        ("user=ED@example.com", [1004, 1003]),
        (f"user={uid('ed')}&collection=directus_users", [1004]),
        (f"item={uid('vi')}&collection=directus_users", [1004, 1002, 1001]),
        ("to=2024-05-31", [1002, 1001]),
        ("from=2024-05-31&to=2024-05-31", [1002]),
        ("from=2024-06-01&to=2024-06-30", []),
        ("action=nothing", []),
        ("before=1003", [1002, 1001]),
        ("before=1005&action=update", [1004, 1003]),
    ],
)
async def test_entries_are_filtered_by_the_address(ada, log, query, ids):
    page = await ada.get(f"/activity?{query}")

    assert page.status == 200
    assert [number for number in listed(page) if number in range(1001, 1006)] == ids


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        ("from=yesterday", "from", "Enter a date such as 2026-01-31."),
        ("to=9999-12-31", "to", "Enter a date such as 2026-01-31."),
        ("user=nobody@example.com", "user", "No user has this email address."),
    ],
)
async def test_a_wrong_filter_is_reported_at_its_field(ada, log, query, field, message):
    page = await ada.get(f"/activity?{query}")

    assert page.status == 400
    assert page.html.find(id=f"error-{field}").get_text() == message
    assert not page.html.select("tbody")


async def test_pages_lead_to_older_and_newer_entries_without_a_gap(ada, members):
    await insert_rows(members, Activity, *(entry(5000 + number) for number in range(2 * PAGE_SIZE + 3)))
    page, pages = await ada.get("/activity?action=update"), []
    while True:
        pages.append(listed(page))
        older = page.html.find("a", rel="next")
        if older is None:
            break
        page = await ada.get(older["href"].removeprefix("/admin"))

    assert [len(each) for each in pages] == [PAGE_SIZE, PAGE_SIZE, 3]
    ids = [number for each in pages for number in each]
    assert ids == sorted(ids, reverse=True)
    newer = await ada.get(page.html.find("a", rel="prev")["href"].removeprefix("/admin"))
    assert listed(newer) == pages[1]
    newest = await ada.get(newer.html.find("a", rel="prev")["href"].removeprefix("/admin"))
    assert listed(newest) == pages[0]
    assert newest.html.find("a", rel="prev") is None


async def test_entries_link_to_users_and_items_that_exist(ada, log):
    page = await ada.get("/activity")
    rows = dict(zip(listed(page), page.html.select("tbody tr"), strict=True))

    assert rows[1004].find("a", href=f"/admin/users/{uid('ed')}").get_text() == "Ed Edelman"
    assert rows[1004].find("a", href=f"/admin/users/{uid('vi')}").get_text() == "Vi"
    assert rows[1003].find("a", href=f"/admin/roles/{uid('role-Viewer')}").get_text() == "Viewer"
    assert len(rows[1005].find_all("a")) == 1
    assert "not available" in rows[1005].get_text()


async def test_a_change_shows_the_values_before_and_after(ada, members, log):
    before = {"first_name": "Vi", "title": None, "tags": ["a"], "password": MASK, "language": "en-US"}
    delta = {"first_name": "Violet", "title": "Viewer", "tags": ["a", "b"], "password": MASK, "last_name": None}
    await insert_rows(members, Revision, revision(1002, before), revision(1003, {"first_name": "Ed"}, item="ed"))
    await insert_rows(members, Revision, revision(1004, {**before, **delta}, delta))
    page = await ada.get("/activity/1004")

    assert changes(page) == [
        ("Field", "Before", "After"),
        ("first_name", "Vi", "Violet"),
        ("title", "empty", "Viewer"),
        ("tags", '[\n  "a"\n]', '[\n  "a",\n  "b"\n]'),
        ("password", "concealed", "concealed"),
        ("last_name", "not recorded", "empty"),
    ]
    assert page.html.select(".changes ins code.value")[0].get_text() == '[\n  "a",\n  "b"\n]'
    assert MASK not in page.response.text
    assert page.has_link(f"/admin/users/{uid('vi')}")


async def test_the_keys_of_other_rows_are_shown_as_their_names(ada, members, log):
    gone, viewer = uid("gone"), uid("role-Viewer")
    await insert_rows(members, Revision, revision(1003, {"role": gone}), revision(1004, {"role": viewer}))
    page = await ada.get("/activity/1004")

    assert changes(page) == [("Field", "Before", "After"), ("role", gone, "Viewer")]
    assert page.html.select_one(".changes ins a")["href"] == f"/admin/roles/{viewer}"


async def test_the_title_of_an_entry_says_what_was_done(ada, log):
    assert (await ada.get("/activity/1004")).text_at("h1") == "Changed: Vi"
    assert (await ada.get("/activity/1005")).text_at("h1") == "Deleted: Users"


async def test_collections_have_names_in_alphabetical_order(ada, log):
    page = await ada.get("/activity")
    names = [option.get_text() for option in page.html.select("#field-collection option")]

    assert names[0] == "All"
    assert names[1:] == sorted(names[1:])
    assert "Users" in names
    assert page.html.select_one("#field-item")


async def test_a_new_row_shows_its_values(ada, members, log):
    await insert_rows(members, Revision, revision(1002, {"first_name": "Vi", "title": None}))
    page = await ada.get("/activity/1002")

    assert changes(page) == [("Field", "Value"), ("first_name", "Vi")]


async def test_values_are_escaped(ada, members, log):
    await insert_rows(members, Revision, revision(1004, {"title": "<img src=x onerror=alert(1)>"}))
    page = await ada.get("/activity/1004")

    assert not page.html.select("main img")
    assert "<img src=x" in page.text


async def test_a_change_made_in_the_api_is_readable(ada, members):
    async with members.database.transaction() as connection:
        await connection.execute(delete(Activity))
    entries = {"project_color": "#6644ff", "default_language": "en", "default_appearance": "auto"}
    for note in ("First note", "Second note"):
        page = await ada.post("/settings", {**entries, "public_note": note})
        assert page.status == 303
    async with members.database.transaction() as connection:
        last = (await connection.execute(select(Activity.id).order_by(Activity.id.desc()))).scalars().first()
    page = await ada.get(f"/activity/{last}")

    assert ("public_note", "First note", "Second note") in changes(page)
    assert page.html.select_one("main").find("a", href="/admin/settings")


@pytest.mark.parametrize("path", ["/activity/1", "/activity/999999", "/activity/nothing", "/activity/-1"])
async def test_a_missing_entry_is_an_error_page(ada, path):
    assert (await ada.get(path)).status in (400, 403)


async def test_without_rights_there_is_no_activity(vi, log):
    assert (await vi.get("/activity")).status == 403
    assert (await vi.get("/activity/1001")).status == 403


async def test_a_limited_user_sees_only_the_permitted_entries_and_fields(vi, members, log):
    own = {"user": {"_eq": "$CURRENT_USER"}}
    await grant(members, "read", "activity", "id,action,user", permissions=own)
    await insert_rows(members, Revision, revision(1001, {"first_name": "Vi"}))
    page = await vi.get("/activity")

    assert 1001 in listed(page)
    assert not {1002, 1003, 1004, 1005} & set(listed(page))
    assert [header.get_text() for header in page.html.select("thead th")] == ["Entry", "Done by", "Action"]
    names = {control["name"] for control in page.html.select(".filters [name]")}
    assert names == {"action", "user"}
    assert (await vi.get("/activity/1002")).status == 403
    details = await vi.get("/activity/1001")
    assert details.status == 200
    assert not details.html.select(".changes")
    assert "192.0.2.9" not in details.text


async def test_revisions_are_shown_to_those_who_may_read_them(vi, members, log):
    await grant(members, "read", "activity", "id,action")
    await grant(members, "read", "revisions", "*", permissions={"item": {"_eq": uid("vi")}})
    await insert_rows(members, Revision, revision(1003, {"title": "x"}, item="ed"), revision(1004, {"title": "y"}))

    assert changes(await vi.get("/activity/1003")) == []
    assert changes(await vi.get("/activity/1004")) == [("Field", "Before", "After"), ("title", "not recorded", "y")]


async def test_an_activity_without_a_readable_key_has_no_page(vi, members):
    await grant(members, "read", "activity", "action")

    assert (await vi.get("/activity")).status == 403
    assert not (await vi.get()).has_link("/admin/activity")


def test_values_have_a_readable_form():
    values = ["", None, "text", MASK, True, 1.5, {"a": [1]}]
    kinds = [shown_value(value).kind for value in values]

    assert kinds == ["empty", "empty", "text", "concealed", "code", "code", "code"]
