"""Permissions in the Studio: the grid of a policy, and the page of one permission."""

import json

import pytest

from tests.base_data import caller, uid
from tests.studio.test_policies import policy_named, rita
from tests.writes.editors import ACTIVE_IN_OWN_ROLE

__all__ = ["rita"]

WRITERS = f"/policies/{uid('policy-Writers')}"
VIEWERS = f"/policies/{uid('policy-Viewers')}"
ACTIVE_ONLY = '{\r\n  "status": {"_eq": "active"}\r\n}'


def states(page):
    """Return the selected state of each cell of the grid that can be changed."""
    selects = page.html.select(".grid select")
    return {select["name"]: select.find("option", selected=True)["value"] for select in selects}


async def permissions_of(system, name):
    """Return the stored permissions of a policy by collection and action."""
    rows = (await policy_named(system, name))["permissions"]
    return {(row["collection"], row["action"]): row for row in rows}


async def grid_form(ada, path, **changes):
    """Return the form of a policy's grid with some cells changed."""
    shown = states(await ada.get(path))
    return {**shown, **{f"was:{name}": state for name, state in shown.items()}, **changes}


async def test_the_grid_shows_what_a_policy_allows(ada):
    page = await ada.get(WRITERS)

    shown = states(page)
    assert shown["directus_users:update"] == "custom"
    assert shown["directus_roles:update"] == "none"
    assert states(await ada.get(f"/policies/{uid('policy-Rights')}"))["directus_users:delete"] == "all"


async def test_actions_that_the_api_does_not_have_cannot_be_chosen(ada):
    shown = states(await ada.get(WRITERS))

    assert [name for name in shown if name.startswith("directus_activity")] == ["directus_activity:read"]
    assert "directus_settings:delete" not in shown


async def test_changed_cells_are_saved(ada, members):
    before = await permissions_of(members, "Writers")
    form = await grid_form(
        ada,
        WRITERS,
        **{"directus_roles:update": "all", "directus_users:update": "all", "directus_users:delete": "none"},
    )

    assert (await ada.post(f"{WRITERS}/permissions", form)).status == 303

    after = await permissions_of(members, "Writers")
    assert after["directus_roles", "update"]["fields"] == ["*"]
    assert after["directus_roles", "update"]["permissions"] == {}
    widened = after["directus_users", "update"]
    assert (widened["fields"], widened["permissions"], widened["validation"], widened["presets"]) == (
        ["*"],
        {},
        None,
        None,
    )
    assert ("directus_users", "delete") not in after
    assert after["directus_users", "create"] == before["directus_users", "create"]


async def test_each_cell_leads_to_the_editor_of_rules(ada):
    page = await ada.get(WRITERS)
    texts = {link["aria-label"]: link.get_text() for link in page.html.select("a.conditions")}

    assert texts["Only some…: Roles, Update"] == "Only some…"
    assert texts["Conditions: Users, Create"] == "Conditions"
    state = page.html.select_one("select[name='directus_users:create'] option[selected]")
    assert state.get_text() == "Some"
    link = page.html.find("a", {"aria-label": "Only some…: Roles, Update"})
    assert link["href"] == f"/admin{WRITERS}/directus_roles/update"


async def test_cells_that_another_person_changed_meanwhile_are_kept(ada, members):
    form = await grid_form(ada, WRITERS)
    await ada.post(f"{WRITERS}/permissions", await grid_form(ada, WRITERS, **{"directus_roles:delete": "all"}))

    await ada.post(f"{WRITERS}/permissions", form)

    assert ("directus_roles", "delete") in await permissions_of(members, "Writers")


async def test_one_form_saves_the_grid_and_the_fields_of_the_policy(ada, members):
    page = await ada.get(WRITERS)
    form = page.html.select_one("form.policy-form")
    assert form.select("select[name='directus_roles:update']")
    assert form.find("input", {"name": "name"})
    assert form.select_one("[data-unsaved-notice]").has_attr("hidden")

    values = await grid_form(ada, WRITERS, **{"directus_roles:update": "all", "name": "Authors"})
    saved = await ada.post(form["action"].removeprefix("/admin"), values)

    assert saved.status == 303
    assert "The policy and its permissions were saved." in (await ada.get(f"{WRITERS}?notice=policy-saved")).text
    assert ("directus_roles", "update") in await permissions_of(members, "Authors")


