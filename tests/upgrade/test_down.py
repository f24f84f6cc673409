"""The way back to Directus 10, held against what Directus 11.0.1 itself made of the same databases."""

import json
from collections import Counter
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import pytest_asyncio

from app.db import migrate
from app.db.refusal import Refusal
from app.testing import open_system
from app.upgrade.down import revert, what_reverting_does
from tests.conftest import make_settings
from tests.upgrade.elevens import (
    STEPS,
    copied,
    copy_of,
    drop,
    killed_all_the_way,
    needs_recordings,
    recorded,
    recorded_layout,
    restore,
    run,
)
from tests.upgrade.pictures import layout, picture, rows

pytestmark = needs_recordings

NOT_MIGRATED = (
    "DELETE FROM directus_roles WHERE id = '00000d01-1010-4010-8010-000000000d01'",
    "DELETE FROM directus_policies WHERE id = '00000d01-2222-4222-8222-000000000d01'",
)
"""What was put into the upgraded world to record how permissions are merged."""
DOUBLES = "DELETE FROM directus_permissions WHERE id IN (39, 41, 43)"
"""The second rows of a role with two permissions for one thing."""
ROLE, POLICY = "000000a5-1010-4010-8010-0000000000a5", "000000a2-1010-4010-8010-0000000000a2"
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
NEWER = "DELETE FROM directus_migrations WHERE version > '20240806A'"
"""Stands for Directus' own undoing of newer migrations, which doesn't touch what is gone back with here."""

KEPT = {  # whose permissions Directus 11.0.1 loses, and why they aren't lost here
    "000000a6-1010-4010-8010-0000000000a6": "its one policy and the role are bound to the same addresses",
    "000000a7-1010-4010-8010-0000000000a7": "the same",
    "000000aa-1010-4010-8010-0000000000aa": "an admin's permissions count again once it is an admin no more",
    "00000c05-1010-4010-8010-000000000c05": "below an admin, the same",
    "00000c07-1010-4010-8010-000000000c07": "an admin by a second policy, the same",
}


def quiet(*_):
    pass


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def worlds():
    """Databases to copy: cases to merge, one that loses nothing, one with all that 11 can, one of 11.17."""
    made = {
        "merge": await restore("v1101_merge_before.sql"),
        "rich": await restore("v1101_rich_before.sql"),
        "newest": await restore("v11_migrated.sql", DOUBLES),
    }
    made["plain"] = await copied(made["merge"], *NOT_MIGRATED, DOUBLES)
    yield made
    for name in made.values():
        await drop(name)


@pytest_asyncio.fixture
async def plain(worlds):
    async with copy_of(worlds["plain"]) as url, open_system(make_settings(url)) as system:
        yield system


def address(system):
    return system.settings.database_url


async def gone_back(template, *changes, accept_loss):
    """What reverting a copy says, changed before, and the rows and layout there are then."""
    async with copy_of(template, *changes) as url:
        async with open_system(make_settings(url)) as system:
            done = await revert(system.database, accept_loss=accept_loss, progress=quiet)
        tables = ("roles", "users", "settings", "permissions", "migrations")
        there = {name: await rows(url, f"directus_{name}") for name in tables}
        return done, there | {kind: await layout(url, kind) for kind in ("columns", "constraints", "indexes")}


def by_id(found):
    return {row["id"]: row for row in found}


def without_ids(permissions):
    return Counter(json.dumps({**row, "id": None}, sort_keys=True) for row in permissions)


WORLDS = {  # what is gone back with, what Directus 11.0.1 made of it, and how many permissions more are kept
    "upgraded": ("merge", NOT_MIGRATED, "v1101_down", 4),
    "rich": ("rich", (), "v1101_rich_down", 8),
    "merge": ("merge", (), "v1101_merge_down", 4),
}


