"""The start page: each part for those who may read it, and nothing else."""

from datetime import date, timedelta

import pytest
import pytest_asyncio
from sqlalchemy import select

from app.core.clock import utc_now
from app.db.models import OUTBOX, Activity, User
from app.studio.templating import short_date
from tests.base_data import uid
from tests.flows.inviters import update_settings
from tests.studio.grants import grant, insert_rows

HEADINGS = [
    "Users by status",
    "Sign-ins of the last 14 days",
    "Pending invitations",
    "Queued mails",
    "Recent sign-ins and lockouts",
]


def headings(page):
    return [heading.get_text(" ", strip=True) for heading in page.html.select("main h2")]


def activity(action, user, **values):
    """A row of the audit log, an hour old."""
    row = {"action": action, "user_id": uid(user), "collection": "directus_users", "item": uid(user)}
    return {**row, "timestamp": utc_now() - timedelta(hours=1), **values}


async def test_an_administrator_sees_every_part(ada):
    page = await ada.get()

    assert page.status == 200
    assert headings(page) == HEADINGS


async def test_users_are_counted_by_status(ada, members):
    async with members.database.transaction() as connection:
        statuses = list((await connection.execute(select(User.status))).scalars())
    rows = (await ada.get()).html.select(".chart-table tbody tr")
    counts = {row.select_one(".badge").get_text(): int(row.select_one(".numeric").get_text()) for row in rows}

    assert counts == {status.title(): statuses.count(status) for status in set(statuses)}


async def test_sign_ins_are_counted_by_day(ada, members):
    now = utc_now()
    yesterday = activity("login", "vi", timestamp=now - timedelta(days=1))
    before = activity("login", "vi", timestamp=now - timedelta(days=14))
    await insert_rows(members, Activity, yesterday, yesterday, before)
    page = await ada.get()
    rows = {row.th.get_text(): row.td.get_text() for row in page.html.select("details .table tbody tr")}

    assert len(rows) == 14
    assert rows[str((now - timedelta(days=1)).date())] == "2"
    assert len(page.html.select(".chart-days g")) == 14


@pytest.mark.parametrize(("language", "text"), [("en", "Nov 7"), ("de", "7.11.")])
def test_days_in_the_chart_have_the_form_of_the_language(language, text):
    assert short_date(date(2026, 11, 7), language) == text


async def test_recent_sign_ins_and_lockouts_link_to_their_users(ada, members):
    await insert_rows(members, Activity, activity("lockout", "vi", timestamp=utc_now()), activity("update", "ed"))
    rows = (await ada.get()).html.select("main .card > .table-frame tbody tr")

    assert rows[0].select_one(".badge").get_text() == "Locked out"
    assert rows[0].find("a", href=f"/admin/users/{uid('vi')}").get_text() == "Vi"
    assert not [row for row in rows if "Changed" in row.get_text()]


@pytest.mark.parametrize(("age", "text"), [(0, "invited today"), (1, "invited 1 day ago"), (3, "invited 3 days ago")])
async def test_pending_invitations_have_an_age(ada, members, age, text):
    invited = activity("create", "ada", item=uid("ida"), timestamp=utc_now() - timedelta(days=age, minutes=1))
    await insert_rows(members, Activity, invited)
    entry = (await ada.get()).html.select_one(".entries li")

    assert entry.a["href"] == f"/admin/users/{uid('ida')}"
    assert entry.span.get_text() == text


async def test_an_invitation_whose_link_has_expired_is_marked(ada):
    assert "older than the link is valid" in (await ada.get()).html.select_one(".entries li").get_text()


@pytest_asyncio.fixture
async def queued(members):
    """Two queued mails, one of which failed three times."""
    mail = {"kind": "reset", "recipient": "someone@example.com", "data": {}, "due": utc_now() - timedelta(hours=1)}
    await insert_rows(members, OUTBOX, {**mail, "attempts": 0}, {**mail, "attempts": 3})


async def test_queued_mails_are_counted_without_their_recipients(queued, ada):
    page = await ada.get()

    assert "Queued 2 Earliest due" in page.text
    assert "Failed before 1 Most attempts 3" in page.text
    assert "someone@example.com" not in page.response.text
    assert "Queued mails are overdue." in page.text


async def test_a_missing_password_policy_is_a_warning(ada, members):
    message = "Choose a password policy in the settings."
    await update_settings(members, auth_password_policy=None)
    assert message in (await ada.get()).text_at(".warnings")
    await update_settings(members, auth_password_policy="/^.{8,}$/")

    assert message not in (await ada.get()).text


async def test_only_administrators_see_mails_and_warnings(queued, ada, vi):
    assert (await ada.get()).html.select_one(".warnings")
    page = await vi.get()

    assert not page.html.select_one(".warnings")
    assert "Queued mails" not in headings(page)


async def test_a_user_who_may_read_nothing_of_it_is_led_to_the_own_account(vi):
    page = await vi.get()

    assert headings(page) == ["Welcome, Vi"]
    assert page.has_link("/admin/account")
    assert not page.has_link("/admin/activity")


async def test_a_limited_user_sees_only_what_the_api_gives(vi, members):
    await grant(members, "read", "activity", "id,action,timestamp", permissions={"user": {"_eq": "$CURRENT_USER"}})
    await insert_rows(members, Activity, activity("login", "vi"), activity("login", "ed"))
    page = await vi.get()

    assert headings(page) == ["Sign-ins of the last 14 days", "Recent sign-ins and lockouts"]
    assert len(page.html.select("main .card > .table-frame tbody tr")) == 2  # with that of the fixture
    assert "IP address" not in page.text
    assert uid("ed") not in page.response.text
