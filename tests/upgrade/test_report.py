"""The output of `rollcall upgrade` is readable, fits the page, and is what the documentation shows."""

import pytest
from sqlalchemy import text

from app.upgrade.app_minimum import APP_MINIMUM, RowAccess, narrows, narrows_without_minimum, widens
from app.upgrade.difference_kinds import Difference, DifferenceKind, Direction
from app.upgrade.removed_columns import removed_columns_in, removed_fields_in
from app.upgrade.report import format_missing_columns, format_upgrade_preview
from app.upgrade.text_tables import WIDTH
from app.upgrade.upgrade_preview import RoleSummary, UpgradePreview, preview_upgrade
from tests.cli.commands import run_command
from tests.readme.pages import page
from tests.upgrade.databases import INTERRUPTED_REVERT, database_url, no_progress, opened_by_guest, run_statements
from tests.upgrade.snapshots import snapshot

ROLES_IN_EXAMPLE = ("Editor", "IP list", "Duplicate rows")
INTERNS = """
INSERT INTO directus_roles (id, name, icon, parent) VALUES (md5('e')::uuid, 'Editors', 'badge', NULL),
    (md5('i')::uuid, 'Interns', 'badge', md5('e')::uuid);
INSERT INTO directus_policies (id, name) VALUES (md5('e')::uuid, 'Editors'), (md5('i')::uuid, 'Interns');
INSERT INTO directus_access (id, role, policy, sort) SELECT id, id, id, 1 FROM directus_policies
    WHERE name IN ('Editors', 'Interns');
INSERT INTO directus_permissions (collection, action, policy, permissions, validation, fields)
    SELECT 'pages', action, id, rule, rule, fields FROM (VALUES ('create'), ('read')) AS actions (action),
    (VALUES (md5('e')::uuid, '{"status": {"_eq": "draft"}}'::json, 'title'), (md5('i')::uuid, '{}', 'id'))
    AS permissions (id, rule, fields)
"""
"""A role with a parent, both with permissions for the same collection and actions."""


@pytest.fixture
def rollcall():
    """Runs a command on a system's database."""
    return lambda system, *arguments: run_command(database_url(system), *arguments)


async def test_the_documentation_shows_the_output_of_a_dry_run(writable_v10, rollcall):
    async with writable_v10.database.transaction() as connection:
        await connection.execute(
            text("DELETE FROM directus_roles WHERE NOT name = ANY(:shown) AND NOT admin_access OR name LIKE :others"),
            {"shown": list(ROLES_IN_EXAMPLE), "others": "%admin%"},
        )
    before = await snapshot(database_url(writable_v10))
    result = await rollcall(writable_v10, "upgrade", "--dry-run")
    block = blocks("directus/from-10.md")[1]

    assert (result.code, result.err) == (0, "")
    assert [part for part in block.split("…\n") if part not in result.out] == []
    assert len(block.splitlines()) > 20
    assert await snapshot(database_url(writable_v10)) == before


def blocks(name):
    return [block.partition("\n")[2] for block in page(name).split("```")[1::2]]


async def test_the_documentation_shows_the_error_of_a_revert_and_a_dry_run_lists_the_same_losses(
    writable_lossless, rollcall
):
    await run_statements(database_url(writable_lossless), INTERNS)
    before = await snapshot(database_url(writable_lossless))
    preview = await rollcall(writable_lossless, "upgrade", "--revert", "--dry-run")
    revert = await rollcall(writable_lossless, "upgrade", "--revert")
    losses = [" ".join(line.split()) for line in revert.err.splitlines()[1:-1]]

    assert revert.err == blocks("directus/back-to-10.md")[1]
    assert [loss for loss in losses if loss not in " ".join(preview.out.split())] == []
    assert len(losses) == 2
    assert (preview.code, revert.code, revert.out) == (0, 1, "")
    assert max(map(len, preview.out.splitlines())) <= WIDTH
    assert await snapshot(database_url(writable_lossless)) == before


async def test_the_command_upgrades_once_and_names_the_next_step(writable_v10, rollcall):
    first = await rollcall(writable_v10, "upgrade")
    again, preview = await rollcall(writable_v10, "upgrade"), await rollcall(writable_v10, "upgrade", "--dry-run")

    assert "created a policy for each of 33 roles, and moved 76 permissions" in first.out
    assert "directus_users: text_direction" in first.out
    assert "already" in again.out
    assert (again.code, again.out) == (preview.code, preview.out) == (0, preview.out)


