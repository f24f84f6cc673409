"""Deleting users: a dry run lists exactly what a deletion does, and references are moved in the same transaction."""

from typing import Any

import pytest
from sqlalchemy import text

from app.core.errors import Forbidden, InvalidForeignKey, InvalidPayload, RollcallError, UnprocessableContent
from app.flows.user_deletion import DeletionOptions, delete_users
from app.repositories.references.foreign_keys import POSTGRESQL_KEYS
from tests.base_data import caller, uid
from tests.deletion.conftest import SAM, VI
from tests.deletion.database import content
from tests.writes.conftest import run_sql

ADA = caller("ada")
DRY = DeletionOptions(dry_run=True)
TO_SAM = DeletionOptions(reassign_to=SAM)


async def references(system, *users, **options) -> dict[tuple[str, str], tuple[str, int]]:
    report = await delete_users(system.directory(ADA), users, DeletionOptions(dry_run=True, **options))
    return {(one.table, one.column): (one.action, one.count) for one in report.references}


async def test_a_dry_run_lists_every_reference_and_what_happens_to_it(blocked):
    assert await references(blocked, VI) == {
        ("articles", "author"): ("cascade", 2),
        ("remarks", "article"): ("cascade", 2),
        ("remarks", "parent"): ("cascade", 1),
        ("remarks", "reviewer"): ("set_null", 2),
        ("contracts", "Owner"): ("blocked", 2),
        ("memberships", "member"): ("blocked", 1),
        ("directus_notifications", "recipient"): ("cascade", 1),
        ("directus_notifications", "sender"): ("set_null", 1),
        ("directus_sessions", "user"): ("cascade", 1),
    }


async def test_tables_that_the_database_role_may_not_read_are_left_out(project):
    if project.database.dialect != "postgresql":
        pytest.skip("SQLite has no roles")
    async with project.database.transaction() as connection:
        for statement in ("CREATE ROLE reader", "GRANT SELECT ON articles TO reader", "SET LOCAL ROLE reader"):
            await connection.execute(text(statement))
        tables = {row[1] for row in await connection.execute(POSTGRESQL_KEYS)}
        await connection.rollback()

    assert tables == {"articles"}


async def test_a_dry_run_changes_nothing(blocked):
    before = await content(blocked)
    await references(blocked, VI, SAM)
    await references(blocked, VI, reassign_to=SAM)

    assert await content(blocked) == before


async def test_a_deletion_does_what_the_dry_run_said(project):
    expected = await references(project, VI)
    before = await content(project)
    await project.directory(ADA)["users"].delete_one(VI)
    after = await content(project)

    lost = {name: len(rows) - len(after[name]) for name, rows in before.items() if len(rows) > len(after[name])}
    assert lost == {
        "directus_users": 1,
        "articles": 2,
        "remarks": 3,
        "directus_notifications": 1,
        "directus_sessions": 1,
    }
    assert expected["articles", "author"] == ("cascade", 2)
    assert {action for action, _ in expected.values()} == {"cascade", "set_null"}
    assert VI not in repr([rows for name, rows in after.items() if name != "directus_activity"])


async def test_a_blocked_deletion_names_table_column_and_count_and_the_way_out(blocked):
    before = await content(blocked)
    with pytest.raises(InvalidForeignKey) as raised:
        await blocked.directory(ADA)["users"].delete_one(VI)

    assert '"contracts"."Owner" (2), "memberships"."member" (1)' in str(raised.value)
    assert "reassign_to" in str(raised.value)
    assert raised.value.extensions["references"][0] == {"table": "contracts", "column": "Owner", "count": 2}
    assert await content(blocked) == before


async def test_references_move_to_another_user_but_rights_and_personal_rows_do_not(blocked):
    access = await blocked.directory(ADA)["access"].create_one({"user": VI, "policy": uid("policy-Staff")})
    expected = await references(blocked, VI, reassign_to=SAM)
    report = await delete_users(blocked.directory(ADA), [VI], TO_SAM)
    after = await content(blocked)

    assert {(one.table, one.column): (one.action, one.count) for one in report.references} == expected
    assert {name for (name, _), (action, _) in expected.items() if action == "reassigned"} == {
        "articles",
        "remarks",
        "contracts",
        "memberships",
    }
    assert [len(after[name]) for name in ("articles", "remarks", "contracts", "memberships")] == [3, 4, 3, 2]
    assert all(str(row["Owner"]) == SAM for row in after["contracts"])
    assert after["directus_sessions"] == []
    assert [row["id"] for row in after["directus_notifications"]] == [2]
    assert access not in [str(row["id"]) for row in after["directus_access"]]


