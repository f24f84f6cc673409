"""The tree of roles, and creating, editing and deleting a role: what each caller sees and may do."""

from sqlalchemy import select

from app.db.models import Access, Role
from app.studio.pages.roles.role_hierarchy import RoleHierarchy
from tests.base_data import uid
from tests.flows.inviters import update_user, user_row
from tests.http.clients import PASSWORD_HASH
from tests.studio.pages import Page

ADMINISTRATOR, STAFF, EDITOR, VIEWER = (uid(f"role-{name}") for name in ("Administrator", "Staff", "Editor", "Viewer"))


async def sign_in_rita(studio):
    """Return the Studio, visited by Rita, who manages roles but is no administrator."""
    await update_user(studio.system, "rita", password=PASSWORD_HASH)
    return await studio.sign_in("rita")


async def role_row(system, **values):
    """Return the stored role with these values, or None."""
    table = Role.__table__
    conditions = [table.c[name] == value for name, value in values.items()]
    async with system.database.transaction() as connection:
        return (await connection.execute(select(table).where(*conditions))).mappings().one_or_none()


def link_texts(page: Page) -> list[str]:
    return [link.get_text(" ", strip=True) for link in page.html.select("main a, main button")]


async def test_roles_are_listed_below_their_parents_with_their_number_of_users(ada):
    page = await ada.get("/roles")

    editor = page.html.find("a", href=f"/admin/roles/{EDITOR}")
    staff = editor.find_parent("li").find_parent("li")
    assert staff.find("a")["href"] == f"/admin/roles/{STAFF}"
    assert editor.find_parent(class_="role-line").get_text(" ", strip=True) == "Editor 2 users"
    assert "3 users have no role" in page.text
    assert page.has_link("/admin/users?role=none")
    assert page.has_link("/admin/roles/new")


def test_roles_in_a_stored_cycle_are_listed_once():
    rows = [{"id": key, "name": key, "parent": {"id": parent}} for key, parent in (("a", "b"), ("b", "a"), ("c", "x"))]
    hierarchy = RoleHierarchy(rows)

    assert [(level, role.id) for level, role in hierarchy.levels()] == [(0, "c"), (0, "a"), (1, "b")]
    assert [role.id for role in hierarchy.ancestors("a")] == ["b"]
    assert [[child.id for child in role.children] for role in hierarchy.roots] == [[], ["b"]]


async def test_a_limited_user_sees_only_the_roles_and_numbers_that_the_api_returns(studio):
    await update_user(studio.system, "ed", password=PASSWORD_HASH, tfa_secret=None)
    ed = await studio.sign_in("ed")

    page = await ed.get("/roles")
    assert page.status == 200
    assert page.has_link(f"/admin/roles/{EDITOR}")
    assert not page.has_link("/admin/roles/new")
    role = await ed.get(f"/roles/{EDITOR}")
    assert "Users in Role" in role.text
    assert "Ed" in role.text
    offered = {"Edit", "Invite", "Create New", "Add Existing", "Attach", "Delete role", "Remove selected users"}
    assert not offered & set(link_texts(role))


async def test_a_user_without_permissions_for_roles_sees_none(studio):
    await update_user(studio.system, "pat", password=PASSWORD_HASH)
    pat = await studio.sign_in("pat")
    for path in ("/roles", "/roles/new", f"/roles/{EDITOR}", f"/roles/{EDITOR}/add"):
        assert (await pat.get(path)).status == 403, path
    for action in ("edit", "delete", "invite", "add", "remove", "policies/attach", "policies/detach"):
        page = await pat.post(f"/roles/{EDITOR}/{action}", {"name": "X", "user": uid("sam"), "emails": "a@example.com"})
        assert page.status == 403, action


async def test_an_unknown_role_is_not_available(ada):
    assert (await ada.get(f"/roles/{uid('none')}")).status == 403
    assert (await ada.get("/roles/none")).status == 403


async def test_a_role_is_created_below_a_parent(ada):
    page = await ada.post("/roles/new", {"name": "Interns", "description": "Learn", "icon": "", "parent": STAFF})

    row = await role_row(ada.system, name="Interns")
    assert page.location == f"/admin/roles/{row['id']}?notice=role-created"
    assert (row["parent"], row["description"]) == (STAFF, "Learn")
    assert "Inherits from Staff" in (await ada.get(f"/roles/{row['id']}")).text


async def test_a_rejected_role_keeps_what_was_entered(ada):
    page = await ada.post("/roles/new", {"name": " ", "description": "Keep this", "parent": STAFF})

    assert page.status == 422
    assert page.errors == ["Name: Enter a value."]
    assert page.html.find("textarea", {"name": "description"}).get_text(strip=True) == "Keep this"
    assert page.html.find("option", selected=True)["value"] == STAFF