async def test_the_command_repairs_and_reverts_and_names_the_next_step(writable_lossless, rollcall):
    await run_statements(database_url(writable_lossless), *INTERRUPTED_REVERT, INTERNS)
    preview = await rollcall(writable_lossless, "upgrade", "--repair", "--dry-run")
    repair = await rollcall(writable_lossless, "upgrade", "--repair")
    revert = await rollcall(writable_lossless, "upgrade", "--revert", "--accept-loss")

    assert "was interrupted" in preview.out
    assert "`rollcall upgrade --revert --dry-run`" in repair.out
    assert "Reverted: 35 roles, with 73 permissions unchanged, 2 copied and 2 merged from several.\nLost" in revert.out
    assert "Interns below Editors" in revert.out
    assert [result.code for result in (preview, repair, revert)] == [0, 0, 0]


CONFLICTING_OPTIONS = {
    ("--revert", "--repair"): "--revert and --repair can't be combined",
    ("--accept-loss",): "--accept-loss requires --revert",
    ("--repair", "--accept-loss"): "--accept-loss requires --revert",
    ("--revert", "--dry-run", "--accept-loss"): "--dry-run and --accept-loss can't be combined",
    ("--rows", "3"): "--rows requires --dry-run",
    ("--repair", "--dry-run", "--rows", "3"): "--rows requires --dry-run",
}


@pytest.mark.parametrize("options", CONFLICTING_OPTIONS, ids=" ".join)
async def test_conflicting_options_are_rejected_before_anything_is_done(readonly_v10, rollcall, options):
    result = await rollcall(readonly_v10, "upgrade", *options)

    assert (result.code, result.out) == (2, "")
    assert CONFLICTING_OPTIONS[options] in " ".join(result.err.replace("│", " ").split())


@pytest.mark.parametrize("options", [("--dry-run",), ("--revert", "--dry-run"), ("--repair",)], ids=" ".join)
async def test_a_missing_privilege_is_not_answered_with_bootstrap(readonly_v10, rollcall, options):
    async with opened_by_guest(readonly_v10, "INSERT") as guest:
        result = await rollcall(guest, "upgrade", *options)

    assert (result.code, result.out) == (1, "")
    assert "The database user must" in result.err
    assert "bootstrap" not in result.err


async def test_every_line_of_a_long_report_fits_the_width(readonly_v10):
    preview = await preview_upgrade(readonly_v10.database, 1_000, no_progress)
    assert preview
    lines = format_upgrade_preview(preview).splitlines()

    assert max(map(len, lines)) <= WIDTH
    assert not any(line != line.rstrip() for line in lines)
    assert all(str(kind.title) in "\n".join(lines) for kind in preview.by_kind)


async def test_the_first_entries_of_long_lists_are_printed_and_the_others_counted(readonly_v10):
    preview = await preview_upgrade(readonly_v10.database, 2, no_progress)
    assert preview
    report = format_upgrade_preview(preview)

    assert "… and 31 more roles" in report
    assert "Roles limited to IP addresses: 10" in report
    assert "… and 8 more" in report
    assert max(map(len, preview.differences.values())) == 2


def test_control_characters_in_names_are_replaced():
    role = RoleSummary("1", "[bold]\x1b[31mred\nline :smile:", True, False, False, None, 1, 1)
    preview = UpgradePreview(1, 1, 0, [role])
    kind, detail = DifferenceKind.DUPLICATE_PERMISSIONS, "only 1 was applied"
    preview.add(Difference(kind, "1", role.name, "a\x1bb", "read", (1, 2), 9, detail), 5)
    report = format_upgrade_preview(preview)

    assert "\x1b" not in report
    assert "[bold]?[31mred?line :smile:" in " ".join(report.split())
    assert "1, 2 and 7 more" in report


def test_missing_columns_are_listed_by_table():
    assert format_missing_columns(["a.b", "a.c", "d"]) == "  a: b, c\n  d: the whole table"