@pytest.mark.parametrize(("world", "changes", "down", "more"), WORLDS.values(), ids=WORLDS)
async def test_it_becomes_what_directus_makes_of_it_and_what_directus_loses_is_kept(worlds, world, changes, down, more):
    _, there = await gone_back(worlds[world], *changes, accept_loss=True)
    ours, theirs = without_ids(there["permissions"]), without_ids(recorded(down, "directus_permissions"))

    for table in ("roles", "users", "settings"):
        assert by_id(there[table]) == by_id(recorded(down, f"directus_{table}"))
    assert theirs - ours == Counter()
    assert (ours - theirs).total() == more
    assert {json.loads(row)["role"] for row in ours - theirs} <= set(KEPT)


async def test_tables_are_laid_out_as_directus_does_and_a_role_takes_its_permissions_along_again(worlds):
    _, there = await gone_back(worlds["plain"], accept_loss=False)
    key = ("directus_permissions", "directus_permissions_role_foreign")
    theirs = {kind: recorded_layout("v1101_down", kind) for kind in ("columns", "constraints", "indexes")}
    # Directus' way back forgets what the key had in 10: that a role which is deleted takes its permissions along.
    as_in_ten = [row for row in recorded_layout("v10", "constraints") if row[:2] == key]
    kept = [row for row in theirs["constraints"] if row[:2] != key]

    assert there["columns"] == theirs["columns"]
    assert sorted(there["indexes"]) == sorted(theirs["indexes"])
    assert sorted(there["constraints"]) == sorted(kept + as_in_ten)


async def test_the_world_that_loses_nothing_is_an_upgraded_ten_but_for_its_doubles(worlds):
    async with copy_of(worlds["plain"]) as url:
        there = {table: await rows(url, f"directus_{table}") for table in ("roles", "policies", "permissions")}

    for table, found in there.items():
        upgraded = by_id(recorded("v11_migrated", f"directus_{table}"))
        assert by_id(found) == {id_: row for id_, row in upgraded.items() if id_ not in (39, 41, 43)}


async def test_an_upgraded_world_comes_back_as_it_was_ids_included_and_asks_for_nothing_to_be_accepted(worlds):
    done, there = await gone_back(worlds["plain"], accept_loss=False)
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
async def test_each_loss_alone_is_refused_by_its_name_and_nothing_is_changed(plain, changes, kinds, said):
    await run(address(plain), *changes)
    before = await picture(address(plain))

    with pytest.raises(Refusal, match=said):
        await revert(plain.database, accept_loss=False, progress=quiet)
    forecast = await what_reverting_does(plain.database)

    assert len(forecast.losses) == kinds
    assert await picture(address(plain)) == before


async def test_a_dry_run_says_what_each_role_will_be(plain):
    await run(address(plain), *AT_HOME)
    before = await picture(address(plain))
    lines = list((await what_reverting_does(plain.database)).lines())

    assert f"API reader ({POLICY}): ip_access 10.0.0.1; 2 permissions of 2 policies, 0 merged" in lines
    assert "The public: 4 permissions of 1 policies, 0 merged" in lines
    assert await picture(address(plain)) == before


async def test_a_circle_of_roles_comes_to_an_end(plain):
    await run(address(plain), f"UPDATE directus_roles SET parent = '{ROLE}' WHERE id = '{POLICY}'")
    await run(address(plain), f"UPDATE directus_roles SET parent = '{POLICY}' WHERE id = '{ROLE}'")

    forecast = await what_reverting_does(plain.database)
    done = await revert(plain.database, accept_loss=True, progress=quiet)
    owners = Counter(row["role"] for row in await rows(address(plain), "directus_permissions"))

    assert done.losses == forecast.losses
    assert (done.copied, owners[ROLE], owners[POLICY]) == (4, 2, 2)


async def test_newer_migrations_are_listed_to_be_undone_first_and_can_not_be_waved_through(worlds):
    async with copy_of(worlds["newest"]) as url, open_system(make_settings(url)) as system:
        before = await picture(url)
        with pytest.raises(Refusal, match="20 newer migrations") as refused:
            await revert(system.database, accept_loss=True, progress=quiet)
        assert await picture(url) == before

    listed = [line.split()[0] for line in str(refused.value).splitlines()[1:]]
    assert (len(listed), listed[0], listed[-1]) == (20, "20260211A", "20240817A")


