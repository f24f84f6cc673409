"""A simulation says who would gain and lose what, and writes nothing."""

import asyncio
from dataclasses import replace

import pytest

from app.core.caller import SYSTEM
from app.core.errors import ChangeRejected, Forbidden, InvalidPayload, ServiceUnavailable
from app.flows.access.simulated_changes import MAX_CHANGES, Change, commands_of, parse_changes
from app.flows.access.simulation import AccessSimulation
from app.repositories.commands.simulated_writes import SimulatedWrites
from app.repositories.directory import Directory
from app.repositories.hooks import Hooks
from tests.access.contents import contents_of
from tests.base_data import OFFICE_IP, caller, make_access, make_policy, make_read_permission, make_role, uid

STAFF, EDITORS, VIEWERS, APP = (uid(f"policy-{name}") for name in ("Staff", "Editors", "Viewers", "App"))
EDITOR, VIEWER = uid("role-Editor"), uid("role-Viewer")
WIDER_EDITORS = {"collection": "permissions", "action": "update", "key": 3, "data": {"permissions": {}}}


async def simulate(system, *changes, asker="ada", **options):
    simulation = AccessSimulation(system.directory(caller(asker) if asker else SYSTEM))
    return await simulation.run(parse_changes(list(changes)), **options)


def action_of(effect, collection="directus_users", action="read"):
    return next(one for one in effect.actions if (one.collection, one.action) == (collection, action))


def numbers(rows):
    return rows.before, rows.after, rows.gained, rows.lost


async def test_a_wider_rule_shows_fields_on_more_rows(readonly_db):
    """Ed sees all users through Staff already, but the email of active ones only."""
    report = await simulate(readonly_db, WIDER_EDITORS)

    (effect,) = report.effects
    assert [role.name for role in effect.roles] == ["Editor"]
    assert (effect.users, effect.users_total) == ((uid("ed"),), 1)
    read = action_of(effect)
    assert (read.fields_gained, read.fields_lost) == ((), ())
    assert numbers(read.rows) == (9, 9, 0, 0)
    (fields,) = read.field_rows
    assert fields.fields == ("email", "status", "title")
    assert numbers(fields.rows) == (7, 9, 2, 0)


async def test_a_role_inherits_what_its_parent_gains(readonly_db):
    data = {"policy": STAFF, "collection": "directus_files", "action": "delete"}
    report = await simulate(readonly_db, {"collection": "permissions", "action": "create", "data": data})

    (effect,) = report.effects
    assert [role.name for role in effect.roles] == ["Staff", "Editor"] or {r.name for r in effect.roles} == {
        "Staff",
        "Editor",
    }
    assert effect.users == (uid("ed"),)
    change = action_of(effect, "directus_files", "delete")
    assert (change.allowed_before, change.allowed_after, numbers(change.rows)) == (False, True, (0, 0, 0, 0))


async def test_users_are_grouped_with_all_for_whom_the_same_changes(readonly_db):
    everyone = {"data": {"policies": {"create": [{"policy": {"id": VIEWERS}}], "update": [], "delete": []}}}
    roles = [uid("role-Self"), uid("role-Office")]
    report = await simulate(readonly_db, {"collection": "roles", "action": "update", "keys": roles, **everyone})

    assert report.roles_total == 2
    assert {user for effect in report.effects for user in effect.users} == {uid("sam"), uid("kit")}


async def test_a_user_who_changes_its_role_gains_and_loses(readonly_db):
    change = {"collection": "users", "action": "update", "key": uid("vi"), "data": {"role": EDITOR}}
    report = await simulate(readonly_db, change)

    (effect,) = report.effects
    assert (effect.users, effect.roles, effect.public) == ((uid("vi"),), (), False)
    read = action_of(effect)
    assert (read.fields_gained, read.fields_lost) == (("email", "role", "status"), ("password", "token"))
    assert numbers(read.rows) == (5, 9, 4, 0)


async def test_a_policy_of_a_single_user_concerns_that_user_only(readonly_db):
    data = {"user": uid("nora"), "policy": APP}
    report = await simulate(readonly_db, {"collection": "access", "action": "create", "data": data})

    (effect,) = report.effects
    assert (effect.users, effect.after.app_access) == ((uid("nora"),), True)
    assert action_of(effect).rows_depend_on_user
    assert numbers(action_of(effect).rows) == (0, 1, 1, 0)


