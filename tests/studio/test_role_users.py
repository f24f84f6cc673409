"""The users of a role: the four tasks of the user guide, searching, and pending invitations."""

import json

import pytest

from app.core.caller import SYSTEM
from app.studio.pages.roles import role_members
from tests.base_data import uid
from tests.flows.inviters import update_user, user_row
from tests.http.clients import PASSWORD_HASH
from tests.http.test_graphql import served
from tests.studio.pages import StudioClient
from tests.studio.test_roles import ADMINISTRATOR, EDITOR, VIEWER, sign_in_rita

ROLE = f"/roles/{EDITOR}"


def names(page) -> list[str]:
    """The users in the list of a role."""
    return [cell.get_text(strip=True) for cell in page.html.select("#users-in-role tbody th")]


def outcomes(page) -> dict[str, str]:
    """The outcome of an invitation by address."""
    return {
        entry.select_one(".outcome-address").get_text(strip=True): " ".join(
            entry.select_one(".outcome-message").get_text(" ").split()
        )
        for entry in page.html.select(".outcomes li")
    }


@pytest.mark.parametrize(("transport", "hint"), [("log", "the next page shows the links"), ("smtp", "gets a mail")])
async def test_the_form_says_whether_mails_are_sent(members, transport, hint):
    settings = members.settings.model_copy(update={"email_transport": transport, "email_smtp_host": "mail.invalid"})
    async with served(settings) as client:
        page = await (await StudioClient(client, members).sign_in("ada")).get(f"{ROLE}/invite")

    assert hint in page.text_at("#hint-emails")


async def test_invite_a_user(ada):
    page = await ada.get(ROLE)
    header = page.html.select_one(".page-header").find("a", string="Invite")
    assert header["href"] == f"/admin{ROLE}/invite"

    sent = await ada.post(f"{ROLE}/invite", {"emails": "one@example.com, two@example.com\nthree@example.com"})
    assert outcomes(sent).keys() == {f"{name}@example.com" for name in ("one", "two", "three")}
    for name in ("one", "two", "three"):
        row = await user_row(ada.system, f"{name}@example.com")
        assert (row["status"], row["role"]) == ("invited", EDITOR)
    assert "one@example.com" in (await ada.get(ROLE)).text


async def test_users_are_invited_into_a_chosen_role(ada):
    assert (await ada.get("/users")).html.find("a", string="Invite")["href"] == "/admin/users/invite"
    form = await ada.get("/users/invite")
    assert EDITOR in [option["value"] for option in form.html.select("select[name=role] option")]

    rejected = await ada.post("/users/invite", {"role": "", "emails": "one@example.com"})
    assert rejected.errors == ["Role: Choose a role."]
    assert rejected.text_at("textarea").strip() == "one@example.com"
    known = await ada.post("/users/invite", {"role": EDITOR, "emails": "vi@example.com"})
    assert known.has_link(f"/admin/roles/{EDITOR}/add?search=vi%40example.com")
    sent = await ada.post("/users/invite", {"role": EDITOR, "emails": "one@example.com"})

    assert outcomes(sent) == {"one@example.com": "Invited"}
    assert (await user_row(ada.system, "one@example.com"))["role"] == EDITOR


async def test_those_who_may_not_create_users_are_not_offered_to_invite_them(vi):
    assert not (await vi.get("/users")).has_link("/admin/users/invite")
    assert (await vi.get("/users/invite")).status == 403
    assert (await vi.post("/users/invite", {"role": EDITOR, "emails": "one@example.com"})).status == 403


async def test_create_a_user(ada):
    page = await ada.get(ROLE)

    link = page.html.find("a", string="Create New")
    form = await ada.get(link["href"].removeprefix("/admin"))
    target = form.html.select_one(".user-form")["action"].removeprefix("/admin")
    original = form.html.find("input", {"name": "original"})["value"]
    values = {**json.loads(original), "original": original, "role": EDITOR}
    rejected = await ada.post(target, {**values, "email": "not an address"})
    assert rejected.html.select_one(".user-form")["action"] == f"/admin{target}"

    created = await ada.post(target, {**values, "first_name": "Uma", "email": "uma@example.com"})
    assert created.location == f"/admin{ROLE}?notice=user-created"
    assert "Uma" in names(await ada.get(ROLE))


