"""The way back to Directus 10, held against what Directus 11.0.1 itself made of the same databases."""

import json
from collections import Counter

import pytest

from app.core.errors import OperatorError
from app.db import migrate
from app.upgrade import locks
from app.upgrade.repair import repair
from app.upgrade.report import report_back
from app.upgrade.revert import revert, revert_within
from app.upgrade.revert_preview import forecast, forecast_within
from app.upgrade.upgrade_preview import survey
from tests.upgrade.databases import (
    DOUBLES,
    HALFWAY,
    NEWER,
    NOT_MIGRATED,
    STEPS,
    address,
    as_guest,
    killed_all_the_way,
    opened,
    quiet,
    recorded,
    recorded_layout,
    run,
    taken_back,
)
from tests.upgrade.snapshots import layout, picture, rows

ROLE, POLICY = PAIR = "000000a5-1010-4010-8010-0000000000a5", "000000a2-1010-4010-8010-0000000000a2"
ADMIN = "fde6d307-8240-4657-9d72-dd18e7937870"
USER = "00000102-0000-4000-8000-000000000102"

AT_HOME = [
    "INSERT INTO directus_policies (id, name, ip_access) VALUES (md5('x')::uuid, 'At home', '10.0.0.1')",
    f"INSERT INTO directus_access VALUES (gen_random_uuid(), '{POLICY}', NULL, md5('x')::uuid, 2)",
    "INSERT INTO directus_permissions (collection, action, policy) VALUES ('pages', 'share', md5('x')::uuid)",
]
"""A second policy of a role, for one address."""
SUSPEND_ADMINS = """
UPDATE directus_users SET status = 'suspended'
WHERE role IN (SELECT role FROM directus_access JOIN directus_policies AS p ON p.id = policy WHERE admin_access)
"""
PERMISSION = f"""
INSERT INTO directus_permissions (collection, action, permissions, fields, policy)
VALUES ('pages', 'read', {{}}, '{{}}', '{POLICY}')
"""
KEPT = {  # whose permissions Directus 11.0.1 loses, and why they aren't lost here
    "000000a6-1010-4010-8010-0000000000a6": "its one policy and the role are bound to the same addresses",
    "000000a7-1010-4010-8010-0000000000a7": "the same",
    "000000aa-1010-4010-8010-0000000000aa": "an admin's permissions count again once it is an admin no more",
    "00000c05-1010-4010-8010-000000000c05": "below an admin, the same",
    "00000c07-1010-4010-8010-000000000c07": "an admin by a second policy, the same",
}


async def gone_back(system, *changes, accept_loss):
    """What reverting says, the database changed before, and the rows and layout there are then; taken back."""
    async with taken_back(system, *changes) as connection:
        done = await revert_within(connection, accept_loss=accept_loss, progress=quiet)
        tables = ("roles", "users", "settings", "permissions", "migrations")
        there = {name: await rows(connection, f"directus_{name}") for name in tables}
        return done, there | {kind: await layout(connection, kind) for kind in ("columns", "constraints", "indexes")}


def by_id(found):
    return {row["id"]: row for row in found}


def without_ids(permissions):
    return Counter(json.dumps({**row, "id": None}, sort_keys=True) for row in permissions)


WORLDS = {  # what is gone back with, what Directus 11.0.1 made of it, and how many permissions more are kept
    "upgraded": ("still_merge", NOT_MIGRATED, "v1101_down", 4),
    "rich": ("still_rich", (), "v1101_rich_down", 8),
    "merge": ("still_merge", (), "v1101_merge_down", 4),
}


@pytest.mark.parametrize(("there", "changes", "down", "more"), WORLDS.values(), ids=WORLDS, indirect=["there"])
async def test_it_becomes_what_directus_makes_of_it_and_what_directus_loses_is_kept(there, changes, down, more):
    _, found = await gone_back(there, *changes, accept_loss=True)
    ours, theirs = without_ids(found["permissions"]), without_ids(recorded(down, "directus_permissions"))

    for table in ("roles", "users", "settings"):
        assert by_id(found[table]) == by_id(recorded(down, f"directus_{table}"))
    assert theirs - ours == Counter()
    assert (ours - theirs).total() == more
    assert {json.loads(row)["role"] for row in ours - theirs} <= set(KEPT)


