"""The links of invitations, which the inviter passes on if no mail is sent."""

from urllib.parse import urlsplit

import pytest

from tests.flows.inviters import user_row
from tests.http.test_graphql import served
from tests.studio.grants import grant
from tests.studio.pages import StudioClient
from tests.studio.test_role_users import outcomes
from tests.studio.test_roles import ADMINISTRATOR, EDITOR, VIEWER, sign_in_rita

CREDENTIALS = "email,role,password,status"


def links(page) -> list[str]:
    """The links on the page after an invitation."""
    return [link.get_text() for link in page.html.select(".outcome-link pre")]


async def test_an_administrator_gets_a_working_link_for_each_new_user(ada, studio):
    page = await ada.post(f"/roles/{EDITOR}/invite", {"emails": "one@example.com, two@example.com"})

    assert page.status == 200
    assert page.response.headers["cache-control"] == "no-store"
    assert len(links(page)) == len(page.html.select("button[data-copy]")) == 2
    target = urlsplit(links(page)[1])
    accepted = await studio.post(
        "/accept-invite", {"token": target.query.removeprefix("token="), "password": "a first one"}
    )
    assert target.path == "/admin/accept-invite"
    assert accepted.location == "/admin?notice=invitation-accepted"
    assert (await user_row(ada.system, "one@example.com"))["status"] == "invited"
    assert (await user_row(ada.system, "two@example.com"))["status"] == "active"


async def test_users_who_existed_before_have_no_link(ada):
    page = await ada.post(f"/roles/{EDITOR}/invite", {"emails": "ida@example.com, vi@example.com"})

    assert outcomes(page) == {
        "ida@example.com": "Invited again",
        "vi@example.com": "Already a user (skipped) Add Existing vi@example.com",
    }
    assert links(page) == []


async def test_no_other_page_has_the_link(ada):
    await ada.post(f"/roles/{EDITOR}/invite", {"emails": "one@example.com"})

    key = (await user_row(ada.system, "one@example.com"))["id"]
    for path in (f"/roles/{EDITOR}", f"/roles/{EDITOR}/invite", f"/users/{key}", "/activity"):
        assert "accept-invite" not in (await ada.get(path)).response.text
    again = await ada.post(f"/roles/{EDITOR}/invitations/resend", {"user": key})
    assert again.status == 303
    assert "token" not in again.location


async def test_no_link_is_shown_if_mails_are_sent(members):
    settings = members.settings.model_copy(update={"email_transport": "smtp", "email_smtp_host": "mail.invalid"})
    async with served(settings) as client:
        ada = await StudioClient(client, members).sign_in("ada")
        page = await ada.post(f"/roles/{EDITOR}/invite", {"emails": "one@example.com"})
        mixed = await ada.post(f"/roles/{EDITOR}/invite", {"emails": "two@example.com, vi@example.com"})

    assert page.location == f"/admin/roles/{EDITOR}?notice=invitations-sent"
    assert outcomes(mixed)["two@example.com"] == "Invited"
    assert links(mixed) == []


@pytest.mark.parametrize(
    ("fields", "rules", "has_link"),
    [
        (CREDENTIALS, {}, True),
        ("email,role", {}, False),
        (CREDENTIALS, {"validation": {"email": {"_contains": "@"}}}, False),
        (CREDENTIALS, {"presets": {"last_name": "New"}}, False),
    ],
)
async def test_those_who_may_not_set_the_password_of_an_active_user_get_no_link(studio, fields, rules, has_link):
    await grant(studio.system, "read", "roles", "*")
    await grant(studio.system, "create", "users", fields, **rules)
    vi = await studio.sign_in("vi")
    hint = (await vi.get(f"/roles/{VIEWER}/invite")).text_at("#hint-emails")
    page = await vi.post(f"/roles/{VIEWER}/invite", {"emails": "one@example.com"})

    assert (await user_row(vi.system, "one@example.com"))["role"] == VIEWER
    assert bool(links(page)) == has_link
    assert ("the next page shows the links" in hint) == has_link
    assert has_link or page.location == f"/admin/roles/{VIEWER}?notice=invitations-logged"


async def test_a_role_with_more_rights_than_the_inviter_gives_no_link(studio):
    rita = await sign_in_rita(studio)
    page = await rita.post(f"/roles/{ADMINISTRATOR}/invite", {"emails": "one@example.com"})

    assert page.status == 422
    assert links(page) == []
    assert await user_row(rita.system, "one@example.com") is None
