"""A revert to Directus 10 gives what Directus 11.0.1's own revert of the same databases gives, and loses less."""

import json
from collections import Counter

import pytest

from app.core.errors import OperatorError
from app.db import migrate
from app.upgrade import locks
from app.upgrade.repair import repair
from app.upgrade.report import format_revert_preview
from app.upgrade.revert import revert, revert_in_transaction
from app.upgrade.revert_preview import preview_revert, preview_revert_in_transaction
from app.upgrade.upgrade_preview import preview_upgrade
from tests.upgrade.databases import (
    DELETE_DUPLICATES,
    DELETE_MERGE_ROWS,
    DELETE_NEWER_MIGRATIONS,
    INTERRUPTED_REVERT,
    STEPS,
    database_url,
    no_progress,
    opened_by_guest,
    opened_copy,
    recorded_layout,
    recorded_rows,
    rolled_back,
    run_statements,
    snapshots_of_killed_processes,
)
from tests.upgrade.snapshots import layout, rows, snapshot

ROLE, POLICY = IDS = "000000a5-1010-4010-8010-0000000000a5", "000000a2-1010-4010-8010-0000000000a2"
ADMIN = "fde6d307-8240-4657-9d72-dd18e7937870"
USER = "00000102-0000-4000-8000-000000000102"

IP_LIMITED_POLICY = [
    "INSERT INTO directus_policies (id, name, ip_access) VALUES (md5('x')::uuid, 'At home', '10.0.0.1')",
    f"INSERT INTO directus_access VALUES (gen_random_uuid(), '{POLICY}', NULL, md5('x')::uuid, 2)",
    "INSERT INTO directus_permissions (collection, action, policy) VALUES ('pages', 'share', md5('x')::uuid)",
]
"""Adds a second policy to a role, limited to one IP address."""
SUSPEND_ADMINS = """
UPDATE directus_users SET status = 'suspended'
WHERE role IN (SELECT role FROM directus_access JOIN directus_policies AS p ON p.id = policy WHERE admin_access)
"""
INSERT_PERMISSION = f"""
INSERT INTO directus_permissions (collection, action, permissions, fields, policy)
VALUES ('pages', 'read', {{}}, '{{}}', '{POLICY}')
"""
KEPT_PERMISSIONS = {  # roles whose permissions Directus 11.0.1 loses, and why Rollcall keeps them
    "000000a6-1010-4010-8010-0000000000a6": "its only policy and the role have the same IP addresses",
    "000000a7-1010-4010-8010-0000000000a7": "the same",
    "000000aa-1010-4010-8010-0000000000aa": "permissions of an admin apply again once the role is no longer admin",
    "00000c05-1010-4010-8010-000000000c05": "the same, with an admin as parent",
    "00000c07-1010-4010-8010-000000000c07": "the same, as an admin by a second policy",
}


async def reverted(system, *changes, accept_loss):
    """Return the outcome of a revert after some changes, and the resulting rows and layout; roll everything back."""
    async with rolled_back(system, *changes) as connection:
        outcome = await revert_in_transaction(connection, accept_loss=accept_loss, progress=no_progress)
        tables = ("roles", "users", "settings", "permissions", "migrations")
        state = {name: await rows(connection, f"directus_{name}") for name in tables}
        return outcome, state | {kind: await layout(connection, kind) for kind in ("columns", "constraints", "indexes")}


def by_id(table_rows):
    return {row["id"]: row for row in table_rows}


def without_ids(permissions):
    return Counter(json.dumps({**row, "id": None}, sort_keys=True) for row in permissions)


DATABASES = {  # database, changes, recording of Directus 11.0.1's revert, number of permissions it loses
    "upgraded": ("readonly_merge", DELETE_MERGE_ROWS, "v1101_down", 4),
    "rich": ("readonly_lossy", (), "v1101_rich_down", 8),
    "merge": ("readonly_merge", (), "v1101_merge_down", 4),
}


@pytest.mark.parametrize(
    ("system", "changes", "recording", "additional"), DATABASES.values(), ids=DATABASES, indirect=["system"]
)
async def test_a_revert_gives_the_rows_of_directus_own_and_keeps_permissions_that_it_loses(
    system, changes, recording, additional
):
    _, state = await reverted(system, *changes, accept_loss=True)
    rollcall = without_ids(state["permissions"])
    directus = without_ids(recorded_rows(recording, "directus_permissions"))

    for table in ("roles", "users", "settings"):
        assert by_id(state[table]) == by_id(recorded_rows(recording, f"directus_{table}"))
    assert directus - rollcall == Counter()
    assert (rollcall - directus).total() == additional
    assert {json.loads(row)["role"] for row in rollcall - directus} <= set(KEPT_PERMISSIONS)