async def test_a_rejected_policy_form_shows_the_chosen_cells_again(ada, members):
    values = await grid_form(ada, WRITERS, **{"directus_roles:update": "all", "name": ""})
    page = await ada.post(WRITERS, values)

    assert page.status == 422
    assert states(page)["directus_roles:update"] == "all"
    assert not page.html.select_one("[data-unsaved-notice]").has_attr("hidden")
    assert ("directus_roles", "update") not in await permissions_of(members, "Writers")


async def test_filling_in_a_row_keeps_the_typed_fields_of_the_policy(ada):
    form = await grid_form(ada, WRITERS, fill="directus_folders:all", name="Authors")
    page = await ada.post(f"{WRITERS}/permissions", form)

    assert page.html.find("input", {"name": "name"})["value"] == "Authors"


async def test_a_whole_row_is_filled_in_but_not_saved(ada, members):
    form = await grid_form(ada, WRITERS, fill="directus_folders:all")
    page = await ada.post(f"{WRITERS}/permissions", form)

    assert page.status == 200
    assert not page.html.select_one("[data-unsaved-notice]").has_attr("hidden")
    assert {states(page)[f"directus_folders:{action}"] for action in ("create", "read", "update", "delete")} == {"all"}
    assert ("directus_folders", "read") not in await permissions_of(members, "Writers")


async def test_permissions_for_unknown_collections_are_shown_and_kept(ada, members):
    policy = uid("policy-Viewers")
    await members.directory(caller("ada"))["permissions"].create_one(
        {"policy": policy, "collection": "articles", "action": "read", "fields": ["*"]}
    )
    page = await ada.get(VIEWERS)
    assert "articles" in page.html.select_one(".others").text

    await ada.post(f"{VIEWERS}/permissions", await grid_form(ada, VIEWERS, **{"directus_roles:read": "none"}))

    assert ("articles", "read") in await permissions_of(members, "Viewers")


async def test_a_rule_is_what_the_api_evaluates(ada, studio, members):
    path = (await ada.post("/policies/new", {"name": "Active only"})).location.removeprefix("/admin").partition("?")[0]
    page = await ada.post(
        f"{path}/directus_users/read", {"fields": ["id", "email", "status"], "permissions": ACTIVE_ONLY}
    )
    assert page.status == 303
    await ada.post(f"{path}/attach", {"holder": "user", "email": "nora@example.com"})

    rows = await members.directory(caller("nora"))["users"].read_by_query({"limit": -1})

    assert {row["status"] for row in rows} == {"active"}
    assert set(rows[0]) == {"id", "email", "status"}
    assert uid("sue") not in {row["id"] for row in rows}


async def test_only_changed_parts_are_written_and_unknown_fields_are_kept(ada, members):
    page = await ada.get(f"{VIEWERS}/directus_users/read?permission=5")
    assert page.html.find("input", {"name": "fields", "value": "no_such_field"}).has_attr("checked")

    saved = await ada.post(
        f"{VIEWERS}/directus_users/read?permission=5", {"fields": ["email", "no_such_field"], "permissions": ""}
    )

    assert saved.status == 303
    rows = (await policy_named(members, "Viewers"))["permissions"]
    assert [row["fields"] for row in rows if row["id"] == 5] == [["no_such_field", "email"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{\n  "status": {"_eq": "active"},\n}', "Line 3, column 1"),
        ('{\n  "status": {\n    "_like": "a"\n  }\n}', "Line 3, column 5"),
        ('{"_and": [\n {"status": {"_eq": "active"}},\n {"nope": {"_eq": 1}}\n]}', "Line 3, column 3"),
        ('{\n "role": {\n  "users": {"_some": {"mail": {"_eq": "x"}}}}}', "Line 3, column 23"),
        ('{"status": {"_eq": "a"},\n "status": {"_eq": "b"}}', "Line 2, column 2"),
        ('{"last_access": {"_gt": "$NOW(soon)"}}', "Line 1, column 18"),
        ("[]", "Line 1, column 1"),
    ],
    ids=["syntax", "operator", "field in a list", "field of a relation", "name twice", "variable", "no object"],
)
async def test_errors_are_reported_at_their_line(ada, text, message):
    page = await ada.post(f"{WRITERS}/directus_users/read", {"fields": "id", "permissions": text})

    assert page.status == 422
    assert f"Rule: {message}" in page.errors[0]
    assert page.html.find("textarea", {"name": "permissions"}).text.lstrip("\n") == text