async def test_public_rights_concern_users_without_a_role(readonly_db):
    report = await simulate(readonly_db, {"collection": "permissions", "action": "delete", "key": 8})

    (effect,) = report.effects
    assert (effect.public, effect.users, effect.lockouts) == (True, (uid("nora"),), ("any_access",))
    assert report.locked_out_total == 1
    assert numbers(action_of(effect, "directus_roles").rows) == (2, 0, 0, 2)


async def test_a_deleted_role_locks_its_users_out(readonly_db):
    report = await simulate(readonly_db, {"collection": "roles", "action": "delete", "key": VIEWER})

    users = next(effect for effect in report.effects if effect.users)
    assert (users.users, users.lockouts, users.after.active) == ((uid("vi"),), ("active",), False)
    assert report.locked_out_total == 1


async def test_ip_rules_limit_access_to_addresses(readonly_db):
    change = {"collection": "policies", "action": "update", "key": VIEWERS, "data": {"ip_access": ["10.0.0.0/8"]}}
    anywhere = await simulate(readonly_db, change)
    elsewhere = await simulate(readonly_db, change, ip="192.0.2.1")
    office = await simulate(readonly_db, change, ip=OFFICE_IP)

    assert (anywhere.effects[0].lockouts, anywhere.effects[0].after.addresses) == (("addresses",), ("10.0.0.0/8",))
    assert anywhere.effects[0].actions == ()
    assert "any_access" in elsewhere.effects[0].lockouts
    assert "any_access" not in office.effects[0].lockouts


async def test_access_for_a_limited_time_has_its_end(readonly_db):
    data = {"user": uid("nora"), "policy": APP, "expires": "2099-01-01T00:00:00Z"}
    created = await simulate(readonly_db, {"collection": "access", "action": "create", "data": data})
    key = uid("access-App-App-None")
    limited = {"collection": "access", "action": "update", "key": key, "data": {"expires": "2099-01-01T00:00:00Z"}}
    (effect,) = (await simulate(readonly_db, limited)).effects

    assert created.effects[0].after.expires == "2099-01-01T00:00:00.000Z"
    assert (effect.before.expires, effect.after.expires) == (None, "2099-01-01T00:00:00.000Z")
    assert (effect.actions, effect.users) == ((), (uid("ann"),))


async def test_more_than_a_hundred_effects_are_merged_if_rights_change_alike(restored_db):
    """Each of these roles has a rule of its own besides, so the rows that its users have differ."""
    names = [f"{number}" for number in range(101)]
    permissions = [
        make_read_permission(100 + n, name, "users", "id", {"first_name": {"_eq": name}})
        for n, name in enumerate(names)
    ]
    await restored_db.load(
        {
            "directus_roles": [make_role(name, "Staff") for name in names],
            "directus_policies": [make_policy(name) for name in names],
            "directus_access": [make_access(name, role=name) for name in names],
            "directus_permissions": permissions,
        }
    )
    report = await simulate(restored_db, {**WIDER_EDITORS, "key": 1, "data": {"permissions": {"title": {"_eq": "x"}}}})

    (effect,) = report.effects
    assert (effect.roles_total, len(effect.roles), effect.users) == (103, 10, (uid("ed"),))
    assert action_of(effect).rows_depend_on_user


@pytest.mark.both_databases
async def test_the_removal_of_the_last_admin_is_reported(readonly_db):
    harmless = {"collection": "roles", "action": "update", "key": VIEWER, "data": {"name": "V"}}
    suspended = {"collection": "users", "action": "update", "key": uid("ada"), "data": {"status": "suspended"}}
    report = await simulate(readonly_db, harmless, suspended)

    assert (report.admins_before, report.admins_after) == (1, 0)
    assert report.last_admin is not None
    assert (report.last_admin.change, report.last_admin.message) == (
        1,
        "Cannot remove the last admin user from the system",
    )


async def test_many_changes_of_users_are_checked_together_for_the_last_admin(readonly_db):
    moves = [
        {"collection": "users", "action": "update", "key": uid("vi"), "data": {"role": role}}
        for role in (EDITOR, VIEWER) * 15
    ]
    suspended = {"collection": "users", "action": "update", "key": uid("ada"), "data": {"status": "suspended"}}
    report = await simulate(readonly_db, *moves[:25], suspended, *moves[25:])
    early = await simulate(readonly_db, suspended, *moves)

    assert report.last_admin is not None
    assert report.last_admin.change == 30  # the last one
    assert early.last_admin is not None
    assert early.last_admin.change == 0


