"""The pytest plugin runs the tests of configured files, and otherwise does nothing."""

import tomllib

import pytest

from tests.base_data import uid
from tests.readme.pages import ROOT
from tests.readme.test_policies_as_code import run_pytest

PROBE = """
def test_nothing_of_rollcall_is_imported():
    import sys
    assert {name for name in sys.modules if name.startswith("app.")} == {
        "app.policy_files", "app.policy_files.pytest_plugin"
    }
"""
USER = f'{{"directus_users": [{{"id": "{uid("ines")}", "email": "ines@example.com"}}]}}'
DOCUMENT = "tests:\n  - {as: ines@example.com, may not: [read users]}\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.yaml").write_text(DOCUMENT)
    return tmp_path


def configure(folder, *lines):
    (folder / "pytest.ini").write_text("\n".join(["[pytest]", *lines]))


def test_without_configuration_it_collects_and_imports_nothing(folder):
    (folder / "test_probe.py").write_text(PROBE)
    result = run_pytest(folder)

    assert "1 passed" in result.stdout, result.stdout


def test_users_come_from_files_that_are_imported(folder):
    (folder / "users.json").write_text(USER)
    configure(folder, "rollcall_policies = *.yaml", "rollcall_policies_rows = users.json")

    assert "1 passed" in run_pytest(folder).stdout


@pytest.mark.slow
def test_an_invalid_file_is_an_error_with_its_place(folder):
    (folder / "b.yaml").write_text("tests:\n  - {as: public, mey: []}\n")
    (folder / "c.yaml").write_text("role: []\n")
    configure(folder, "rollcall_policies = *.yaml")
    result = run_pytest(folder, "--continue-on-collection-errors")

    assert "c.yaml, line 1: the file has no key 'role'. Did you mean 'roles'?" in result.stdout
    assert "Traceback" not in result.stdout


def test_the_package_announces_the_plugin():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["entry-points"]["pytest11"] == {"rollcall_policies": "app.policy_files.pytest_plugin"}