@pytest.mark.parametrize(
    ("rule", "place"),
    [
        ('{"status": {"_eq": ""}}', "Line 1, column 13"),
        ('{"_and": [\n {"status": {"_in": []}}]}', "Line 2, column 14"),
        ('{"last_access": {"_between": ["", "$NOW"]}}', "Line 1, column 18"),
        ('{"role": {"name": {"_contains": " "}}}', "Line 1, column 20"),
        ('{"status": ""}', "Line 1, column 2"),
    ],
)
async def test_a_condition_without_a_value_is_rejected_at_its_line(ada, members, rule, place):
    before = await permissions_of(members, "Writers")
    page = await ada.post(f"{WRITERS}/directus_users/read", {"fields": "id", "permissions": rule})

    assert page.status == 422
    assert page.errors == [
        f'Rule: {place}: This condition has no value. Enter one, or use "_empty" to match empty values.'
    ]
    assert await permissions_of(members, "Writers") == before


async def test_operators_that_need_no_value_are_saved(ada):
    values = {"fields": "id", "permissions": '{"title": {"_empty": true}}'}

    assert (await ada.post(f"{WRITERS}/directus_users/read", values)).status == 303


async def test_a_new_permission_starts_with_all_fields_and_a_form_without_a_choice_grants_nothing(ada, members):
    path = f"{WRITERS}/directus_roles/update"
    page = await ada.get(path)

    assert "Now: not allowed." in page.text
    assert [field["value"] for field in page.html.select("[name=fields][checked]")] == ["*"]
    assert "Create permission" in page.html.select_one(".save-bar").text
    rejected = await ada.post(path, {"permissions": "", "validation": "", "presets": ""})
    assert rejected.status == 422
    assert rejected.errors == ['Fields: Choose "All fields" or "Only these fields".']
    assert ("directus_roles", "update") not in await permissions_of(members, "Writers")


async def test_a_new_permission_to_delete_every_row_must_say_so(ada, members):
    path = f"{WRITERS}/directus_roles/delete"

    rejected = await ada.post(path, {"permissions": ""})
    assert rejected.errors == ['Rule: Enter a rule, or check "Every row".']
    assert (await ada.post(path, {"permissions": "", "every_row": "true"})).status == 303
    assert ("directus_roles", "delete") in await permissions_of(members, "Writers")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (["*", "email"], "All fields and single fields are chosen."),
        ([""], "Check at least one field"),
    ],
)
async def test_contradicting_or_missing_fields_are_rejected(ada, members, fields, message):
    before = await permissions_of(members, "Writers")
    page = await ada.post(f"{WRITERS}/directus_users/read", {"fields": fields, "permissions": ""})

    assert page.status == 422
    assert message in page.errors[0]
    assert await permissions_of(members, "Writers") == before


async def test_all_fields_and_those_that_must_be_named_are_saved(ada, members):
    values = {"fields": ["*", "token"], "permissions": "", "validation": "", "presets": ""}

    saved = await ada.post(f"{WRITERS}/directus_users/update", values)
    assert (saved.status, saved.errors) == (303, [])
    rows = (await policy_named(members, "Writers"))["permissions"]
    assert ["*", "token"] in [row["fields"] for row in rows]


async def test_the_page_says_that_secrets_are_never_returned(ada):
    page = await ada.get(f"{WRITERS}/directus_users/read")

    hints = " ".join(hint.text for hint in page.html.select("fieldset .hint"))
    assert "are never returned" in hints
    assert all(name in hints for name in ("password", "token", "tfa_secret"))


async def test_the_preview_of_a_rule_without_a_value_is_no_error(ada):
    values = {"fields": "id", "permissions": '{"last_access": {"_gt": ""}}'}
    page = await ada.post(f"{WRITERS}/directus_users/read/preview", values, {"studio-fragment": "preview"})

    assert not page.html.select(".error")
    assert "Enter a value for each condition" in page.text


async def test_an_invalid_preset_is_reported_at_its_line(ada):
    values = {"fields": "email", "validation": "", "presets": '{\n "title": "New",\n "nope": 1\n}'}
    page = await ada.post(f"{WRITERS}/directus_users/create", values)

    assert page.errors == ['Presets: Line 3, column 2: "directus_users" has no field "nope"']


async def test_a_validation_may_not_ask_for_related_rows(ada):
    values = {"fields": "email", "validation": '{"role": {"name": {"_eq": "Editor"}}}', "presets": ""}
    page = await ada.post(f"{WRITERS}/directus_users/create", values)

    assert page.status == 422
    assert "Validation: Line 1, column 2" in page.errors[0]


