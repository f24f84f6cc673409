"""Policies in the Studio: the list, a policy's own fields, its holders, and its deletion."""

import pytest
import pytest_asyncio
from sqlalchemy import update

from app.db.models import User
from tests.base_data import caller, uid
from tests.http.clients import PASSWORD_HASH

EDITORS = f"/policies/{uid('policy-Editors')}"
ADMINISTRATORS = f"/policies/{uid('policy-Administrators')}"


@pytest_asyncio.fixture
async def rita(members, studio):
    """The Studio, visited by Rita, who manages roles, policies and their assignment but is no administrator."""
    async with members.database.transaction() as connection:
        await connection.execute(update(User).where(User.id == uid("rita")).values(password=PASSWORD_HASH))
    return await studio.sign_in("rita")


async def policy_named(system, name):
    """Return the policy with a name as an administrator reads it."""
    query = {"filter": {"name": {"_eq": name}}, "fields": ["*", "permissions.*"]}
    return (await system.directory(caller("ada"))["policies"].read_by_query(query))[0]


async def test_the_list_shows_flags_and_the_number_of_holders(ada):
    page = await ada.get("/policies")

    rows = {row.th.a.text: " ".join(row.get_text(" ").split()) for row in page.html.select("tbody tr")}
    assert "Admin access App access" in rows["Administrators"]
    assert "1 network" in rows["Office"]
    assert "1 role" in rows["Editors"]
    assert "Everyone" in rows["Public"]


async def test_the_list_is_searched(ada):
    page = await ada.get("/policies?search=edit")

    assert [row.th.a.text for row in page.html.select("tbody tr")] == ["Editors"]
    assert "No policy matches this search." in (await ada.get("/policies?search=nothing-like-this")).text


async def test_a_policy_is_created_with_its_flags(ada, members):
    values = {"name": "Night shift", "enforce_tfa": "true", "ip_access": "10.0.0.0/8\r\n\r\n192.0.2.1"}
    page = await ada.post("/policies/new", values)

    assert page.status == 303
    policy = await policy_named(members, "Night shift")
    assert page.location == f"/admin/policies/{policy['id']}?notice=policy-created"
    assert (policy["enforce_tfa"], policy["admin_access"]) == (True, False)
    assert policy["ip_access"] == ["10.0.0.0/8", "192.0.2.1"]


async def test_networks_are_rejected_at_their_line(ada, members):
    values = {"name": "Office", "ip_access": "10.0.0.0/8\nten\n10.0.0.9-10.0.0.1"}
    page = await ada.post("/policies/new", values)

    assert page.status == 422
    assert any("IP addresses: Line 2: ten is not an address" in error for error in page.errors)
    assert page.html.find("textarea", {"name": "ip_access"}).text.split() == values["ip_access"].split()


async def test_only_changed_fields_of_a_policy_are_written(ada, members):
    page = await ada.post(EDITORS, {"name": "Editors", "description": "They edit.", "ip_access": ""})

    assert page.status == 303
    revisions = await members.directory(caller("ada"))["revisions"].read_by_query(
        {"filter": {"collection": {"_eq": "directus_policies"}}, "sort": ["-id"], "limit": 1}
    )
    assert revisions[0]["delta"] == {"description": "They edit."}


async def test_a_policy_is_attached_to_a_role_and_detached(ada):
    page = await ada.get(EDITORS)
    assert page.has_link(f"/admin/roles/{uid('role-Editor')}")

    assert (await ada.post(f"{EDITORS}/attach", {"holder": "role", "role": uid("role-Viewer")})).status == 303
    page = await ada.get(EDITORS)
    assert page.has_link(f"/admin/roles/{uid('role-Viewer')}")
    access = page.html.find("button", {"aria-label": "Detach: Viewer"}).parent.find("input", {"name": "access"})
    assert (await ada.post(f"{EDITORS}/detach", {"access": access["value"]})).status == 303
    assert not (await ada.get(EDITORS)).has_link(f"/admin/roles/{uid('role-Viewer')}")


async def test_a_policy_is_attached_to_the_user_with_an_address(ada):
    page = await ada.post(f"{EDITORS}/attach", {"holder": "user", "email": "vi@example.com"})

    assert page.status == 303
    assert (await ada.get(EDITORS)).has_link(f"/admin/users/{uid('vi')}")


async def test_an_unknown_address_is_reported_at_its_field(ada):
    page = await ada.post(f"{EDITORS}/attach", {"holder": "user", "email": "nobody@example.com"})

    assert page.status == 422
    assert page.errors == ["Email address: No user has this email address. Check it for typing errors."]
    assert page.html.find("input", {"name": "email"})["value"] == "nobody@example.com"
    assert page.html.select_one("[data-unsaved-notice]").has_attr("hidden")