async def test_the_tables_have_the_layout_of_directus_own_revert_and_a_cascading_foreign_key(
    readonly_lossless,
):
    _, state = await reverted(readonly_lossless, accept_loss=False)
    key = ("directus_permissions", "directus_permissions_role_foreign")
    directus = {kind: recorded_layout("v1101_down", kind) for kind in ("columns", "constraints", "indexes")}
    # The foreign key of Directus' own revert lacks the ON DELETE CASCADE it has in Directus 10.
    cascading = [row for row in recorded_layout("v10", "constraints") if row[:2] == key]
    others = [row for row in directus["constraints"] if row[:2] != key]

    assert state["columns"] == directus["columns"]
    assert sorted(state["indexes"]) == sorted(directus["indexes"])
    assert sorted(state["constraints"]) == sorted(others + cascading)


async def test_the_lossless_database_is_an_upgraded_directus_10_without_duplicates(readonly_lossless):
    for table in ("roles", "policies", "permissions"):
        actual = await rows(database_url(readonly_lossless), f"directus_{table}")
        upgraded = by_id(recorded_rows("v11_migrated", f"directus_{table}"))
        assert by_id(actual) == {id_: row for id_, row in upgraded.items() if id_ not in (39, 41, 43)}


async def test_an_upgraded_database_is_reverted_without_loss_ids_included(
    readonly_lossless,
):
    outcome, state = await reverted(readonly_lossless, accept_loss=False)
    before = {
        id_: row for id_, row in by_id(recorded_rows("v10", "directus_permissions")).items() if id_ not in (39, 41, 43)
    }

    assert (outcome.losses, outcome.merged, outcome.copied, outcome.unchanged) == ((), 0, 0, len(before))
    assert by_id(state["permissions"]) == before
    assert by_id(state["roles"]) == by_id(recorded_rows("v10", "directus_roles"))
    assert "20240806A" not in {row["version"] for row in state["migrations"]}


LOSSES = {  # changes to a database without losses, number of kinds of loss they cause, one of the messages
    "a user's own policy": (
        [f"INSERT INTO directus_access VALUES (gen_random_uuid(), NULL, '{USER}', '{POLICY}', 1)"],
        1,
        f"policies attached to users.*1 in all: API reader of user {USER}",
    ),
    "the only admin by a policy of the user": (
        [
            SUSPEND_ADMINS,
            f"INSERT INTO directus_access VALUES (gen_random_uuid(), NULL, '{USER}', '{ADMIN}', 1)",
        ],
        2,
        f"the only active admins, who would no longer be admins, 1 in all: {USER}",
    ),
    "a policy that is not attached": (
        ["INSERT INTO directus_policies (id, name) VALUES (gen_random_uuid(), 'Spare')"],
        1,
        r"policies that are not attached, 1 in all: Spare \(",
    ),
    "a role with a parent": (
        [f"UPDATE directus_roles SET parent = '{ROLE}' WHERE id = '{POLICY}'"],
        1,
        "roles with a parent.*1 in all: API reader below Empty",
    ),
    "a policy with another name": (
        [f"UPDATE directus_policies SET name = 'Reads by API' WHERE id = '{POLICY}'"],
        1,
        rf"or with another name.*1 in all: Reads by API \({POLICY}\)",
    ),
    "a policy with another icon": (
        [f"UPDATE directus_policies SET icon = 'key' WHERE id = '{POLICY}'"],
        1,
        rf"or with another name.*1 in all: API reader \({POLICY}\)",
    ),
    "a policy with another description": (
        [f"UPDATE directus_policies SET description = 'for programs' WHERE id = '{POLICY}'"],
        1,
        rf"or with another name.*1 in all: API reader \({POLICY}\)",
    ),
    "a policy of two roles": (
        [f"INSERT INTO directus_access VALUES (gen_random_uuid(), '{ROLE}', NULL, '{POLICY}', 2)"],
        1,
        r"policies of several roles.*2 in all: API reader \(.*, Empty \(",
    ),
    "a public policy with app access": (
        ["UPDATE directus_policies SET app_access = true WHERE icon = 'public'"],
        1,
        "public policies with IP addresses or access flags.*1 in all",
    ),
    "a public policy limited to IP addresses": (
        ["UPDATE directus_policies SET ip_access = '10.0.0.1' WHERE icon = 'public'"],
        2,
        "permissions of policies limited to IP addresses.*4 in all: the public: directus_files read",
    ),
    "policies for different IP addresses": (
        IP_LIMITED_POLICY,
        3,
        r"will be limited to all of these together, 1 in all: API reader \(10.0.0.1\)",
    ),
    "a permission limited to IP addresses": (
        IP_LIMITED_POLICY,
        3,
        "permissions of policies limited to IP addresses, unless .* is, 1 in all: API reader: pages share",
    ),
    "a rule and a null rule": (
        [INSERT_PERMISSION.format("NULL", "id,title,body,author")],
        1,
        "restrict what one of them left unrestricted, 1 in all: API reader: pages read",
    ),
    "two permissions with different rules and fields": (
        [INSERT_PERMISSION.format("""'{"status": {"_eq": "x"}}'""", "slug")],
        1,
        "may allow what none of them did, 1 in all: API reader: pages read",
    ),
    "a variable unknown to Directus 10": (
        ["""UPDATE directus_permissions SET permissions = '{"role": {"_in": "$CURRENT_ROLES"}}' WHERE id = 16"""],
        1,
        r"\$CURRENT_ROLES or \$CURRENT_POLICIES, unknown to Directus 10, 1 in all: API reader: directus_users read",
    ),
    "a column of the project": (
        ["ALTER TABLE directus_policies ADD COLUMN owner text"],
        1,
        "columns that Directus does not have, 1 in all: directus_policies.owner",
    ),
}


