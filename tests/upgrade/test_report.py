"""What the commands print: readable, short enough, and true to the README."""

import asyncio
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from app.cli import main
from app.upgrade.app_minimum import MINIMUM, RowAccess, narrows, narrows_without, widens
from app.upgrade.difference_kinds import Difference, DifferenceKind, Direction
from app.upgrade.removed_columns import named_fields, named_in
from app.upgrade.report import lines_lacking, report
from app.upgrade.text_tables import COLUMNS
from app.upgrade.upgrade_preview import Role, UpgradePreview, survey
from tests.readme.readme_sections import section
from tests.upgrade.databases import HALFWAY, address, as_guest, quiet, run
from tests.upgrade.snapshots import picture

SHOWN = ("Editor", "IP list", "Duplicate rows")
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
"""A role below another, with permissions of its own for the same."""


@pytest.fixture
def rollcall(monkeypatch, capsys):
    """Runs a command on a database, as its own process would."""

    def called(system, *arguments):
        monkeypatch.setenv("DATABASE_URL", address(system))
        monkeypatch.setattr("sys.argv", ["rollcall", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        return SimpleNamespace(status=ended.value.code, out=told.out, err=told.err)

    return lambda *arguments: asyncio.to_thread(called, *arguments)


async def test_the_readme_shows_what_the_command_prints(ten, rollcall):
    async with ten.database.transaction() as connection:
        await connection.execute(
            text("DELETE FROM directus_roles WHERE NOT name = ANY(:shown) AND NOT admin_access OR name LIKE :others"),
            {"shown": list(SHOWN), "others": "%admin%"},
        )
    before = await picture(address(ten))
    told = await rollcall(ten, "upgrade", "--dry-run")
    shown = blocks("### From Directus 10")[1]

    assert (told.status, told.err) == (0, "")
    assert [part for part in shown.split("…\n") if part not in told.out] == []
    assert len(shown.splitlines()) > 20
    assert await picture(address(ten)) == before


def blocks(title):
    return [block.partition("\n")[2] for block in section(title).split("```")[1::2]]


async def test_the_readme_shows_how_reverting_is_refused_and_tells_the_same_of_a_dry_run(plain, rollcall):
    await run(address(plain), INTERNS)
    before = await picture(address(plain))
    look, refused = (
        await rollcall(plain, "upgrade", "--revert", "--dry-run"),
        await rollcall(plain, "upgrade", "--revert"),
    )
    losses = [" ".join(line.split()) for line in refused.err.splitlines()[1:-1]]

    assert refused.err == blocks("### And back")[1]
    assert [loss for loss in losses if loss not in " ".join(look.out.split())] == []
    assert len(losses) == 2
    assert (look.status, refused.status, refused.out) == (0, 1, "")
    assert max(map(len, look.out.splitlines())) <= COLUMNS
    assert await picture(address(plain)) == before


async def test_the_command_upgrades_once_and_says_what_comes_next(ten, rollcall):
    first = await rollcall(ten, "upgrade")
    again, look = await rollcall(ten, "upgrade"), await rollcall(ten, "upgrade", "--dry-run")

    assert "a policy was made of each of 33 roles, and 76 permissions" in first.out
    assert "directus_users: text_direction" in first.out
    assert "already" in again.out
    assert (again.status, again.out) == (look.status, look.out) == (0, look.out)


async def test_the_command_mends_and_reverts_and_says_what_comes_next(plain, rollcall):
    await run(address(plain), *HALFWAY, INTERNS)
    look, mended = await rollcall(plain, "upgrade", "--mend", "--dry-run"), await rollcall(plain, "upgrade", "--mend")
    reverted = await rollcall(plain, "upgrade", "--revert", "--accept-loss")

    assert "broke off here" in look.out
    assert "`rollcall upgrade --revert --dry-run`" in mended.out
    assert (
        "Reverted: 35 roles, with 73 permissions as before, 2 copied and 2 made of several.\nLost, or" in reverted.out
    )
    assert "Interns below Editors" in reverted.out
    assert [one.status for one in (look, mended, reverted)] == [0, 0, 0]


CONTRADICTING = {
    ("--revert", "--mend"): "--revert and --mend are two things",
    ("--accept-loss",): "--accept-loss belongs to --revert",
    ("--mend", "--accept-loss"): "--accept-loss belongs to --revert",
    ("--revert", "--dry-run", "--accept-loss"): "--dry-run and --accept-loss are two things",
    ("--rows", "3"): "--rows belongs to the lists of --dry-run",
    ("--mend", "--dry-run", "--rows", "3"): "--rows belongs to the lists of --dry-run",
}


@pytest.mark.parametrize("options", CONTRADICTING, ids=" ".join)
async def test_options_that_contradict_each_other_are_refused_before_anything_is_done(still_ten, rollcall, options):
    refused = await rollcall(still_ten, "upgrade", *options)

    assert (refused.status, refused.out) == (2, "")
    assert CONTRADICTING[options] in " ".join(refused.err.replace("│", " ").split())


@pytest.mark.parametrize("options", [("--dry-run",), ("--revert", "--dry-run"), ("--mend",)], ids=" ".join)
async def test_who_may_not_read_the_tables_is_not_sent_to_bootstrap(still_ten, rollcall, options):
    async with as_guest(still_ten, "INSERT") as guest:
        refused = await rollcall(guest, "upgrade", *options)

    assert (refused.status, refused.out) == (1, "")
    assert "The database's user should" in refused.err
    assert "bootstrap" not in refused.err


async def test_every_line_of_a_whole_world_fits_a_hundred_columns(still_ten):
    found = await survey(still_ten.database, 1_000, quiet)
    assert found
    lines = report(found).splitlines()

    assert max(map(len, lines)) <= COLUMNS
    assert not any(line != line.rstrip() for line in lines)
    assert all(str(kind.title) in "\n".join(lines) for kind in found.by_kind)


async def test_of_long_lists_the_first_are_shown_and_the_others_counted(still_ten):
    found = await survey(still_ten.database, 2, quiet)
    assert found
    told = report(found)

    assert "… and 31 more roles" in told
    assert "Only from certain addresses: 10" in told
    assert "… and 8 more" in told
    assert max(map(len, found.kept.values())) == 2


def test_a_name_that_would_steer_a_terminal_is_harmless():
    role = Role("1", "[bold]\x1b[31mred\nline :smile:", True, False, False, None, 1, 1)
    found = UpgradePreview(1, 1, 0, [role])
    found.add(Difference(DifferenceKind.SEVERAL, "1", role.name, "a\x1bb", "read", (1, 2), 9, "only 1 counted"), 5)
    told = report(found)

    assert "\x1b" not in told
    assert "[bold]?[31mred?line :smile:" in " ".join(told.split())
    assert "1, 2 and 7 more" in told


def test_missing_columns_are_listed_by_table():
    assert lines_lacking(["a.b", "a.c", "d"]) == "  a: b, c\n  d: all of it"


RELATIONS = {
    ("directus_users", "role"): "directus_roles",
    ("pages", "author"): "directus_users",
    ("directus_roles", "users"): "directus_users",
}
RULES = [  # a rule, on what, the columns that go that it names
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


@pytest.mark.parametrize(("rule", "collection", "named"), RULES)
def test_a_rule_is_followed_to_the_columns_that_go(rule, collection, named):
    assert list(named_in(rule, collection, RELATIONS)) == named


def test_fields_that_go_are_those_of_that_collection():
    assert named_fields("id,role,app_access", "directus_roles") == ["app_access"]
    assert named_fields("id,role,app_access", "directus_permissions") == ["role"]
    assert named_fields(None, "directus_roles") == named_fields("*", "directus_users") == []


ME = {"id": {"_eq": "$CURRENT_USER"}}
BESIDE = [  # a place of the app's own, a row of one's own there; narrower?, wider?
    (("directus_users", "read"), RowAccess({}, frozenset({"id"})), True, False),
    (("directus_users", "read"), RowAccess({}), False, False),
    (("directus_users", "read"), RowAccess({"status": {}}), True, False),
    (("directus_users", "read"), RowAccess(ME, frozenset({"id", "token"})), False, False),
    (("directus_users", "read"), RowAccess(None), False, True),
    (("directus_users", "read"), RowAccess(None, frozenset()), False, False),
    (("directus_settings", "read"), RowAccess({"id": {}}, frozenset({"id"})), False, False),
    (("directus_presets", "delete"), RowAccess(None, frozenset()), False, True),
    (("directus_presets", "update"), RowAccess(MINIMUM["directus_presets", "update"].rule), False, True),
    (("directus_presets", "create"), RowAccess(None, validation={"user": {}}), False, False),
]


@pytest.mark.parametrize(("place", "own", "narrower", "wider"), BESIDE)
def test_a_row_beside_the_apps_own_is_narrower_where_fields_meet_other_rows(place, own, narrower, wider):
    found = narrows(place[1], own, MINIMUM[place]), widens(place[1], own, MINIMUM[place])

    assert found == (narrower, wider)


def test_where_the_apps_own_goes_only_a_whole_row_makes_up_for_it():
    place = MINIMUM["directus_permissions", "read"]

    assert narrows_without(RowAccess({"role": {}}), place)
    assert narrows_without(RowAccess({}, frozenset({"id"})), place)
    assert not narrows_without(RowAccess({}), place)


def test_every_kind_has_a_way_and_says_what_it_means():
    assert {kind.way for kind in DifferenceKind} == {Direction.WIDER, Direction.NARROWER}
    assert (
        len({kind.title for kind in DifferenceKind})
        == len({kind.meaning for kind in DifferenceKind})
        == len(DifferenceKind)
    )