async def test_changes_build_on_each_other(readonly_db):
    policy = "30000000-0000-4000-8000-000000000099"
    report = await simulate(
        readonly_db,
        {"collection": "policies", "action": "create", "data": {"id": policy, "name": "New", "app_access": True}},
        {"collection": "access", "action": "create", "data": {"policy": policy, "role": VIEWER}},
        {"collection": "users", "action": "create", "data": {"email": "new@example.com", "role": VIEWER}},
    )

    assert report.users_total == 2
    assert all(effect.after.app_access for effect in report.effects)


async def test_a_change_without_effect_has_none(readonly_db):
    report = await simulate(
        readonly_db, {"collection": "roles", "action": "update", "key": EDITOR, "data": {"name": "Writers"}}
    )

    assert (report.effects, report.users_total, report.last_admin) == ((), 0, None)


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        (
            {"collection": "policies", "action": "update", "key": STAFF, "data": {"ip_access": ["here"]}},
            "INVALID_PAYLOAD",
            "IP Access contains an incorrect value",
        ),
        (
            {"collection": "roles", "action": "update", "key": uid("role-Staff"), "data": {"parent": EDITOR}},
            "INVALID_PAYLOAD",
            "",
        ),
        (
            {"collection": "policies", "action": "update", "key": uid("nobody"), "data": {"name": "x"}},
            "FORBIDDEN",
            "or it does not exist",
        ),
        (
            {"collection": "access", "action": "create", "data": {"policy": uid("nobody")}},
            "INVALID_FOREIGN_KEY",
            "Invalid foreign key",
        ),
        (
            {"collection": "users", "action": "update", "key": uid("vi"), "data": {"email": "ed@example.com"}},
            "RECORD_NOT_UNIQUE",
            "has to be unique",
        ),
        (
            {"collection": "users", "action": "update", "key": uid("vi"), "data": {"password": "a new secret"}},
            "INVALID_PAYLOAD",
            'does not set "password" of users',
        ),
        (
            {
                "collection": "roles",
                "action": "update",
                "key": VIEWER,
                "data": {"users": {"create": [{"email": "x@example.com", "token": "t"}], "update": [], "delete": []}},
            },
            "INVALID_PAYLOAD",
            'does not set "token" of users',
        ),
        ({"collection": "settings", "action": "update", "key": 1, "data": {}}, "INVALID_PAYLOAD", '"collection" must'),
        ({"collection": "roles", "action": "upsert", "data": {}}, "INVALID_PAYLOAD", '"action" must'),
        ({"collection": "roles", "action": "update", "data": {}}, "INVALID_PAYLOAD", '"key" must'),
        ({"collection": "roles", "action": "create", "key": 1, "data": {}}, "INVALID_PAYLOAD", 'has no "key"'),
        ({"collection": "roles", "action": "create"}, "INVALID_PAYLOAD", '"data" must'),
        ({"collection": "roles", "action": "delete", "key": VIEWER, "data": {}}, "INVALID_PAYLOAD", 'has no "data"'),
        ({"collection": "roles", "action": "delete", "id": VIEWER}, "INVALID_PAYLOAD", '"id" is not allowed'),
        ("roles", "INVALID_PAYLOAD", "must be an object"),
    ],
)
async def test_a_change_that_would_fail_is_named(readonly_db, change, code, text):
    before = await contents_of(readonly_db)
    with pytest.raises(ChangeRejected) as caught:
        await simulate(readonly_db, WIDER_EDITORS, change)

    error = caught.value
    assert (error.extensions["code"], error.extensions["change"]) == (code, 1)
    assert error.text.startswith("Change 1 (")
    assert text in error.text
    assert await contents_of(readonly_db) == before


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ([], "at least one change"),
        ([WIDER_EDITORS] * 50_000, f"at most {MAX_CHANGES} changes, these are 50000"),
        ({"collection": "roles"}, "must be a list"),
        ("roles", "must be a list"),
    ],
)
async def test_no_change_and_too_many_are_refused(changes, text):
    with pytest.raises(InvalidPayload, match=text):
        parse_changes(changes)


@pytest.mark.parametrize("asker", ["ed", "ann", "nora"])
async def test_only_admins_simulate(readonly_db, asker):
    with pytest.raises(Forbidden):
        await simulate(readonly_db, WIDER_EDITORS, asker=asker)


async def test_trusted_code_simulates_too(readonly_db):
    assert (await simulate(readonly_db, WIDER_EDITORS, asker=None)).users_total == 1