RELATIONS = {
    ("directus_users", "role"): "directus_roles",
    ("pages", "author"): "directus_users",
    ("directus_roles", "users"): "directus_users",
}
RULES = [  # a rule, its collection, the removed columns in it
    ('{"role": {"admin_access": {"_eq": true}}}', "directus_users", ["role.admin_access"]),
    ('{"author": {"role": {"_and": [{"ip_access": {"_null": true}}]}}}', "pages", ["author.role.ip_access"]),
    ('{"users": {"_some": {"role": {"app_access": {}}}}}', "directus_roles", ["users.role.app_access"]),
    ('{"role": {"_eq": "$CURRENT_ROLE"}}', "directus_permissions", ["role"]),
    ('{"title": {"_eq": "$CURRENT_USER.role.app_access"}}', "pages", ["$CURRENT_USER.role.app_access"]),
    (
        '{"$FOLLOW(directus_users,page)": {"role": {"enforce_tfa": {}}}}',
        "pages",
        ["$FOLLOW(directus_users,page).role.enforce_tfa"],
    ),
    ('{"item:directus_roles": {"app_access": {"_eq": 1}}}', "pages", ["item:directus_roles.app_access"]),
    ('{"unknown": {"app_access": {"_eq": 1}}}', "pages", ["unknown.app_access"]),
    ('{"app_access": {"_eq": 1}}', "pages", []),
    ('{"title": {"_eq": "app_access"}}', "pages", []),
    ('{"role": {"_eq": "$CURRENT_ROLE"}}', "directus_users", []),
    ("not json", "directus_roles", []),
    (None, "directus_roles", []),
]


@pytest.mark.parametrize(("rule", "collection", "columns"), RULES)
def test_removed_columns_are_found_in_rules(rule, collection, columns):
    assert list(removed_columns_in(rule, collection, RELATIONS)) == columns


def test_removed_fields_are_those_of_the_collection():
    assert removed_fields_in("id,role,app_access", "directus_roles") == ["app_access"]
    assert removed_fields_in("id,role,app_access", "directus_permissions") == ["role"]
    assert removed_fields_in(None, "directus_roles") == removed_fields_in("*", "directus_users") == []


OWN_USER = {"id": {"_eq": "$CURRENT_USER"}}
BESIDE_APP_MINIMUM = [  # key of the app minimum, stored permission beside it, narrows, widens
    (("directus_users", "read"), RowAccess({}, frozenset({"id"})), True, False),
    (("directus_users", "read"), RowAccess({}), False, False),
    (("directus_users", "read"), RowAccess({"status": {}}), True, False),
    (("directus_users", "read"), RowAccess(OWN_USER, frozenset({"id", "token"})), False, False),
    (("directus_users", "read"), RowAccess(None), False, True),
    (("directus_users", "read"), RowAccess(None, frozenset()), False, False),
    (("directus_settings", "read"), RowAccess({"id": {}}, frozenset({"id"})), False, False),
    (("directus_presets", "delete"), RowAccess(None, frozenset()), False, True),
    (("directus_presets", "update"), RowAccess(APP_MINIMUM["directus_presets", "update"].rule), False, True),
    (("directus_presets", "create"), RowAccess(None, validation={"user": {}}), False, False),
]


@pytest.mark.parametrize(("key", "stored", "narrower", "wider"), BESIDE_APP_MINIMUM)
def test_a_permission_beside_the_app_minimum_narrows_or_widens_access(key, stored, narrower, wider):
    minimum = APP_MINIMUM[key]

    assert narrows(key[1], stored, minimum) == narrower
    assert widens(key[1], stored, minimum) == wider


def test_only_an_unrestricted_permission_replaces_a_removed_part_of_the_app_minimum():
    minimum = APP_MINIMUM["directus_permissions", "read"]

    assert narrows_without_minimum(RowAccess({"role": {}}), minimum)
    assert narrows_without_minimum(RowAccess({}, frozenset({"id"})), minimum)
    assert not narrows_without_minimum(RowAccess({}), minimum)


def test_every_kind_of_difference_has_a_direction_and_texts_of_its_own():
    assert {kind.direction for kind in DifferenceKind} == {Direction.WIDER, Direction.NARROWER}
    assert (
        len({kind.title for kind in DifferenceKind})
        == len({kind.meaning for kind in DifferenceKind})
        == len(DifferenceKind)
    )
