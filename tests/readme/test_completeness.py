"""Every code block, command, link and generated part of the README and of `docs` has a test."""

import ast
import re
import shlex

import pytest
from graphql import parse, validate
from typer.testing import CliRunner

from app.cli import app
from app.graphql.schema import schema
from tests.compat import test_directus_tools
from tests.ldap import test_documentation as test_ldap
from tests.ldap import test_settings as test_ldap_settings
from tests.metrics import test_documentation
from tests.passkeys import test_configuration
from tests.readme import (
    test_api_tokens,
    test_custom_fields,
    test_deleting_users,
    test_deployment,
    test_explaining_access,
    test_extensions,
    test_policies_as_code,
    test_running_it,
    test_simulating_changes,
    test_snippets,
    test_testing,
)
from tests.readme.generated import rendered
from tests.readme.pages import DOCS, README, ROOT, page
from tests.realtime import test_clients
from tests.single_sign_on import test_settings
from tests.upgrade import test_report

PAGES = {"README.md": README, **{str(file.relative_to(DOCS)): file for file in sorted(DOCS.rglob("*.md"))}}
DIAGRAM = "mermaid"
EXPLAINED_QUESTIONS = (
    "A row is missing",
    "A field is missing, or null on some rows",
    "`users_me` is missing from the schema",
    "An update is FORBIDDEN although there is a permission",
    "It works from one office only",
)
TESTS_BY_BLOCK = {
    "README.md": {"Quick start": [test_snippets.test_the_first_query_succeeds] * 3}
    | {"Using it from Python": [test_snippets.test_the_python_example_of_the_readme_works]},
    "quickstart.md": {
        "Start a server": [test_snippets.test_the_first_query_succeeds],
        "Send a query": [test_snippets.test_the_first_query_succeeds],
        "Create a role and invite a user": [test_snippets.test_an_invitation_leads_to_a_first_query] * 2,
        "Log in as the new user": [test_snippets.test_an_invitation_leads_to_a_first_query],
        "Use PostgreSQL": [test_running_it.test_postgresql_needs_only_another_url],
    },
    "concepts/permissions.md": {
        "Policies, roles and access": [test_snippets.test_the_example_of_a_permission_is_accepted],
        "Policies for a limited time": [test_explaining_access.test_a_policy_is_attached_until_the_end_in_the_example],
    },
    "concepts/custom-fields.md": {
        "Add a field": [test_custom_fields.test_a_field_is_added_and_queried] * 2
        + [test_custom_fields.test_the_command_adds_the_same_field],
        "Relations": [test_custom_fields.test_a_relation_is_added_and_followed] * 3,
        "Tools": [test_directus_tools.test_the_tools_generate_types_that_compile_and_pull_the_schema],
    },
    "concepts/explaining-access.md": {
        "An example": [test_explaining_access.test_each_question_has_the_answer_that_the_page_shows],
        **dict.fromkeys(
            EXPLAINED_QUESTIONS, [test_explaining_access.test_each_question_has_the_answer_that_the_page_shows] * 2
        ),
        "As data": [test_explaining_access.test_the_query_of_the_page_returns_the_same_as_data],
        "Who can?": [test_explaining_access.test_each_question_has_the_answer_that_the_page_shows] * 2
        + [test_explaining_access.test_the_query_for_those_who_can_returns_the_users_that_the_rules_allow],
    },
    "concepts/api-tokens.md": {
        "Creating a token": [
            test_api_tokens.test_the_mutation_creates_a_token_that_the_query_lists_with_its_limits,
            test_api_tokens.test_the_command_creates_a_token,
        ],
        "Keeping track": [
            test_api_tokens.test_the_mutation_creates_a_token_that_the_query_lists_with_its_limits,
        ],
    },
    "concepts/deleting-users.md": {
        "A dry run": [test_deleting_users.test_the_dry_run_has_the_answer_that_the_page_shows] * 2,
        "Reassigning": [test_deleting_users.test_the_command_moves_what_the_dry_run_listed],
        "Exporting what is stored about a person": [
            test_deleting_users.test_the_export_writes_the_members_that_the_page_lists
        ],
        "Erasing a person": [test_deleting_users.test_the_erasure_keeps_only_the_entry_in_the_audit_log],
    },
    "concepts/simulating-changes.md": {
        "An example": [test_simulating_changes.test_each_file_of_changes_has_the_answer_that_the_page_shows] * 6,
        "The last admin": [test_simulating_changes.test_each_file_of_changes_has_the_answer_that_the_page_shows] * 3,
        "As data": [test_simulating_changes.test_the_mutation_of_the_page_returns_the_same_as_data],
    },
    "concepts/policies-as-code.md": {
        "On the server": [test_policies_as_code.test_the_setting_of_the_page_names_the_tests],
        "In pytest": [test_policies_as_code.test_pytest_runs_the_tests_of_the_files_that_its_configuration_names],
        **{
            title: [test_policies_as_code.test_each_command_prints_what_the_page_shows] * count
            for title, count in (("A file", 1), ("Plan and apply", 6), ("Tests", 6))
        },
    },
    "operations/ldap.md": {
        "An example": [
            test_ldap.test_the_first_example_signs_a_user_in,
            test_ldap_settings.test_the_examples_of_the_page_are_valid,
        ],
        "A sign-in": [test_ldap.test_the_first_example_signs_a_user_in],
        "Users": [test_ldap.test_the_limit_of_the_page_is_that_of_the_tested_directory],
    },
    "operations/passkeys.md": {
        "Configuration": [test_configuration.test_users_sign_in_with_the_configuration_of_the_page]
    },
    "operations/single-sign-on.md": {"An example": [test_settings.test_the_examples_of_the_page_are_valid] * 2},
    "concepts/files.md": {"Uploading and reading": [test_snippets.test_an_image_is_uploaded_and_read]},
    "reference/graphql.md": {
        "Queries": [test_snippets.test_every_graphql_example_is_valid],
        "Mutations": [test_snippets.test_every_graphql_example_is_valid],
    },
    "reference/rest.md": {"Exporting a list as a file": [test_snippets.test_users_are_exported_as_a_file]},
    "operations/deploy.md": {
        "First start": [test_running_it.test_the_first_start_runs_two_workers],
        "From a wheel": [test_deployment.test_a_wheel_bootstraps_and_serves_in_an_empty_folder],
        "With containers": [test_deployment.test_the_container_runs_documented_commands],
        "Behind a proxy": [test_running_it.test_behind_a_proxy_the_client_ip_is_known_and_cookies_are_secure] * 2,
    },
    "operations/monitoring.md": {
        "Metrics": [test_documentation.test_the_example_asks_each_machine_at_its_port_with_the_token],
        "Traces": [test_documentation.test_the_variables_of_traces_are_known],
    },
    "operations/mail.md": {"Transport": [test_running_it.test_the_mail_settings_are_valid]},
    "operations/backup.md": {
        "SQLite": [test_running_it.test_sqlite_is_backed_up_while_serving_and_restored] * 2,
        "PostgreSQL": [test_running_it.test_postgresql_is_backed_up_while_serving_and_restored],
    },
    "operations/upgrade.md": {
        "Upgrade": [test_running_it.test_an_upgrade_is_an_installation_and_an_idempotent_bootstrap]
    },
    "directus/side-by-side.md": {
        "Setup": [test_running_it.test_the_settings_next_to_a_directus_are_valid],
        "Hiding Rollcall's tables": [
            test_running_it.test_the_setting_that_hides_the_tables_from_directus_names_all_of_them
        ],
    },
    "directus/from-10.md": {"Preview": [test_report.test_the_documentation_shows_the_output_of_a_dry_run] * 2},
    "directus/back-to-10.md": {
        title: [test_report.test_the_documentation_shows_the_error_of_a_revert_and_a_dry_run_lists_the_same_losses]
        for title in ("Back to Directus 10", "Revert")
    },
    "python/library.md": {"Python library": [test_snippets.test_the_python_snippets_have_the_described_effect] * 7},
    "python/testing.md": {"Testing from Python": [test_testing.test_the_example_test_passes_in_another_folder] * 3},
    "python/extensions.md": {
        "Extensions": [test_extensions.test_a_module_named_by_the_setting_adds_an_endpoint] * 2
        + [test_extensions.test_an_entry_point_names_the_module_of_an_installed_package],
        "Endpoints": [test_extensions.test_the_examples_of_working_with_users_are_endpoints],
        "Hooks": [test_extensions.test_the_hooks_reject_change_and_follow_writes],
        "GraphQL": [test_extensions.test_the_root_fields_read_and_rename_a_team],
        "Jobs": [test_extensions.test_the_job_suspends_users],
        "Tests": [test_extensions.test_the_example_test_of_an_extension_passes_in_another_folder],
    },
    "concepts/realtime.md": {
        "GraphQL subscriptions": [
            test_clients.test_graphql_ws_subscribes_as_documented,
            test_clients.test_the_documented_subscription_is_sent_an_update,
        ],
        "GraphQL subscriptions as server-sent events": [test_clients.test_graphql_sse_subscribes_as_documented],
        "The SDK's `realtime()`": [test_clients.test_the_sdk_subscribes_as_documented],
    },
}
BLOCK = re.compile(r"^```(\w*)\n.*?^```$", re.DOTALL | re.MULTILINE)
TEXT = "\n".join(BLOCK.sub("", file.read_text()) for file in PAGES.values())
COMMANDS = sorted(
    set(re.findall(r"(?:`|\.venv/bin/)rollcall ([^`\n)]+)", "\n".join(file.read_text() for file in PAGES.values())))
)
LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical"}
"""Methods of structlog's loggers."""


