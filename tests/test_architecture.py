"""What keeps the house in order: rules that no tool knows."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.core.config import Settings

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "app").rglob("*.py"))


def calls(module: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Call):
            function = node.func
            names.add(function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", ""))
    return names


@pytest.mark.parametrize(("call", "home"), [("commit", "app/db/database.py"), ("ScopedRead", "app/policy/resolver.py")])
def test_there_is_one_place_that_does_it(call, home):
    assert [str(module.relative_to(ROOT)) for module in MODULES if call in calls(module)] == [home]


def test_no_module_is_a_drawer():
    assert not {"utils", "helpers", "common", "manager"} & {module.stem for module in MODULES}


def test_serving_loads_nothing_that_only_migrating_needs():
    loaded = "import sys, app.cli, app.main; print({'alembic', 'mako'} & set(sys.modules))"

    assert subprocess.check_output([sys.executable, "-c", loaded], text=True, cwd=ROOT).strip() == "set()"


def test_every_module_says_who_lives_there():
    silent = [
        module
        for module in MODULES
        if module.name != "__init__.py" and not ast.get_docstring(ast.parse(module.read_text()))
    ]

    assert silent == []


def test_readme_documents_every_setting_and_no_other():
    table = (ROOT / "README.md").read_text().partition("## Settings")[2].partition("\n## ")[0]

    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == {name.upper() for name in Settings.model_fields}


def test_nothing_names_a_machine_or_a_registry():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    hosts = re.compile(
        r"files\.pythonhosted|pypi\.org/|registry\.npmjs|deb\.debian\.org|(?<![.\w])/(?:work|root|home)/"
    )
    names = [name for name in listed.stdout.splitlines() if name != "tests/test_architecture.py"]
    found = [
        name for name in names if (ROOT / name).exists() and hosts.search((ROOT / name).read_text(errors="replace"))
    ]

    assert found == []
