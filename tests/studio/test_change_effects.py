"""The Studio shows what changes would do to everyone's access before they are saved."""

import pytest

from tests.access.contents import contents_of
from tests.base_data import uid

EDITORS, OFFICE = f"/policies/{uid('policy-Editors')}", f"/policies/{uid('policy-Office')}"
EDITOR = f"/roles/{uid('role-Editor')}"
POLICY_FIELDS = {"name": "Editors", "description": "", "ip_access": ""}


def effects_of(page):
    section = page.html.select_one("#effects")
    return " ".join(section.get_text(" ").split()) if section else None


async def test_the_grid_shows_the_effects_of_its_changed_cells(ada, members):
    before = await contents_of(members)
    cells = {"directus_files:read": "all", "directus_users:read": "custom"}
    page = await ada.post(f"{EDITORS}/effects", {**POLICY_FIELDS, **cells})

    assert page.status == 200, page.errors
    assert "Roles: Editor" in effects_of(page)
    assert "1 user: Ed Edelman" in effects_of(page)
    assert "Files Read Gained + all fields" in effects_of(page)
    assert page.html.select_one('select[name="directus_files:read"] option[selected]')["value"] == "all"
    assert await contents_of(members) == before


async def test_the_fields_of_a_policy_have_effects_too(ada):
    page = await ada.post(f"{EDITORS}/effects", {**POLICY_FIELDS, "app_access": "true", "ip_access": "10.0.0.0/8"})

    assert "App access: Gained" in effects_of(page)
    assert page.html.select_one('[name="app_access"]').has_attr("checked")


async def test_an_unchanged_form_has_no_effects_and_a_wrong_one_says_why(ada):
    assert "Nothing was changed" in effects_of(await ada.post(f"{EDITORS}/effects", POLICY_FIELDS))
    wrong = await ada.post(f"{EDITORS}/effects", {**POLICY_FIELDS, "ip_access": "here"})

    assert (wrong.status, effects_of(wrong)) == (422, None)
    assert "is not an address" in wrong.text


async def test_a_permission_shows_its_effects_before_it_is_saved(ada):
    form = {"fields": ["id", "email"], "permissions": "{}"}
    page = await ada.post(f"{EDITORS}/directus_users/read/effects", form)
    created = await ada.post(f"{OFFICE}/directus_roles/read/effects", {"fields": "*", "permissions": ""})

    assert page.status == created.status == 200
    assert "Users Read Changed \N{MINUS SIGN} status, title" in effects_of(page)
    assert "Roles Read Gained + all fields" in effects_of(created)


async def test_attaching_and_detaching_a_policy_shows_the_effects(ada):
    access = uid("access-Editors-Editor-None")
    detached = await ada.post(f"{EDITOR}/policies/effects", {"access": access})
    attached = await ada.post(f"{EDITOR}/policies/effects", {"policy": uid("policy-Administrators")})
    nothing = await ada.post(f"{EDITOR}/policies/effects", {"policy": ""})

    assert "\N{MINUS SIGN} email, status, title" in effects_of(detached)
    assert "Admin access: Gained" in effects_of(attached)
    assert attached.html.select_one('select[name="policy"] option[selected]')["value"] == uid("policy-Administrators")
    assert (nothing.status, effects_of(nothing)) == (422, None)


async def test_the_loss_of_the_last_admin_is_shown(ada):
    page = await ada.post(f"/policies/{uid('policy-Administrators')}/effects", {"name": "Administrators"})

    assert "This will be refused" in effects_of(page)
    assert "1 user loses all access." in effects_of(page)


@pytest.mark.parametrize(
    "path", [f"{EDITORS}/effects", f"{EDITORS}/directus_users/read/effects", f"{EDITOR}/policies/effects"]
)
async def test_others_than_admins_see_no_effects(vi, path):
    assert (await vi.post(path, {"policy": uid("policy-App")})).status == 403