async def test_each_moved_row_is_in_the_audit_log(blocked):
    await delete_users(blocked.directory(ADA), [VI], TO_SAM)
    activity = (await content(blocked))["directus_activity"]
    entries = {(row["action"], row["collection"], row["item"]) for row in activity if str(row["user"]) == uid("ada")}

    assert {("update", "contracts", "1"), ("update", "contracts", "2"), ("update", "memberships", "*")} <= entries
    assert ("update", "contracts", "3") not in entries
    assert ("delete", "directus_users", VI) in entries


async def test_a_unique_constraint_rejects_the_whole_deletion(blocked):
    await run_sql(blocked.settings.database_url, f"INSERT INTO memberships VALUES ('red', '{SAM}');")
    before = await content(blocked)
    with pytest.raises(UnprocessableContent, match=r'"memberships"."member" can\'t be moved'):
        await delete_users(blocked.directory(ADA), [VI], TO_SAM)

    assert await content(blocked) == before


@pytest.mark.parametrize("target", [uid("nowhere"), VI, "no-uuid", "", "\x00"])
async def test_references_move_only_to_another_existing_user(blocked, target):
    before = await content(blocked)
    with pytest.raises(InvalidPayload, match="reassign_to"):
        await delete_users(blocked.directory(ADA), [VI], DeletionOptions(reassign_to=target))

    assert await content(blocked) == before


async def test_a_dry_run_is_refused_as_the_deletion_would_be(project):
    with pytest.raises(UnprocessableContent, match="last admin"):
        await delete_users(project.directory(ADA), [uid("ada")], DRY)


@pytest.mark.parametrize("options", [DRY, TO_SAM])
async def test_hidden_and_missing_users_get_the_same_answer(blocked, options):
    rule = {"collection": "directus_users", "action": "delete", "permissions": {"id": {"_eq": SAM}}}
    await blocked.directory(ADA)["permissions"].create_one({**rule, "policy": uid("policy-Editors")})
    errors = []
    for key in (VI, uid("nowhere")):
        with pytest.raises(Forbidden) as raised:
            await delete_users(blocked.directory(caller("ed")), [key], options)
        errors.append(raised.value.as_dict())

    assert errors[0] == errors[1]


async def grant_deletion(system, **files: Any) -> None:
    """Let the editors delete users, and read files as `files` says."""
    rows = [{"collection": "directus_users", "action": "delete", "policy": uid("policy-Editors")}]
    if files:
        rows.append({"collection": "directus_files", "action": "read", "policy": uid("policy-Editors"), **files})
    await system.directory(ADA)["permissions"].create_many(rows)


async def test_others_than_admins_count_only_what_they_may_read(blocked):
    await run_sql(blocked.settings.database_url, "DELETE FROM contracts; DELETE FROM memberships;")
    files = [{"storage": "local", "filename_download": name, "uploaded_by": VI, "title": name} for name in "abc"]
    await blocked.directory(ADA)["files"].create_many(files)
    ed = blocked.directory(caller("ed"))
    await grant_deletion(blocked)
    assert (await delete_users(ed, [VI], DRY)).references == []
    await grant_deletion(blocked, fields=["title", "uploaded_by"], permissions={"title": {"_neq": "a"}})
    seen = (await delete_users(ed, [VI], DRY)).references

    assert [(one.table, one.column, one.count, one.action) for one in seen] == [
        ("directus_files", "uploaded_by", 2, "blocked")
    ]


@pytest.mark.both_databases
async def test_others_than_admins_may_not_reassign_and_learn_no_table(blocked):
    await grant_deletion(blocked)
    ed = blocked.directory(caller("ed"))
    with pytest.raises(Forbidden):
        await delete_users(ed, [VI], TO_SAM)
    with pytest.raises(RollcallError) as raised:
        await ed["users"].delete_one(VI)

    assert not {"contracts", "memberships"} & set(str(raised.value.as_dict()).replace('"', " ").split())


async def test_several_users_who_refer_to_each_other_are_deleted_together(project):
    column = "uuid" if project.database.dialect == "postgresql" else "char(36)"
    await run_sql(
        project.settings.database_url,
        f"ALTER TABLE directus_users ADD COLUMN manager {column} REFERENCES directus_users (id);"
        f"UPDATE directus_users SET manager = '{SAM}' WHERE id = '{VI}';",
    )
    assert (await references(project, SAM))["directus_users", "manager"] == ("blocked", 1)
    assert ("directus_users", "manager") not in await references(project, SAM, VI)
    await project.directory(ADA)["users"].delete_many([SAM, VI])
    assert await project.directory(ADA)["users"].count({"filter": {"id": {"_in": [SAM, VI]}}}) == 0