async def test_a_role_cannot_be_moved_below_itself_or_its_descendants(ada):
    page = await ada.get(f"/roles/{STAFF}/edit")

    options = [option["value"] for option in page.html.select("select[name=parent] option")]
    assert VIEWER in options
    assert not {STAFF, EDITOR} & set(options)
    assert (await ada.post(f"/roles/{STAFF}/edit", {"parent": EDITOR})).status == 400


async def test_a_role_is_edited(ada):
    values = {"name": "Authors", "description": "", "icon": "edit", "parent": ""}
    page = await ada.post(f"/roles/{EDITOR}/edit", values)

    assert page.location == f"/admin/roles/{EDITOR}?notice=role-saved"
    row = await role_row(ada.system, id=EDITOR)
    assert (row["name"], row["icon"], row["parent"]) == ("Authors", "edit", None)


async def test_an_error_while_editing_is_shown_below_the_stored_name(ada):
    page = await ada.post(f"/roles/{EDITOR}/edit", {"name": "x" * 101})

    assert page.status == 400
    assert page.errors == ["Name: This value is too long. Enter a shorter one."]
    assert page.html.h1.get_text(strip=True) == "Edit Editor"


async def test_deleting_a_role_says_what_happens_and_does_it(ada):
    page = await ada.get(f"/roles/{STAFF}")
    consequences = page.html.select_one("#confirm-delete").get_text(" ", strip=True)
    assert "1 user loses this role, is suspended and signed out" in consequences
    assert "The role Editor has no parent afterwards" in consequences

    assert (await ada.post(f"/roles/{STAFF}/delete")).location == "/admin/roles?notice=role-deleted"
    assert await role_row(ada.system, id=STAFF) is None
    assert (await role_row(ada.system, id=EDITOR))["parent"] is None
    sue = await user_row(ada.system, "sue@example.com")
    assert (sue["role"], sue["status"]) == (None, "suspended")


async def test_the_role_of_the_last_admin_is_not_deleted(ada):
    page = await ada.post(f"/roles/{ADMINISTRATOR}/delete")

    assert page.status == 422
    assert page.errors == ["No active admin would remain. Make another user an admin first."]
    assert await role_row(ada.system, id=ADMINISTRATOR) is not None


async def test_inherited_policies_are_marked_with_their_role(ada):
    page = await ada.get(f"/roles/{EDITOR}")

    own, inherited = page.html.select(".role-policies > li")
    ending = "Change the end Editors Until (UTC) Empty: for good. Save the end"
    buttons = "Preview effects Detach Editors Detach Editors"
    assert own.get_text(" ", strip=True) == f"Editors Users: read (if Status is active) {ending} {buttons}"
    assert inherited.get_text(" ", strip=True) == "Staff Users: read Roles: read Inherited from Staff"
    assert inherited.find("a", href=f"/admin/roles/{STAFF}")
    assert not inherited.find("form")


async def test_a_policy_is_attached_and_detached(ada):
    attached = await ada.post(f"/roles/{EDITOR}/policies/attach", {"policy": uid("policy-Viewers")})
    assert attached.location == f"/admin/roles/{EDITOR}?notice=policy-attached"
    policies = [each.a.get_text() for each in (await ada.get(f"/roles/{EDITOR}")).html.select(".role-policies > li")]
    assert policies == ["Editors", "Viewers", "Staff"]

    access = uid("access-Editors-Editor-None")
    assert (await ada.post(f"/roles/{EDITOR}/policies/detach", {"access": access})).status == 303
    async with ada.system.database.transaction() as connection:
        held = await connection.scalars(select(Access.policy_id).where(Access.role_id == EDITOR))
        assert list(held) == [uid("policy-Viewers")]


async def test_a_policy_must_be_selected_and_exist(ada):
    assert (await ada.post(f"/roles/{EDITOR}/policies/attach", {"policy": ""})).errors == ["Policy: Select a policy."]
    assert (await ada.post(f"/roles/{EDITOR}/policies/attach", {"policy": uid("none")})).status == 400


async def test_granting_more_than_one_has_is_refused_in_words(studio):
    rita = await sign_in_rita(studio)
    page = await rita.post(f"/roles/{VIEWER}/policies/attach", {"policy": uid("policy-Administrators")})

    assert page.status == 403
    assert page.errors == ["You cannot grant more than you have yourself. Ask an administrator."]
    moved = await rita.post(f"/roles/{VIEWER}/edit", {"parent": ADMINISTRATOR})
    assert moved.errors == ["You cannot grant more than you have yourself. Ask an administrator."]