async def test_tables_are_laid_out_as_directus_does_and_a_role_takes_its_permissions_along_again(still_plain):
    _, there = await gone_back(still_plain, accept_loss=False)
    key = ("directus_permissions", "directus_permissions_role_foreign")
    theirs = {kind: recorded_layout("v1101_down", kind) for kind in ("columns", "constraints", "indexes")}
    # Directus' way back forgets what the key had in 10: that a role which is deleted takes its permissions along.
    as_in_ten = [row for row in recorded_layout("v10", "constraints") if row[:2] == key]
    kept = [row for row in theirs["constraints"] if row[:2] != key]

    assert there["columns"] == theirs["columns"]
    assert sorted(there["indexes"]) == sorted(theirs["indexes"])
    assert sorted(there["constraints"]) == sorted(kept + as_in_ten)


async def test_the_world_that_loses_nothing_is_an_upgraded_ten_but_for_its_doubles(still_plain):
    for table in ("roles", "policies", "permissions"):
        found = await rows(address(still_plain), f"directus_{table}")
        upgraded = by_id(recorded("v11_migrated", f"directus_{table}"))
        assert by_id(found) == {id_: row for id_, row in upgraded.items() if id_ not in (39, 41, 43)}


async def test_an_upgraded_world_comes_back_as_it_was_ids_included_and_asks_for_nothing_to_be_accepted(still_plain):
    done, there = await gone_back(still_plain, accept_loss=False)
    before = {
        id_: row for id_, row in by_id(recorded("v10", "directus_permissions")).items() if id_ not in (39, 41, 43)
    }

    assert (done.losses, done.merged, done.copied, done.kept) == ((), 0, 0, len(before))
    assert by_id(there["permissions"]) == before
    assert by_id(there["roles"]) == by_id(recorded("v10", "directus_roles"))
    assert "20240806A" not in {row["version"] for row in there["migrations"]}


LOSSES = {  # what is done to a world that loses nothing, of how many kinds the losses are, and one of those told
    "a user's own policy": (
        [f"INSERT INTO directus_access VALUES (gen_random_uuid(), NULL, '{USER}', '{POLICY}', 1)"],
        1,
        f"policies of single users.*1 in all: API reader of user {USER}",
    ),
    "the only admin by a policy of its own": (
        [
            SUSPEND_ADMINS,
            f"INSERT INTO directus_access VALUES (gen_random_uuid(), NULL, '{USER}', '{ADMIN}', 1)",
        ],
        2,
        f"the only active admins, who would be none any more, 1 in all: {USER}",
    ),
    "a policy that nobody has": (
        ["INSERT INTO directus_policies (id, name) VALUES (gen_random_uuid(), 'Spare')"],
        1,
        r"policies that nobody has, 1 in all: Spare \(",
    ),
    "a role below another": (
        [f"UPDATE directus_roles SET parent = '{ROLE}' WHERE id = '{POLICY}'"],
        1,
        "roles below others.*1 in all: API reader below Empty",
    ),
    "a policy called otherwise": (
        [f"UPDATE directus_policies SET name = 'Reads by API' WHERE id = '{POLICY}'"],
        1,
        rf"aren't called.*1 in all: Reads by API \({POLICY}\)",
    ),
    "a policy with an icon of its own": (
        [f"UPDATE directus_policies SET icon = 'key' WHERE id = '{POLICY}'"],
        1,
        rf"aren't called.*1 in all: API reader \({POLICY}\)",
    ),
    "a policy that says more of itself": (
        [f"UPDATE directus_policies SET description = 'for programs' WHERE id = '{POLICY}'"],
        1,
        rf"aren't called.*1 in all: API reader \({POLICY}\)",
    ),
    "a policy of two roles": (
        [f"INSERT INTO directus_access VALUES (gen_random_uuid(), '{ROLE}', NULL, '{POLICY}', 2)"],
        1,
        r"aren't one role's alone.*2 in all: API reader \(.*, Empty \(",
    ),
    "a public policy with access to the app": (
        ["UPDATE directus_policies SET app_access = true WHERE icon = 'public'"],
        1,
        "public policies with addresses or access of their own.*1 in all",
    ),
    "a public policy for certain addresses": (
        ["UPDATE directus_policies SET ip_access = '10.0.0.1' WHERE icon = 'public'"],
        2,
        "permissions of those policies.*4 in all: the public: directus_files read",
    ),
    "policies for different addresses": (
        AT_HOME,
        3,
        r"will all hold at just these, 1 in all: API reader \(10.0.0.1\)",
    ),
    "a permission for certain addresses": (
        AT_HOME,
        3,
        "permissions of those policies, where they are bound to addresses, 1 in all: API reader: pages share",
    ),
    "a rule beside none": (
        [PERMISSION.format("NULL", "id,title,body,author")],
        1,
        "restricts what one of them left free, 1 in all: API reader: pages read",
    ),
    "two permissions with rules and fields of their own": (
        [PERMISSION.format("""'{"status": {"_eq": "x"}}'""", "slug")],
        1,
        "may allow what none of them did, 1 in all: API reader: pages read",
    ),
    "a variable that 10 doesn't know": (
        ["""UPDATE directus_permissions SET permissions = '{"role": {"_in": "$CURRENT_ROLES"}}' WHERE id = 16"""],
        1,
        r"\$CURRENT_ROLES or \$CURRENT_POLICIES, unknown to Directus 10, 1 in all: API reader: directus_users read",
    ),
    "a project's own column": (
        ["ALTER TABLE directus_policies ADD COLUMN owner text"],
        1,
        "columns of your own, 1 in all: directus_policies.owner",
    ),
}


