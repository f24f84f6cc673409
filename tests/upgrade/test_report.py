"""What a dry run prints: readable, short enough, and true to the README."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from app.cli import app
from app.upgrade.dropped import named_fields, named_in
from app.upgrade.kinds import Difference, Kind, Way
from app.upgrade.minimum import MINIMUM, Granted, narrows, narrows_without, widens
from app.upgrade.report import COLUMNS, lines_lacking, report
from app.upgrade.survey import Role, Survey, survey
from tests.upgrade.test_up import DIGEST

README = Path(__file__).parents[2] / "README.md"
SHOWN = ("Editor", "IP list", "Duplicate rows")


@pytest.fixture
def rollcall(ten, monkeypatch):
    """Runs a command on a Directus 10 database, as its own process would."""
    monkeypatch.setenv("DATABASE_URL", ten.settings.database_url)
    return lambda *arguments: asyncio.to_thread(CliRunner().invoke, app, list(arguments))


async def test_the_readme_shows_what_the_command_prints(ten, rollcall):
    async with ten.database.transaction() as connection:
        await connection.execute(
            text("DELETE FROM directus_roles WHERE NOT name = ANY(:shown) AND NOT admin_access OR name LIKE :others"),
            {"shown": list(SHOWN), "others": "%admin%"},
        )
        before = await connection.scalar(text(DIGEST))
    told = await rollcall("upgrade", "--dry-run")
    page = README.read_text().partition("### From Directus 10\n")[2]
    shown = page.partition("```\n")[2].partition("```\n")[2].partition("```")[0]

    assert (told.exit_code, told.stderr) == (0, "")
    assert [part for part in shown.split("…\n") if part not in told.stdout] == []
    assert len(shown.splitlines()) > 20
    async with ten.database.transaction() as connection:
        assert await connection.scalar(text(DIGEST)) == before


async def test_the_command_upgrades_once_and_says_what_comes_next(rollcall):
    first = await rollcall("upgrade")
    again, look = await rollcall("upgrade"), await rollcall("upgrade", "--dry-run")

    assert "33 roles have a policy each, and 76 permissions" in first.stdout
    assert "directus_users: text_direction" in first.stdout
    assert "already" in again.stdout
    assert (again.exit_code, again.stdout) == (look.exit_code, look.stdout) == (0, look.stdout)


async def test_every_line_of_a_whole_world_fits_a_hundred_columns(still_ten):
    found = await survey(still_ten.database, 1_000, lambda *_: None)
    assert found
    lines = report(found).splitlines()

    assert max(map(len, lines)) <= COLUMNS
    assert not any(line != line.rstrip() for line in lines)
    assert all(str(kind.title) in "\n".join(lines) for kind in found.by_kind)


async def test_of_long_lists_the_first_are_shown_and_the_others_counted(still_ten):
    found = await survey(still_ten.database, 2, lambda *_: None)
    assert found
    told = report(found)

    assert "… and 31 more roles" in told
    assert "Only from certain addresses: 10" in told
    assert "… and 8 more" in told
    assert max(map(len, found.kept.values())) == 2


def test_a_name_that_would_steer_a_terminal_is_harmless():
    role = Role("1", "[bold]\x1b[31mred\nline :smile:", True, False, False, None, 1, 1)
    found = Survey(1, 1, 0, [role])
    found.add(Difference(Kind.SEVERAL, "1", role.name, "a\x1bb", "read", (1, 2), 9, "only 1 counted"), 5)
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
    (("directus_users", "read"), Granted({}, frozenset({"id"})), True, False),
    (("directus_users", "read"), Granted({}), False, False),
    (("directus_users", "read"), Granted({"status": {}}), True, False),
    (("directus_users", "read"), Granted(ME, frozenset({"id", "token"})), False, False),
    (("directus_users", "read"), Granted(None), False, True),
    (("directus_users", "read"), Granted(None, frozenset()), False, False),
    (("directus_settings", "read"), Granted({"id": {}}, frozenset({"id"})), False, False),
    (("directus_presets", "delete"), Granted(None, frozenset()), False, True),
    (("directus_presets", "update"), Granted(MINIMUM["directus_presets", "update"].rule), False, True),
    (("directus_presets", "create"), Granted(None, validation={"user": {}}), False, False),
]


@pytest.mark.parametrize(("place", "own", "narrower", "wider"), BESIDE)
def test_a_row_beside_the_apps_own_is_narrower_where_fields_meet_other_rows(place, own, narrower, wider):
    found = narrows(place[1], own, MINIMUM[place]), widens(place[1], own, MINIMUM[place])

    assert found == (narrower, wider)


def test_where_the_apps_own_goes_only_a_whole_row_makes_up_for_it():
    place = MINIMUM["directus_permissions", "read"]

    assert narrows_without(Granted({"role": {}}), place)
    assert narrows_without(Granted({}, frozenset({"id"})), place)
    assert not narrows_without(Granted({}), place)


def test_every_kind_has_a_way_and_says_what_it_means():
    assert {kind.way for kind in Kind} == {Way.WIDER, Way.NARROWER}
    assert len({kind.title for kind in Kind}) == len({kind.meaning for kind in Kind}) == len(Kind)
