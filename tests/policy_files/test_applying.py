"""`rollcall policies apply` changes what files describe, in one transaction, as the rules of the directory allow."""

import pytest

from app.core.caller import SYSTEM
from tests.base_data import uid
from tests.cli.commands import run_command

EDITORS = f"""
policies:
  - id: {uid("policy-Editors")}
    name: Editors
    permissions:
      - collection: directus_users
        action: read
        fields: [id, email]
        permissions: {{status: {{_eq: active}}}}
"""
NOTHING = "No changes: the database has these roles and policies already.\n"


async def rows(system, collection, **query):
    return await system.directory(SYSTEM)[collection].read_by_query({"limit": -1, **query})


async def permissions_of(system, policy):
    query = {"filter": {"policy": {"name": {"_eq": policy}}}, "fields": ["id", "action", "fields", "presets"]}
    return await rows(system, "permissions", **query)


async def test_a_policy_of_a_file_is_described_completely_and_others_are_left_alone(restored_db, policies, file):
    before = await permissions_of(restored_db, "Staff")
    await restored_db.directory(SYSTEM)["permissions"].create_one(
        {"policy": uid("policy-Editors"), "collection": "directus_users", "action": "delete"}
    )
    result = await policies("apply", file(EDITORS))

    assert result.out == (
        '~ permission of policy "Editors" to read directus_users\n'
        '    fields: ["id","email","status","title"] -> ["id","email"]\n'
        '- permission of policy "Editors" to delete directus_users\n'
        "Applied: 0 created, 1 updated, 1 deleted.\n"
    )
    assert await permissions_of(restored_db, "Editors") == [
        {"id": 3, "action": "read", "fields": ["id", "email"], "presets": None}
    ]
    assert await permissions_of(restored_db, "Staff") == before
    assert (await policies("apply", file(EDITORS))).out == NOTHING


async def test_a_dry_run_and_a_plan_change_nothing(restored_db, policies, file):
    before = await rows(restored_db, "permissions"), await rows(restored_db, "activity")
    dry_run = await policies("apply", file(EDITORS), "--dry-run")
    plan = await policies("plan", file(EDITORS))
    detailed = await policies("plan", file(EDITORS), "--detailed-exitcode")

    assert dry_run.out.endswith("Nothing was changed. Without --dry-run: 0 created, 1 updated, 0 deleted.\n")
    assert "Plan: 0 created, 1 updated, 0 deleted.\n" in plan.out
    assert (dry_run.code, plan.code, detailed.code) == (0, 0, 2)
    assert (await rows(restored_db, "permissions"), await rows(restored_db, "activity")) == before


async def test_a_plan_says_who_gains_and_loses_what(policies, file):
    result = await policies("plan", file(EDITORS))

    effects = result.out.partition("deleted.\n\n")[2]
    assert effects == (
        "1 change would affect 1 role and 1 user.\n\n"
        f'Role "Editor"; 1 user ({uid("ed")}):\n'
        "  ~ read directus_users: loses status, title; 9 rows; status, title on 0 rows (+0, -7)\n"
    )


async def test_changes_are_recorded_in_the_activity_of_their_author(restored_db, policies, file):
    await policies("apply", file(EDITORS), "--user", "ada@example.com")
    last, *_ = await rows(restored_db, "activity", sort=["-id"], fields=["user", "collection", "item", "action"])

    assert last == {"user": uid("ada"), "collection": "directus_permissions", "item": "3", "action": "update"}


async def test_the_rights_of_the_author_limit_what_is_applied(policies, file):
    path = file(EDITORS)
    result = await policies("apply", path, "--user", "ed@example.com")

    assert result.code == 1
    assert result.err.startswith(f'rollcall: {path}, line 6: the permission of policy "Editors" to read directus_users')
    assert "You don't have permission" in result.err


async def test_an_invalid_change_leaves_everything_as_it_was(restored_db, policies, file):
    before = await rows(restored_db, "permissions"), await rows(restored_db, "activity")
    path = file(f"{EDITORS}roles:\n  - name: New\n    icon: {'x' * 65}\n")
    result = await policies("apply", path)

    assert (result.code, result.err.count("\n")) == (1, 1)
    assert 'line 11: the role "New" cannot be written' in result.err
    assert (await rows(restored_db, "permissions"), await rows(restored_db, "activity")) == before


async def test_the_last_admin_stays(policies, file):
    result = await policies("apply", file("policies: [{name: Administrators}, {name: Administrator}]"))

    assert (result.code, result.err) == (
        1,
        "rollcall: Can't process content. Cannot remove the last admin user from the system.\n",
    )