@pytest.mark.parametrize(
    ("action", "parts"),
    [
        ("create", {"fields", "validation", "presets"}),
        ("read", {"fields", "permissions"}),
        ("update", {"fields", "permissions", "validation", "presets"}),
        ("delete", {"permissions"}),
    ],
)
async def test_an_action_has_only_the_parts_that_have_an_effect(ada, action, parts):
    page = await ada.get(f"{WRITERS}/directus_users/{action}")

    assert {control["name"] for control in page.html.select("[name=fields], textarea")} == parts


async def test_a_stored_rule_that_grants_nothing_says_why(ada):
    page = await ada.get(f"{VIEWERS}/directus_roles/read")

    assert page.errors == ['Rule: Line 2, column 3: "directus_roles" has no field "no_such_field"']


async def test_the_preview_counts_the_matching_rows(ada, members):
    values = {"fields": "id", "permissions": ACTIVE_ONLY}
    page = await ada.post(f"{WRITERS}/directus_users/read/preview", values)

    count = await members.directory(caller("ada"))["users"].count({"filter": json.loads(ACTIVE_ONLY)})
    assert page.status == 200
    assert f"{count} rows match." in page.text
    assert len(page.html.select("#preview tbody tr")) == 5
    assert page.html.find("textarea", {"name": "permissions"}).text.split() == ACTIVE_ONLY.split()
    assert (await permissions_of(members, "Writers"))["directus_users", "read"]["permissions"] == ACTIVE_IN_OWN_ROLE


async def test_the_preview_of_a_script_is_only_a_part_of_the_page(ada):
    values = {"fields": "id", "permissions": '{"id": {"_eq": "$CURRENT_USER"}}'}
    page = await ada.post(f"{WRITERS}/directus_users/read/preview", values, {"studio-fragment": "preview"})

    assert page.html.select_one("#preview")
    assert not page.html.find("form")
    assert "1 row matches." in page.text


async def test_the_preview_of_an_unreadable_rule_says_why(ada):
    values = {"fields": "id", "permissions": '{"nope": 1}'}
    page = await ada.post(f"{WRITERS}/directus_users/read/preview", values, {"studio-fragment": "preview"})

    assert "Line 1, column 2" in page.html.select_one("#preview .error").text


async def test_the_preview_needs_the_form_token(ada):
    page = await ada.post(f"{WRITERS}/directus_users/read/preview", {"permissions": "", "form_token": "0"})

    assert page.status == 403


async def test_a_permission_is_deleted(ada, members):
    assert (await ada.post(f"{WRITERS}/directus_users/delete/delete")).status == 303

    assert ("directus_users", "delete") not in await permissions_of(members, "Writers")


async def test_only_states_that_the_caller_may_grant_are_offered(rita):
    page = await rita.get(f"/policies/{uid('policy-Rights')}")

    shown = states(page)
    assert shown["directus_users:read"] == "all"
    assert not [name for name in shown if name.startswith("directus_files")]


async def test_a_permission_beyond_the_own_ones_has_no_page(rita, members):
    before = await permissions_of(members, "Rights")
    path = f"/policies/{uid('policy-Rights')}/directus_files/read"

    assert (await rita.get(path)).status == 403
    assert (await rita.post(path, {"fields": "*", "permissions": ""})).status == 403
    assert await permissions_of(members, "Rights") == before


async def test_a_rule_beyond_the_own_ones_is_refused_in_words(ada, rita, members):
    rights, editors = (f"/policies/{uid(f'policy-{name}')}/directus_users/read" for name in ("Rights", "Editors"))
    assert (await ada.post(rights, {"fields": "*", "permissions": ACTIVE_ONLY})).status == 303
    before = await permissions_of(members, "Editors")

    page = await rita.post(editors, {"fields": ["id", "email", "status", "title"], "permissions": ""})

    assert page.status == 422
    assert page.errors == ["You cannot grant more than you have yourself. Ask an administrator."]
    assert await permissions_of(members, "Editors") == before
    grid = await rita.get(f"/policies/{uid('policy-Editors')}")
    options = grid.html.find("select", {"name": "directus_users:read"}).find_all("option")
    assert [option["value"] for option in options] == ["none", "custom"]


async def test_several_permissions_for_one_action_have_a_page_each(ada):
    page = await ada.get(f"{VIEWERS}/directus_users/read")

    assert states(await ada.get(VIEWERS))["directus_users:read"] == "custom"
    assert [link["href"].rpartition("=")[2] for link in page.html.select(".warning a")] == ["4", "5"]


@pytest.mark.parametrize("path", ["/directus_users/share", "/articles/read", "/directus_activity/create"])
async def test_only_permissions_that_have_an_effect_have_a_page(ada, path):
    assert (await ada.get(f"{WRITERS}{path}")).status == 403