async def test_what_was_adopted_is_given_back_without_a_trace_of_us(worlds):
    async with copy_of(worlds["newest"]) as url, open_system(make_settings(url)) as system:
        await run(url, NEWER)
        await revert(system.database, accept_loss=False, progress=quiet)
        never_ours = await picture(url)
    async with copy_of(worlds["newest"]) as url, open_system(make_settings(url)) as system:
        await migrate.up(system.database)
        await run(url, NEWER)
        done = await revert(system.database, accept_loss=False, progress=quiet)

        assert done.losses == ()
        assert await picture(url) == never_ours


async def test_of_what_was_ours_recovery_codes_and_waiting_mails_are_told(worlds):
    async with copy_of(worlds["newest"]) as url, open_system(make_settings(url)) as system:
        await migrate.up(system.database)
        await run(
            url,
            *(NEWER, f"INSERT INTO rollcall_recovery_codes VALUES ('{'0' * 64}', '{USER}')"),
            "INSERT INTO rollcall_outbox (kind, due, attempts) VALUES ('invitation', '2030-01-01', 0)",
        )
        before = await picture(url)
        with pytest.raises(Refusal, match=rf"good no more, 1 in all: {USER}\n.*haven't gone yet, 1 in all: invitation"):
            await revert(system.database, accept_loss=False, progress=quiet)

        assert await picture(url) == before


async def test_a_database_of_our_own_making_has_no_ten_to_go_back_to(fresh):
    said = "Only a database that a Directus made" if fresh.database.dialect == "postgresql" else "done on PostgreSQL"

    with pytest.raises(Refusal, match=said):
        await revert(fresh.database, accept_loss=True, progress=quiet)
    with pytest.raises(Refusal, match=said):
        await what_reverting_does(fresh.database)


async def test_nor_has_one_that_we_made_and_a_directus_then_took_over(worlds):
    async with copy_of(worlds["newest"], NEWER) as url, open_system(make_settings(url)) as system:
        await migrate.up(system.database)
        await run(url, "UPDATE rollcall_origin SET adopted = false")

        with pytest.raises(Refusal, match="Only a database that a Directus made"):
            await revert(system.database, accept_loss=True, progress=quiet)


async def test_who_has_gone_back_already_is_told_so(plain):
    await revert(plain.database, accept_loss=False, progress=quiet)
    before = await picture(address(plain))

    with pytest.raises(Refusal, match="no Directus 11 database"):
        await revert(plain.database, accept_loss=True, progress=quiet)
    assert await picture(address(plain)) == before


async def test_a_view_of_the_projects_own_is_not_torn_down(plain):
    await run(address(plain), "CREATE VIEW held AS SELECT name FROM directus_policies")
    before = await picture(address(plain))

    with pytest.raises(Refusal, match="A view or a foreign key of your own"):
        await revert(plain.database, accept_loss=True, progress=quiet)
    assert await picture(address(plain)) == before


async def test_whoever_does_not_own_the_tables_is_told_so(plain):
    name = f"rollcall_test_{uuid4().hex[:12]}"
    await run(address(plain), f"CREATE ROLE {name} LOGIN", f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}")
    try:
        stranger = urlsplit(address(plain))._replace(netloc=f"{name}@{urlsplit(address(plain)).netloc.split('@')[1]}")
        async with open_system(make_settings(stranger.geturl())) as system:
            with pytest.raises(Refusal, match="should own Directus' tables"):
                await revert(system.database, accept_loss=True, progress=quiet)
    finally:
        await run(address(plain), f"DROP OWNED BY {name}", f"DROP ROLE {name}")


@pytest.mark.parametrize("step", STEPS)
async def test_killed_at_any_statement_it_has_changed_nothing(worlds, step):
    async with copy_of(worlds["rich"]) as url:
        before = await picture(url)
        killed, after = await killed_all_the_way("down", url, step)

    assert len(killed) > 40 // step
    assert all(there == before for there in killed)
    assert "directus_policies" not in {table for _, table, _ in after["rows"]}