@pytest.mark.parametrize(("changes", "kinds", "said"), LOSSES.values(), ids=LOSSES)
async def test_each_loss_alone_is_refused_by_its_name_and_nothing_is_changed(still_plain, changes, kinds, said):
    async with taken_back(still_plain, *changes) as connection:
        before = await picture(connection)
        with pytest.raises(OperatorError, match=said):
            async with connection.begin_nested():
                await revert_within(connection, accept_loss=False, progress=quiet)
        assert await picture(connection) == before

        assert len((await forecast_within(connection, 5, quiet)).outcome.losses) == kinds


async def test_a_dry_run_says_what_each_role_will_be_and_all_that_would_be_lost(plain):
    await run(address(plain), *AT_HOME)
    before = await picture(address(plain))
    told = report_back(await forecast(plain.database, 50, quiet))
    lines = [" ".join(line.split()) for line in told.splitlines()]

    assert "API reader - 10.0.0.1 2 2 -" in lines
    assert "the public - anywhere 1 4 -" in lines
    assert "(10.0.0.1)" in told.partition("What would be lost")[2]
    assert await picture(address(plain)) == before


async def test_of_long_lists_of_roles_and_losses_the_first_are_shown(still_rich):
    told = report_back(await forecast(still_rich.database, 1, quiet))
    listed = " ".join(told.split())

    assert "… and 40 more roles" in told
    assert "the public" in told
    assert "3 in all: Child of admin below Second admin, …" in listed


async def test_a_name_that_would_steer_a_terminal_is_harmless(still_plain):
    async with taken_back(
        still_plain, f"UPDATE directus_policies SET name = E'\\x1b[31mred' WHERE id = '{POLICY}'"
    ) as there:
        found = await forecast_within(there, 5, quiet)

    assert "?[31mred" in str(found.outcome.losses[0])
    assert "\x1b" not in report_back(found) + str(found.outcome.losses[0])


async def test_a_circle_of_roles_comes_to_an_end(still_plain):
    circle = [
        f"UPDATE directus_roles SET parent = '{above}' WHERE id = '{below}'" for above, below in (PAIR, PAIR[::-1])
    ]
    done, there = await gone_back(still_plain, *circle, accept_loss=True)
    owners = Counter(row["role"] for row in there["permissions"])

    assert (done.copied, owners[ROLE], owners[POLICY]) == (4, 2, 2)


async def test_newer_migrations_are_listed_to_be_undone_first_and_can_not_be_waved_through(still_eleven):
    before = await picture(address(still_eleven))
    with pytest.raises(OperatorError, match="20 newer migrations") as refused:
        await revert(still_eleven.database, accept_loss=True, progress=quiet)
    assert await picture(address(still_eleven)) == before

    listed = [line.split()[0] for line in str(refused.value).splitlines()[1:]]
    assert (len(listed), listed[0], listed[-1]) == (20, "20260211A", "20240817A")


async def test_what_was_adopted_is_given_back_without_a_trace_of_us(still_eleven):
    async with taken_back(still_eleven, NEWER, DOUBLES) as connection:
        await revert_within(connection, accept_loss=False, progress=quiet)
        never_ours = await picture(connection)
    async with taken_back(still_eleven, DOUBLES) as connection:
        await migrate.migrate_up_in_transaction(connection)
        await connection.exec_driver_sql(NEWER)
        done = await revert_within(connection, accept_loss=False, progress=quiet)

        assert done.losses == ()
        assert await picture(connection) == never_ours