def blocks_by_heading(text):
    """Return the number of code blocks right below each heading; diagrams run nothing."""
    counts, title = dict[str, int](), ""
    for match in re.finditer(rf"^#+ (?P<title>[^\n]+)$|{BLOCK.pattern}", text, re.DOTALL | re.MULTILINE):
        if heading := match["title"]:
            title = heading
        elif not match[0].startswith(f"```{DIAGRAM}"):
            counts[title] = counts.get(title, 0) + 1
    return counts


def test_every_code_block_has_a_test():
    blocks = {name: blocks_by_heading(file.read_text()) for name, file in PAGES.items()}

    assert {name: counts for name, counts in blocks.items() if counts} == {
        name: {title: len(tests) for title, tests in titles.items()} for name, titles in TESTS_BY_BLOCK.items()
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_exists(command):
    words = [word for word in shlex.split(command.split("\\")[0]) if word.startswith("--") or word.islower()]
    names, options = [word for word in words if word[0] != "-"], [word for word in words if word[0] == "-"]
    result = CliRunner().invoke(app, [*names, "--help"])

    assert result.exit_code == 0
    assert [option for option in options if option not in result.output] == []


def anchors(file):
    titles = re.findall(r"^#+ (.+)$", BLOCK.sub("", file.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_to_a_file_and_a_heading(name):
    links = re.findall(r"\]\(([^):]+)\)", BLOCK.sub("", PAGES[name].read_text()))
    targets = {link: (PAGES[name].parent / link.partition("#")[0]).resolve() for link in links}
    targets = {link: PAGES[name] if link.startswith("#") else target for link, target in targets.items()}

    assert [link for link, target in targets.items() if not target.is_file()] == []
    assert [
        link for link, target in targets.items() if "#" in link and link.partition("#")[2] not in anchors(target)
    ] == []


@pytest.mark.parametrize("name", PAGES)
def test_the_generated_parts_are_those_of_the_code(name):
    text = PAGES[name].read_text()

    assert rendered(text) == text, "run `make docs-generate`"


def test_every_diagram_becomes_a_drawing_of_the_page_itself():
    pytest.importorskip("mmdr", reason="only `make docs` installs mmdr")
    from tests.readme.diagrams import format_diagram

    sources = re.findall(rf"```{DIAGRAM}\n(.*?)```", "\n".join(file.read_text() for file in PAGES.values()), re.DOTALL)
    drawings = [format_diagram(source, DIAGRAM, "diagram", {}, None) for source in sources]
    ids = [set(re.findall(r"\bid=\"(diagram-\w+)\"", drawing)) for drawing in drawings]

    assert len(sources) == 6
    assert all(re.match(r'<div class="diagram"><svg id="diagram-\w+" width="\d', drawing) for drawing in drawings)
    assert len(set.union(*ids)) == len(sources), "two drawings would share their styles"
    assert not any(re.search(r"<script|@import|url\((?!#)|merman", drawing) for drawing in drawings)


def test_the_site_requests_nothing_from_other_servers():
    configuration = (ROOT / "mkdocs.yml").read_text()

    assert "font: false" in configuration, "the theme would load fonts from another server"
    assert "class: mermaid" not in configuration, "the theme would load a script from another server"
    assert not re.search(r"https?://", (DOCS / "extra.css").read_text())


def test_the_readme_is_short():
    assert len(README.read_text().splitlines()) <= 150


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2]

    assert set(re.findall(r"[\w./-]+\.md", navigation)) == set(PAGES) - {"README.md"}


def test_every_query_of_the_runbook_is_valid():
    queries = re.findall(r"`((?:mutation )?\{ \w+\(.+?\})`", page("operations/runbook.md"))

    assert len(queries) >= 2
    for query in queries:
        assert validate(schema.graphql, parse(query)) == []


def logged_events():
    """Return the literal names of the events that `app` logs."""
    events = set()
    for file in (ROOT / "app").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LOG_METHODS:
                name = node.args[0] if node.args else None
                if ast.unparse(node.func.value) in ("log", "self._log") and isinstance(name, ast.Constant):
                    events.add(name.value)
    return events


def test_every_log_event_is_documented_and_no_other():
    documented = set(
        re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\| ([^|]+) \|", page("reference/logs.md"), re.MULTILINE)))
    )

    assert documented == logged_events()
