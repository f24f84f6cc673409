"""Every code block, command and link of the README is tested: blocks by the tests listed here, the rest here."""

import re
import shlex

import pytest
from graphql import parse, validate
from typer.testing import CliRunner

from app.cli import app
from app.graphql.schema import schema
from tests.readme import test_running_it, test_snippets, test_testing
from tests.readme.readme_sections import README, section
from tests.upgrade import test_report

TEXT = README.read_text()
TESTS_BY_SECTION = {
    "Rollcall": [test_snippets.test_the_first_query_succeeds] * 2,
    "On PostgreSQL": [test_running_it.test_postgresql_needs_only_another_url],
    "As a file": [test_snippets.test_users_are_exported_as_a_file],
    "From an invitation to a first query": [test_snippets.test_an_invitation_leads_to_a_first_query] * 3,
    "Mail": [test_running_it.test_the_mail_settings_are_valid],
    "First start": [test_running_it.test_the_first_start_runs_two_workers],
    "Behind a proxy": [test_running_it.test_behind_a_proxy_the_client_ip_is_known_and_cookies_are_secure] * 2,
    "Backup and restore": [
        *[test_running_it.test_sqlite_is_backed_up_while_serving_and_restored] * 2,
        test_running_it.test_postgresql_is_backed_up_while_serving_and_restored,
    ],
    "Upgrades": [test_running_it.test_an_upgrade_is_an_installation_and_an_idempotent_bootstrap],
    "Files": [test_snippets.test_an_image_is_uploaded_and_read],
    "From Directus 10": [test_report.test_the_readme_shows_the_output_of_a_dry_run] * 2,
    "And back": [test_report.test_the_readme_shows_the_error_of_a_revert_and_a_dry_run_lists_the_same_losses] * 2,
    "From Python": [test_snippets.test_the_python_snippets_have_the_described_effect] * 7,
    "Testing from Python": [test_testing.test_the_example_test_passes_in_another_folder] * 3,
    "Beside a Directus 11": [
        test_running_it.test_the_settings_next_to_a_directus_are_valid,
        test_running_it.test_the_setting_that_hides_the_tables_from_directus_names_all_of_them,
    ],
}
COMMANDS = sorted(
    set(re.findall(r"(?:`|\.venv/bin/)rollcall ([^`\n]+)", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL)))
)


def blocks_by_section():
    """Return the number of code blocks right below each heading."""
    parts = re.split(
        r"^#+ (.+)$",
        re.sub(r"^(```\w+\n)(.*?)(^```$)", r"\1\3", TEXT, flags=re.DOTALL | re.MULTILINE),
        flags=re.MULTILINE,
    )
    return {
        title: text.count("```") // 2 for title, text in zip(parts[1::2], parts[2::2], strict=True) if "```" in text
    }


def test_every_code_block_has_a_test():
    assert blocks_by_section() == {title: len(tests) for title, tests in TESTS_BY_SECTION.items()}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_exists(command):
    words = [word for word in shlex.split(command) if word.startswith("--") or word.islower()]
    names, options = [word for word in words if word[0] != "-"], [word for word in words if word[0] == "-"]
    result = CliRunner().invoke(app, [*names, "--help"])

    assert result.exit_code == 0
    assert [option for option in options if option not in result.output] == []


def test_every_internal_link_has_a_target():
    anchors = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    }

    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= anchors


def test_every_query_of_the_runbook_is_valid():
    queries = re.findall(r"`((?:mutation )?\{ \w+\(.+?\})`", section("## At three in the morning"))

    assert len(queries) >= 2
    for query in queries:
        assert validate(schema.graphql, parse(query)) == []