async def test_a_policy_is_attached_to_a_user_only_once(ada):
    values = {"holder": "user", "email": "VI@example.com"}
    assert (await ada.post(f"{EDITORS}/attach", values)).status == 303

    assert (await ada.post(f"{EDITORS}/attach", values)).errors == [
        "Email address: This user holds the policy already."
    ]


async def test_a_caller_who_may_read_names_sees_names_and_changes_nothing(ada, vi):
    path = (await ada.post("/policies/new", {"name": "Policy names"})).location.removeprefix("/admin").partition("?")[0]
    await ada.post(f"{path}/directus_policies/read", {"fields": ["id", "name"], "permissions": ""})
    await ada.post(f"{path}/attach", {"holder": "user", "email": "vi@example.com"})

    page, listed = await vi.get(path), await vi.get("/policies")

    assert page.html.h1.text == "Policy names"
    assert [form["action"] for form in page.html.find_all("form")] == ["/admin/sign-out"]
    assert not page.html.select(".grid")
    assert listed.has_link("/admin/policies/" + path.rpartition("/")[2])
    assert "Admin access" not in listed.text
    for action in ("", "/permissions", "/attach", "/detach", "/delete"):
        refused = await vi.post(f"{path}{action}", {"name": "Other", "holder": "everyone", "access": uid("ada")})
        assert refused.status == 403
    assert (await ada.get(path)).html.h1.text == "Policy names"


async def test_a_deleted_policy_is_gone(ada):
    page = await ada.get(EDITORS)
    assert "It is attached to 1 role and 0 users" in page.text

    assert (await ada.post(f"{EDITORS}/delete")).location == "/admin/policies?notice=policy-deleted"
    assert (await ada.get(EDITORS)).status == 403


async def test_the_policy_of_the_last_admin_cannot_be_deleted(ada):
    page = await ada.post(f"{ADMINISTRATORS}/delete")

    assert page.status == 422
    assert page.errors == ["No active admin would remain. Make another user an admin first."]


@pytest.mark.both_databases
async def test_nobody_grants_more_than_they_have(rita, members):
    for path, values in [
        (f"{EDITORS}", {"name": "Editors", "admin_access": "true"}),
        (f"{ADMINISTRATORS}/attach", {"holder": "role", "role": uid("role-Viewer")}),
    ]:
        page = await rita.post(path, values)
        assert page.status in (403, 422)
        assert page.errors == ["You cannot grant more than you have yourself. Ask an administrator."]


@pytest.mark.parametrize("path", ["/policies", "/policies/new", EDITORS])
async def test_a_caller_without_rights_on_policies_sees_none(vi, path):
    page = await vi.get(path)

    assert page.status in (400, 403)
    assert "Editors" not in page.text
    assert not (await vi.get("")).has_link("/admin/policies")


async def test_a_policy_for_a_role_is_attached_when_it_is_created(ada, members):
    role = uid("role-Viewer")
    assert (await ada.get(f"/roles/{role}")).has_link(f"/admin/policies/new?role={role}")
    form = await ada.get(f"/policies/new?role={role}")
    assert form.html.find("input", {"name": "role"})["value"] == role

    page = await ada.post("/policies/new", {"name": "Night shift", "role": role})

    assert page.location == f"/admin/roles/{role}?notice=policy-created-for-role"
    policy = await policy_named(members, "Night shift")
    shown = await ada.get(f"/roles/{role}")
    assert shown.has_link(f"/admin/policies/{policy['id']}")
    assert "No permissions yet" in shown.text
    assert "Choose permissions" in shown.text


async def test_a_rejected_policy_for_a_role_keeps_the_role(ada):
    page = await ada.post("/policies/new", {"name": "", "role": uid("role-Viewer")})

    assert page.status == 422
    assert page.html.find("input", {"name": "role"})["value"] == uid("role-Viewer")


async def test_the_page_of_a_role_sums_up_what_its_policies_allow(ada):
    path = (await ada.post("/policies/new", {"name": "Helpers"})).location.removeprefix("/admin").partition("?")[0]
    active = '{"status": {"_eq": "active"}}'
    for action, rule, validation in (("create", "", active), ("read", "", ""), ("update", active, active)):
        values = {"fields": "*", "permissions": rule, "validation": validation, "presets": ""}
        assert (await ada.post(f"{path}/directus_users/{action}", values)).status == 303
    await ada.post(f"{path}/attach", {"holder": "role", "role": uid("role-Viewer")})

    page = await ada.get(f"/roles/{uid('role-Viewer')}")

    line = page.html.select_one(".role-policies .grants li").get_text()
    assert line == (
        "Users: create (if the new values match: Status is active), read, "
        "update (if Status is active, and the new values match: Status is active)"
    )