async def test_of_what_was_ours_recovery_codes_and_waiting_mails_are_told(still_eleven):
    async with taken_back(still_eleven, DOUBLES) as connection:
        await migrate.migrate_up_in_transaction(connection)
        for change in (
            *(NEWER, f"INSERT INTO rollcall_recovery_codes VALUES ('{'0' * 64}', '{USER}')"),
            "INSERT INTO rollcall_outbox (kind, due, attempts) VALUES ('invitation', '2030-01-01', 0)",
        ):
            await connection.exec_driver_sql(change)
        with pytest.raises(
            OperatorError, match=rf"good no more, 1 in all: {USER}\n.*haven't gone yet, 1 in all: invitation"
        ):
            await revert_within(connection, accept_loss=False, progress=quiet)


async def test_a_database_of_our_own_making_has_no_ten_to_go_back_to(writable_db):
    said = (
        "Only a database that a Directus made" if writable_db.database.dialect == "postgresql" else "done on PostgreSQL"
    )

    with pytest.raises(OperatorError, match=said):
        await revert(writable_db.database, accept_loss=True, progress=quiet)
    with pytest.raises(OperatorError, match=said):
        await forecast(writable_db.database, 5, quiet)


async def test_nor_has_one_that_we_made_and_a_directus_then_took_over(still_eleven):
    async with taken_back(still_eleven, NEWER) as connection:
        await migrate.migrate_up_in_transaction(connection)
        await connection.exec_driver_sql("UPDATE rollcall_origin SET adopted = false")

        with pytest.raises(OperatorError, match="Only a database that a Directus made"):
            await revert_within(connection, accept_loss=True, progress=quiet)


async def test_who_has_gone_back_is_told_so_and_may_upgrade_again(plain):
    await revert(plain.database, accept_loss=False, progress=quiet)
    before = await picture(address(plain))

    with pytest.raises(OperatorError, match="a Directus 10 database already"):
        await revert(plain.database, accept_loss=True, progress=quiet)
    found = await survey(plain.database, 5, quiet)
    assert found
    assert found.roles == 33
    assert await picture(address(plain)) == before


async def test_a_view_of_the_projects_own_is_not_torn_down(plain):
    await run(address(plain), "CREATE VIEW held AS SELECT name FROM directus_policies")
    before = await picture(address(plain))

    with pytest.raises(OperatorError, match="A view, a foreign key or something else of the project's own"):
        await revert(plain.database, accept_loss=True, progress=quiet)
    assert await picture(address(plain)) == before


async def test_whoever_does_not_own_the_tables_is_told_so(still_plain):
    async with as_guest(still_plain, "SELECT") as guest:
        with pytest.raises(OperatorError, match="should own Directus' tables"):
            await revert(guest.database, accept_loss=True, progress=quiet)
    async with as_guest(still_plain, "INSERT") as guest:
        with pytest.raises(OperatorError, match="should be allowed to read Directus' tables"):
            await forecast(guest.database, 5, quiet)


WAYS = {
    "back": ((), lambda database: revert(database, accept_loss=True, progress=quiet)),
    "mended": (HALFWAY, lambda database: repair(database, quiet)),
}


@pytest.mark.parametrize(("changes", "go"), WAYS.values(), ids=WAYS)
async def test_whoever_holds_the_tables_is_named(plain_template, monkeypatch, changes, go):
    monkeypatch.setattr(locks, "WAIT", "100ms")
    async with opened(plain_template, *changes) as system:
        before = await picture(address(system))
        async with taken_back(system, "SELECT FROM directus_permissions"):
            with pytest.raises(OperatorError, match=r"rollcall \(process \d+, idle in transaction\).*Stop Directus"):
                await go(system.database)

        assert await picture(address(system)) == before


@pytest.mark.parametrize("step", STEPS)
async def test_killed_at_any_statement_it_has_changed_nothing(rich_template, step):
    async with opened(rich_template) as system:
        before = await picture(address(system))
        killed, after = await killed_all_the_way("down", address(system), step)

    assert len(killed) > 40 // step
    assert all(there == before for there in killed)
    assert "directus_policies" not in {table for _, table, _ in after["rows"]}