@pytest.mark.sampled
@pytest.mark.parametrize(("changes", "kinds", "message"), LOSSES.values(), ids=LOSSES)
async def test_a_revert_with_a_loss_is_rejected_with_its_name_and_changes_nothing(
    readonly_lossless, changes, kinds, message
):
    async with rolled_back(readonly_lossless, *changes) as connection:
        before = await snapshot(connection)
        with pytest.raises(OperatorError, match=message):
            async with connection.begin_nested():
                await revert_in_transaction(connection, accept_loss=False, progress=no_progress)
        assert await snapshot(connection) == before

        assert len((await preview_revert_in_transaction(connection, 5, no_progress)).outcome.losses) == kinds


async def test_a_dry_run_lists_each_role_and_every_loss(writable_lossless):
    await run_statements(database_url(writable_lossless), *IP_LIMITED_POLICY)
    before = await snapshot(database_url(writable_lossless))
    report = format_revert_preview(await preview_revert(writable_lossless.database, 50, no_progress))
    lines = [" ".join(line.split()) for line in report.splitlines()]

    assert "API reader - 10.0.0.1 2 2 -" in lines
    assert "the public - anywhere 1 4 -" in lines
    assert "(10.0.0.1)" in report.partition("What would be lost")[2]
    assert await snapshot(database_url(writable_lossless)) == before


async def test_the_first_entries_of_long_lists_are_printed_and_the_others_counted(readonly_lossy):
    report = format_revert_preview(await preview_revert(readonly_lossy.database, 1, no_progress))

    assert "… and 40 more roles" in report
    assert "the public" in report
    assert "3 in all: Child of admin below Second admin, …" in " ".join(report.split())


async def test_control_characters_in_names_are_replaced(readonly_lossless):
    async with rolled_back(
        readonly_lossless, f"UPDATE directus_policies SET name = E'\\x1b[31mred' WHERE id = '{POLICY}'"
    ) as connection:
        preview = await preview_revert_in_transaction(connection, 5, no_progress)
    loss = str(preview.outcome.losses[0])

    assert "?[31mred" in loss
    assert "\x1b" not in format_revert_preview(preview) + loss


async def test_a_cycle_of_parents_is_resolved(readonly_lossless):
    cycle = [
        f"UPDATE directus_roles SET parent = '{parent}' WHERE id = '{child}'" for parent, child in (IDS, IDS[::-1])
    ]
    outcome, state = await reverted(readonly_lossless, *cycle, accept_loss=True)
    counts = Counter(row["role"] for row in state["permissions"])

    assert (outcome.copied, counts[ROLE], counts[POLICY]) == (4, 2, 2)


async def test_newer_migrations_must_be_undone_first_even_if_losses_are_accepted(readonly_v11):
    before = await snapshot(database_url(readonly_v11))
    with pytest.raises(OperatorError, match="20 newer migrations") as caught:
        await revert(readonly_v11.database, accept_loss=True, progress=no_progress)
    assert await snapshot(database_url(readonly_v11)) == before

    listed = [line.split()[0] for line in str(caught.value).splitlines()[1:]]
    assert (len(listed), listed[0], listed[-1]) == (20, "20260211A", "20240817A")


async def test_an_adopted_database_is_reverted_without_a_trace_of_rollcall(readonly_v11):
    async with rolled_back(readonly_v11, DELETE_NEWER_MIGRATIONS, DELETE_DUPLICATES) as connection:
        await revert_in_transaction(connection, accept_loss=False, progress=no_progress)
        never_adopted = await snapshot(connection)
    async with rolled_back(readonly_v11, DELETE_DUPLICATES) as connection:
        await migrate.migrate_up_in_transaction(connection)
        await connection.exec_driver_sql(DELETE_NEWER_MIGRATIONS)
        outcome = await revert_in_transaction(connection, accept_loss=False, progress=no_progress)

        assert outcome.losses == ()
        assert await snapshot(connection) == never_adopted