async def test_only_with_prune_what_no_file_describes_is_deleted(restored_db, policies, file):
    exported = (await policies("export")).out
    await restored_db.directory(SYSTEM)["policies"].create_one({"name": "Temporary"})
    path = file(exported)
    kept, pruned = await policies("apply", path, "--allow-unknown"), await policies("apply", path, "--prune")

    assert kept.out == NOTHING
    assert pruned.out == '- policy "Temporary"\nApplied: 0 created, 0 updated, 1 deleted.\n'
    assert (await policies("export")).out == exported


async def test_a_file_moved_to_another_instance_keeps_ids_and_finds_what_has_another_id_by_name(policies, file):
    new, other = uid("a new role"), uid("another id")
    content = f"roles:\n  - {{id: {new}, name: Interns, parent: {{id: {other}, name: Staff}}}}\n"
    content += f"  - {{id: {other}, name: Staff, policies: [{{name: Staff}}]}}\n"
    result, exported = await policies("apply", file(content)), await policies("export")

    assert result.out == '+ role "Interns"\n    parent: "Staff"\nApplied: 1 created, 0 updated, 0 deleted.\n'
    assert f"  - id: {new}\n    name: Interns\n    parent: {{id: {uid('role-Staff')}, name: Staff}}\n" in exported.out


async def test_the_parents_of_roles_can_be_swapped(restored_db, policies, file):
    result = await policies(
        "apply",
        file("roles:\n  - {name: Staff, parent: Editor, policies: [Staff]}\n  - {name: Editor, policies: [Editors]}\n"),
    )

    assert result.code == 0, result.err
    assert await rows(restored_db, "roles", filter={"parent": {"_nnull": True}}, fields=["name", "parent.name"]) == [
        {"name": "Staff", "parent": {"name": "Editor"}}
    ]


async def test_secret_presets_are_neither_exported_nor_printed_nor_lost(restored_db, policies, file):
    presets = {"password": "for everyone", "title": "New"}
    values = {"policy": uid("policy-Editors"), "collection": "directus_users", "action": "create", "fields": ["email"]}
    await restored_db.directory(SYSTEM)["permissions"].create_one({**values, "presets": presets})
    exported = (await policies("export")).out
    result = await policies("apply", file(exported.replace("title: New", "title: Newer")))

    assert "for everyone" not in exported + result.out
    assert '    presets: {"title":"New"} -> {"title":"Newer"}\n' in result.out
    (created,) = [row for row in await permissions_of(restored_db, "Editors") if row["action"] == "create"]
    assert created["presets"] == {"title": "Newer", "password": "for everyone"}


async def test_the_policies_of_single_users_are_neither_exported_nor_changed(restored_db, policies, file):
    values = {"policy": uid("policy-Office"), "user": uid("vi")}
    key = await restored_db.directory(SYSTEM)["access"].create_one(values)
    exported = (await policies("export")).out
    await policies("apply", file("policies: [{name: Office}]"))

    assert uid("vi") not in exported
    assert [row["id"] for row in await rows(restored_db, "access", filter={"user": {"_nnull": True}})].count(key) == 1


async def test_names_that_only_a_directus_serves_need_a_flag(policies, file):
    path = file("policies: [{name: P, permissions: [{collection: articles, action: read, fields: ['*']}]}]")
    refused, accepted = await policies("apply", path), await policies("apply", path, "--allow-unknown")

    assert "there is no collection 'articles'." in refused.err
    assert "--allow-unknown" in refused.err
    assert (accepted.code, accepted.err.startswith("Warning: ")) == (0, True)
    assert (await policies("apply", path)).out == NOTHING, "what is stored already is not checked again"


async def test_the_files_of_a_folder_are_one_document(policies, file, tmp_path):
    file("roles: [{name: Interns, policies: [Trainees]}]", "a.yaml")
    file("policies: [{name: Trainees}]", "b.yml")
    assert (await policies("apply", tmp_path)).out.endswith("Applied: 3 created, 0 updated, 0 deleted.\n")
    second = file("roles: [{name: Interns}]", "c.yaml")
    result = await policies("apply", tmp_path)

    assert result.err.startswith(f'rollcall: {second}, line 1: the role "Interns" occurs twice, first in ')


@pytest.mark.parametrize("arguments", [("--help",), ("apply", "--help")])
async def test_the_commands_describe_themselves(readonly_db, arguments):
    result = await run_command(readonly_db.settings.database_url, "policies", *arguments)

    assert (result.code, result.err) == (0, "")