async def test_creating_a_user_leads_to_no_other_site(ada):
    form = await ada.get(f"/users/new?role={EDITOR}&next=https://example.com/admin")

    assert form.html.select_one(".user-form")["action"] == "/admin/users/new?next=%2Fadmin"


async def test_assign_a_role_to_existing_users(ada):
    page = await ada.get(ROLE)
    drawer = await ada.get(page.html.find("a", string="Add Existing")["href"].removeprefix("/admin"))
    entries = {entry.input["value"]: entry.get_text(" ", strip=True) for entry in drawer.html.select(".choices li")}
    assert "Now: Viewer" in entries[uid("vi")]
    assert "Now" not in entries[uid("nora")]
    assert uid("ed") not in entries

    added = await ada.post(f"{ROLE}/add", {"user": [uid("vi"), uid("nora")]})
    assert added.location == f"/admin{ROLE}?notice=users-added"
    assert {"Vi", "Nora"} <= set(names(await ada.get(ROLE)))


async def test_remove_a_users_role(ada):
    page = await ada.get(ROLE)
    row = page.html.find("a", href=f"/admin/users/{uid('ed')}").find_parent("tr")
    remove = next(link for link in row.find_all("a") if link.get_text(" ", strip=True).startswith("Remove"))
    drawer = await ada.get(remove["href"].removeprefix("/admin"))
    assert "Ed Edelman" in drawer.text
    assert drawer.html.find("button", string="Remove")

    removed = await ada.post(f"{ROLE}/remove", {"user": uid("ed")})
    assert removed.location == f"/admin{ROLE}?notice=users-removed"
    assert (await user_row(ada.system, "ed@example.com"))["role"] is None
    assert "Ed Edelman" not in names(await ada.get(ROLE))


async def test_several_users_are_removed_at_once(ada):
    drawer = await ada.get(f"{ROLE}/remove?user={uid('ed')}&user={uid('ida')}")
    users = [field["value"] for field in drawer.html.select("input[name=user]")]

    assert (await ada.post(f"{ROLE}/remove", {"user": users})).status == 303
    assert names(await ada.get(ROLE)) == []


@pytest.mark.parametrize("action", ["add", "remove"])
async def test_at_least_one_user_must_be_selected(ada, action):
    page = await ada.post(f"{ROLE}/{action}")

    assert page.status == 422
    assert page.errors == ["Select at least one user."]


async def test_the_last_admin_keeps_the_role(ada):
    for path, role in ((f"/roles/{ADMINISTRATOR}/remove", ADMINISTRATOR), (f"{ROLE}/add", EDITOR)):
        page = await ada.post(path, {"user": uid("ada")})
        assert page.status == 422, role
        assert page.errors == ["No active admin would remain. Make another user an admin first."]
    assert (await user_row(ada.system, "ada@example.com"))["role"] == ADMINISTRATOR


async def test_each_address_has_its_own_outcome_and_failed_ones_are_kept(ada):
    text = "new@example.com, IDA@example.com\nvi@example.com, not an address\nNEW@example.com"
    page = await ada.post(f"{ROLE}/invite", {"emails": text})

    assert page.status == 422
    assert outcomes(page) == {
        "new@example.com": "Invited",
        "IDA@example.com": "Invited again",
        "vi@example.com": "Already a user (skipped) Add Existing vi@example.com",
        "not an address": "Invalid address",
    }
    assert page.html.find("textarea").get_text(strip=True) == "not an address"
    assert (await user_row(ada.system, "vi@example.com"))["role"] == VIEWER


async def test_addresses_of_users_are_no_failure(ada):
    page = await ada.post(f"{ROLE}/invite", {"emails": "vi@example.com"})

    assert page.status == 200
    assert page.html.find("textarea").get_text(strip=True) == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (" ,\n", "Enter at least one email address."),
        (
            ",".join(f"user{number}@example.com" for number in range(101)),
            "Enter at most 100 addresses at a time; these are 101.",
        ),
    ],
    ids=["none", "too many"],
)
async def test_the_number_of_addresses_is_limited(ada, text, message):
    page = await ada.post(f"{ROLE}/invite", {"emails": text})

    assert page.errors == [f"Email addresses: {message}"]