async def test_an_address_must_be_one(readonly_db):
    with pytest.raises(InvalidPayload, match='"ip" must be an IP address'):
        await simulate(readonly_db, WIDER_EDITORS, ip="10.0.0.0/8")


async def test_nothing_remains_of_a_simulation(readonly_db):
    """Neither rows nor activity, revisions, ended sessions, queued mails, nor another version of the access."""
    before = await contents_of(readonly_db)
    state = readonly_db.services.access_changed.is_set(), readonly_db.services.mail_queued.is_set()
    await simulate(
        readonly_db,
        WIDER_EDITORS,
        {"collection": "users", "action": "delete", "key": uid("vi")},
        {"collection": "users", "action": "update", "key": uid("sam"), "data": {"status": "suspended"}},
        {"collection": "roles", "action": "delete", "key": EDITOR},
        {"collection": "policies", "action": "delete", "key": VIEWERS},
    )

    assert await contents_of(readonly_db) == before
    assert (readonly_db.services.access_changed.is_set(), readonly_db.services.mail_queued.is_set()) == state


async def test_hooks_of_extensions_do_not_run(readonly_db):
    """They may call other services, which cannot be rolled back."""
    events = []

    async def record(event, _):
        events.append(event.name)

    names = ("users.update", "permissions.update", "roles.delete")
    hooks = Hooks({name: [record] for name in names}, {name: [record] for name in names}, lambda _: None)
    directory = Directory(caller("ada"), replace(readonly_db.services, hooks=hooks))
    changes = [
        WIDER_EDITORS,
        {"collection": "users", "action": "update", "key": uid("vi"), "data": {"role": EDITOR}},
        {"collection": "roles", "action": "delete", "key": VIEWER},
    ]
    report = await AccessSimulation(directory).run(parse_changes(changes))
    await hooks.finished()

    assert (report.changes, events) == (3, [])


async def test_writes_do_not_wait_for_a_simulation_on_postgresql(restored_db):
    """It does not hold the directory's lock, so that other rows can be written, those of rights included."""
    if restored_db.database.dialect == "sqlite":
        pytest.skip("on SQLite every write excludes the others")
    finished = []

    async def before(writer):
        await restored_db.directory(caller("ada"))["permissions"].update_one(4, {"fields": ["id"]})
        finished.append("write")

    async def after(writer, observed, refusals):
        finished.append("simulation")

    changes = parse_changes([WIDER_EDITORS])
    directory = restored_db.directory(caller("ada"))
    writes = SimulatedWrites(directory.caller, directory.services, directory.client_info)
    await writes.run(commands_of(changes, directory), before, after, 5)

    assert finished[:1] == ["write"]
    assert finished[-1] == "simulation"
    stored = await directory["permissions"].read_many([3, 4], {"fields": ["fields", "permissions"]})
    assert [row["fields"] for row in stored] == [["id", "email", "status", "title"], ["id"]]
    assert stored[0]["permissions"]


async def test_an_admin_who_ceases_to_be_one_while_the_simulation_waits_gets_no_report(restored_db):
    access = restored_db.directory(caller("ada"))["access"]
    row = await access.create_one({"policy": uid("policy-Administrators"), "user": uid("vi")})
    async with restored_db.services.simulations:
        waiting = asyncio.create_task(simulate(restored_db, WIDER_EDITORS, asker="vi"))
        await asyncio.sleep(0.2)  # enough for the first check: then it waits for the other simulation
        await access.delete_one(row)

    with pytest.raises(Forbidden):
        await waiting


async def test_a_simulation_that_takes_too_long_is_ended(readonly_db):
    before = await contents_of(readonly_db)
    simulation = AccessSimulation(readonly_db.directory(caller("ada")), transaction_seconds=0.0)
    with pytest.raises(ServiceUnavailable, match="simulate fewer changes at once"):
        await simulation.run([Change("roles", "delete", (EDITOR,))])

    assert await contents_of(readonly_db) == before
    assert (await simulate(readonly_db, WIDER_EDITORS)).users_total == 1


async def test_simulations_and_writes_at_the_same_time_do_not_disturb_each_other(restored_db):
    users = restored_db.directory(caller("ada"))["users"]
    reports, keys = await asyncio.gather(
        asyncio.gather(*(simulate(restored_db, WIDER_EDITORS) for _ in range(3))),
        asyncio.gather(*(users.create_one({"email": f"u{number}@example.com"}) for number in range(5))),
    )

    assert len(keys) == 5
    assert {report.users_total for report in reports} == {1}