async def test_recovery_codes_and_queued_mails_are_listed_as_losses(readonly_v11):
    async with rolled_back(readonly_v11, DELETE_DUPLICATES) as connection:
        await migrate.migrate_up_in_transaction(connection)
        for change in (
            *(DELETE_NEWER_MIGRATIONS, f"INSERT INTO rollcall_recovery_codes VALUES ('{'0' * 64}', '{USER}')"),
            f"INSERT INTO rollcall_password_history VALUES (1, '{USER}', '', '2024-01-01')",
            "INSERT INTO rollcall_outbox (kind, due, attempts) VALUES ('invitation', '2030-01-01', 0)",
        ):
            await connection.exec_driver_sql(change)
        listed = (f"become invalid, 1 in all: {USER}", f"again, 1 in all: {USER}", "not sent, 1 in all: invitation")
        with pytest.raises(OperatorError, match="\n.*".join(listed)):
            await revert_in_transaction(connection, accept_loss=False, progress=no_progress)


async def test_a_database_created_by_rollcall_is_rejected(writable_db):
    is_postgresql = writable_db.database.dialect == "postgresql"
    message = "Only a database that Directus created" if is_postgresql else "PostgreSQL databases only"

    with pytest.raises(OperatorError, match=message):
        await revert(writable_db.database, accept_loss=True, progress=no_progress)
    with pytest.raises(OperatorError, match=message):
        await preview_revert(writable_db.database, 5, no_progress)


async def test_a_database_created_by_rollcall_and_migrated_by_directus_is_rejected(readonly_v11):
    async with rolled_back(readonly_v11, DELETE_NEWER_MIGRATIONS) as connection:
        await migrate.migrate_up_in_transaction(connection)
        await connection.exec_driver_sql("UPDATE rollcall_origin SET adopted = false")

        with pytest.raises(OperatorError, match="Only a database that Directus created"):
            await revert_in_transaction(connection, accept_loss=True, progress=no_progress)


async def test_a_reverted_database_can_be_upgraded_again_but_not_reverted(writable_lossless):
    await revert(writable_lossless.database, accept_loss=False, progress=no_progress)
    before = await snapshot(database_url(writable_lossless))

    with pytest.raises(OperatorError, match="a Directus 10 database already"):
        await revert(writable_lossless.database, accept_loss=True, progress=no_progress)
    preview = await preview_upgrade(writable_lossless.database, 5, no_progress)
    assert preview
    assert preview.role_count == 33
    assert await snapshot(database_url(writable_lossless)) == before


async def test_a_view_of_the_project_is_not_dropped(writable_lossless):
    await run_statements(database_url(writable_lossless), "CREATE VIEW held AS SELECT name FROM directus_policies")
    before = await snapshot(database_url(writable_lossless))

    with pytest.raises(OperatorError, match="A view, a foreign key or another object of the project"):
        await revert(writable_lossless.database, accept_loss=True, progress=no_progress)
    assert await snapshot(database_url(writable_lossless)) == before


async def test_a_user_that_lacks_privileges_is_rejected(readonly_lossless):
    async with opened_by_guest(readonly_lossless, "SELECT") as guest:
        with pytest.raises(OperatorError, match="must own Directus' tables"):
            await revert(guest.database, accept_loss=True, progress=no_progress)
    async with opened_by_guest(readonly_lossless, "INSERT") as guest:
        with pytest.raises(OperatorError, match="must be allowed to read Directus' tables"):
            await preview_revert(guest.database, 5, no_progress)


OPERATIONS = {
    "revert": ((), lambda database: revert(database, accept_loss=True, progress=no_progress)),
    "repair": (INTERRUPTED_REVERT, lambda database: repair(database, no_progress)),
}


@pytest.mark.parametrize(("changes", "operation"), OPERATIONS.values(), ids=OPERATIONS)
async def test_sessions_that_lock_the_tables_are_named(lossless_template, monkeypatch, changes, operation):
    monkeypatch.setattr(locks, "LOCK_TIMEOUT", "100ms")
    async with opened_copy(lossless_template, *changes) as system:
        before = await snapshot(database_url(system))
        async with rolled_back(system, "SELECT FROM directus_permissions"):
            with pytest.raises(OperatorError, match=r"rollcall \(process \d+, idle in transaction\).*Stop Directus"):
                await operation(system.database)

        assert await snapshot(database_url(system)) == before


@pytest.mark.parametrize("step", STEPS)
async def test_killed_at_any_statement_a_revert_has_changed_nothing(lossy_template, step):
    async with opened_copy(lossy_template) as system:
        before = await snapshot(database_url(system))
        killed, after = await snapshots_of_killed_processes("revert", database_url(system), step)

    assert len(killed) > 40 // step
    assert all(state == before for state in killed)
    assert "directus_policies" not in {table for _, table, _ in after["rows"]}