async def test_an_inviter_who_cannot_see_users_learns_no_status(studio):
    await update_user(studio.system, "gil", password=PASSWORD_HASH)
    async with studio.system.database.transaction() as connection:
        await connection.exec_driver_sql(
            "UPDATE directus_permissions SET fields = 'email,role' WHERE id = 401 AND collection = 'directus_users'"
        )
        await connection.exec_driver_sql(
            "INSERT INTO directus_permissions (policy, collection, action, fields) "
            f"VALUES ('{uid('policy-Greeters')}', 'directus_roles', 'read', 'id,name')"
        )
    await studio.system.directory(SYSTEM)["roles"].update_one(EDITOR, {"name": "Writers of news"})
    gil = await studio.sign_in("gil")
    page = await gil.post(f"/roles/{uid('role-Greeter')}/invite", {"emails": "vi@example.com, una@example.com"})

    assert set(outcomes(page).values()) == {"Already a user or invited"}


async def test_inviting_into_a_role_with_more_permissions_fails_for_each_address(studio):
    rita = await sign_in_rita(studio)
    page = await rita.post(f"/roles/{ADMINISTRATOR}/invite", {"emails": "new@example.com, vi@example.com"})

    assert page.status == 422
    assert outcomes(page) == {
        "new@example.com": "Failed: You cannot grant more than you have yourself. Ask an administrator.",
        "vi@example.com": "Already a user (skipped) Add Existing vi@example.com",
    }
    added = await rita.post(f"/roles/{ADMINISTRATOR}/add", {"user": uid("vi")})
    assert added.errors == ["You cannot grant more than you have yourself. Ask an administrator."]
    assert added.html.find("input", {"value": uid("vi")}).has_attr("checked")


async def test_a_pending_invitation_is_marked_sent_again_and_revoked(ada):
    page = await ada.get(f"{ROLE}?invited=true")
    assert names(page) == ["Ida"]
    row = page.html.select_one("#users-in-role tbody tr")
    assert "Invited" in row.get_text(" ")

    again = await ada.post(f"{ROLE}/invitations/resend", {"user": uid("ida")})
    assert again.location == f"/admin{ROLE}?notice=invitation-logged"
    revoked = await ada.post(f"{ROLE}/invitations/revoke", {"user": uid("ida")})
    assert revoked.location == f"/admin{ROLE}?notice=invitation-revoked"
    assert await user_row(ada.system, "ida@example.com") is None


@pytest.mark.parametrize("action", ["resend", "revoke"])
async def test_an_accepted_invitation_is_neither_sent_again_nor_revoked(ada, action):
    page = await ada.post(f"{ROLE}/invitations/{action}", {"user": uid("ed")})

    assert page.errors == ["This invitation was accepted or canceled."]
    assert await user_row(ada.system, "ed@example.com") is not None


async def test_users_are_searched_and_paged(ada, monkeypatch):
    monkeypatch.setattr(role_members, "PAGE_SIZE", 1)
    first, second = await ada.get(ROLE), await ada.get(f"{ROLE}?page=2")
    assert len(names(first)) == len(names(second)) == 1
    assert names(first) != names(second)
    assert first.html.find("a", rel="next")["href"] == f"/admin{ROLE}?page=2"

    assert names(await ada.get(f"{ROLE}?search=edelman")) == ["Ed Edelman"]
    part = await ada.get(f"{ROLE}?search=nobody", {"studio-fragment": "users-in-role"})
    assert part.html.find("html") is None
    assert "No user in this role matches this search." in part.text


async def test_the_drawer_keeps_selected_users_while_searching(ada):
    page = await ada.get(f"{ROLE}/add?search=nora&user={uid('vi')}")

    selected, found = page.html.select(".choices")
    assert [field["value"] for field in selected.select("input[checked]")] == [uid("vi")]
    assert [field["value"] for field in found.select("input")] == [uid("nora")]
