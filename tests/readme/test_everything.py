"""Nothing is shown in README that is not tried: its blocks by the tests named here, its commands and links here."""

import re
import shlex

import pytest
from graphql import parse, validate
from typer.testing import CliRunner

from app.cli import app
from app.graphql.schema import schema
from tests.readme import test_running_it, test_snippets, test_testing
from tests.readme.readme_sections import README, page
from tests.upgrade import test_report

TEXT = README.read_text()
TRIED = {
    "Rollcall": [test_snippets.test_the_first_query_answers_whoever_pastes_it] * 2,
    "On PostgreSQL": [test_running_it.test_on_postgresql_it_is_the_same_command],
    "As a file": [test_snippets.test_users_are_told_as_a_file],
    "From an invitation to a first query": [
        test_snippets.test_an_invitation_leads_to_a_first_query_as_the_readme_shows_it
    ]
    * 3,
    "Mail": [test_running_it.test_the_settings_of_mail_are_ones_that_can_be_used],
    "First start": [test_running_it.test_a_first_start_leads_to_two_workers_that_serve],
    "Behind a proxy": [test_running_it.test_behind_a_proxy_the_clients_address_is_known_and_cookies_keep_to_https] * 2,
    "Backup and restore": [
        *[test_running_it.test_sqlite_is_backed_up_while_it_serves_and_restored] * 2,
        test_running_it.test_postgresql_is_backed_up_while_it_serves_and_restored,
    ],
    "Upgrades": [test_running_it.test_an_upgrade_is_an_installation_and_a_bootstrap_that_changes_nothing_else],
    "Files": [test_snippets.test_a_picture_is_uploaded_and_read_as_the_readme_shows_it],
    "From Directus 10": [test_report.test_the_readme_shows_what_the_command_prints] * 2,
    "And back": [test_report.test_the_readme_shows_how_reverting_is_refused_and_tells_the_same_of_a_dry_run] * 2,
    "From Python": [test_snippets.test_the_snippets_of_the_readme_do_what_they_say] * 7,
    "Testing from Python": [test_testing.test_what_the_page_shows_passes_in_a_folder_of_ones_own] * 3,
    "Beside a Directus 11": [test_running_it.test_the_settings_beside_a_directus_are_ones_that_can_be_used],
}
COMMANDS = sorted(
    set(re.findall(r"(?:`|\.venv/bin/)rollcall ([^`\n]+)", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL)))
)


def shown():
    """Each heading with the number of blocks that stand right under it."""
    parts = re.split(
        r"^#+ (.+)$",
        re.sub(r"^(```\w+\n)(.*?)(^```$)", r"\1\3", TEXT, flags=re.DOTALL | re.MULTILINE),
        flags=re.MULTILINE,
    )
    return {
        title: text.count("```") // 2 for title, text in zip(parts[1::2], parts[2::2], strict=True) if "```" in text
    }


def test_every_block_is_tried():
    assert shown() == {title: len(tests) for title, tests in TRIED.items()}


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_that_is_named_is_there(words):
    named = [word for word in shlex.split(words) if word.startswith("--") or word.islower()]
    names, options = [word for word in named if word[0] != "-"], [word for word in named if word[0] == "-"]
    told = CliRunner().invoke(app, [*names, "--help"])

    assert told.exit_code == 0
    assert [option for option in options if option not in told.output] == []


def test_every_link_leads_somewhere():
    anchors = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    }

    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= anchors


def test_every_query_of_the_night_can_be_asked():
    queries = re.findall(r"`((?:mutation )?\{ \w+\(.+?\})`", page("## At three in the morning"))

    assert len(queries) >= 2
    for query in queries:
        assert validate(schema.graphql, parse(query)) == []
