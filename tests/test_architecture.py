"""Rules of the code base that no linter knows."""

import ast
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "app").rglob("*.py"))

COMMITTING_NAMES = {"commit", "fetch_and_commit"}
COMMITTING_MODULES = {
    "app/db/database.py": "SQLAlchemy's transactions",
    "app/db/transaction.py": "how a write transaction commits on either driver",
    "app/db/traced_transaction.py": "the same, with a span for the last statement",
    "app/db/write_pool.py": "write transactions on the driver",
    "app/graphql/plans/mutations.py": "on SQLite a planned mutation commits together with its last statement",
}

PRIVATE_NAMES = {
    "app/db/transaction.py": {"aiosqlite"},
    "app/graphql/fields/mutations.py": {"strawberry-graphql"},
    "app/graphql/fields/queries.py": {"strawberry-graphql"},
}
"""The modules that use private names of other distributions, and which."""

LAYERS = "one per layer, each about the same subject"
SAME_CLASS_NAMES = {
    "Access": "Directus' table `directus_access`, and everything that a caller may do",
    "Settings": "Directus' table `directus_settings`, and the server's own settings",
}
SAME_MODULE_NAMES = {
    "access": LAYERS,
    "account": LAYERS,
    "api_tokens": "their format, their rows, the flow that manages them, and endpoints",
    "assets": LAYERS,
    "base": "what the other modules of a package build on",
    "cache": "the LRU cache itself, and the cache of query plans",
    "explanation": "of what a policy decides, and of what a user may do",
    "invitations": LAYERS,
    "metrics": "themselves, and the endpoint that serves them",
    "mutations": "root fields, and their plans",
    "passkeys": "their rows, root fields, and endpoints",
    "personal_data": LAYERS,
    "policies": LAYERS,
    "queries": "root fields, and their plans",
    "rights": "what extensions do on behalf of a caller, and what the pages of the Studio offer",
    "server": "the `serve` command, root fields, and endpoints",
    "session": "the flow that refreshes sessions, and its use by pages",
    "templating": "of mails, and of pages",
    "tokens": "the format of tokens, and the flow that issues them",
    "upgrade": "the `upgrade` command, and the upgrade",
    "uploads": LAYERS,
    "user_deletion": LAYERS,
    "users": "the `users` command, and the business rules of users",
}


def name_of(module: Path) -> str:
    return module.relative_to(ROOT).as_posix()


def docstrings(tree: ast.AST) -> set[ast.AST]:
    """The string constants that are statements of their own."""
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}


def calls(source: str) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            function = node.func
            names.add(function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", ""))
    return names


def commits(source: str) -> bool:
    """Whether code commits: by a method, also one that is only passed on, by SQL, or at the end of a `with` block."""
    tree = ast.parse(source)
    prose = docstrings(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                if name in COMMITTING_NAMES:
                    return True
            case ast.Constant(value=str(text)) if node not in prose:
                if re.search(r"(?<!ON )\bCOMMIT\b", text):
                    return True
            case ast.withitem(context_expr=ast.Call(func=ast.Attribute(attr="begin"))):
                return True
    return False


@pytest.mark.parametrize(
    "source",
    [
        "connection.commit()",
        "run(writer.commit)",
        "await writer.fetch_and_commit(statement, {}, read)",
        "async def commit(self): pass",
        "driver.execute('COMMIT')",
        "COMMANDS = ('BEGIN', 'COMMIT; BEGIN')",
        "with engine.begin() as connection: pass",
        "async def work():\n    async with engine.begin(): pass",
    ],
)
def test_code_that_commits_is_recognized(source):
    assert commits(source)


@pytest.mark.parametrize("source", ["'''Run COMMIT.'''", "writer.begin('BEGIN')", "x = 'ON COMMIT DROP'", "commit = 1"])
def test_code_that_commits_nothing_is_not(source):
    assert not commits(source)


def test_few_modules_commit():
    assert {name_of(module) for module in MODULES if commits(module.read_text())} == set(COMMITTING_MODULES)


def test_one_module_decides_which_rows_and_fields_a_read_covers():
    modules = [name_of(module) for module in MODULES if "ScopedRead" in calls(module.read_text())]

    assert modules == ["app/policy/resolver.py"]


def test_no_module_is_a_catch_all():
    assert not {"utils", "helpers", "common", "manager"} & {module.stem for module in MODULES}


def test_modules_of_one_name_have_a_reason():
    by_name = defaultdict(list)
    for module in MODULES:
        if module.name != "__init__.py":
            by_name[module.stem].append(name_of(module))

    assert {name: found for name, found in by_name.items() if len(found) > 1}.keys() == SAME_MODULE_NAMES.keys()


def test_classes_of_one_name_have_a_reason():
    by_name = defaultdict(list)
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.ClassDef):
                by_name[node.name].append(name_of(module))

    assert {name: found for name, found in by_name.items() if len(found) > 1}.keys() == SAME_CLASS_NAMES.keys()


def requirements() -> dict[str, Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {each.name: each for each in map(Requirement, project["dependencies"])}


def test_distributions_whose_private_names_are_used_have_an_upper_bound():
    known = requirements()
    capped = {name for name, each in known.items() if any(part.operator == "<" for part in each.specifier)}

    assert {name_of(module) for module in MODULES if "SLF001" in module.read_text()} == set(PRIVATE_NAMES)
    assert set().union(*PRIVATE_NAMES.values()) <= capped


def locked_versions(name: str) -> dict[str, set[str]]:
    versions: dict[str, set[str]] = {}
    for package, version in re.findall(r"^([\w.-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE):
        versions.setdefault(package, set()).add(version)
    return versions


def test_the_locked_versions_are_among_those_required():
    locked = {name: version for name, (version,) in locked_versions("requirements.lock").items()}

    assert [each for name, each in requirements().items() if locked[name] not in each.specifier] == []


def test_the_tests_and_the_documentation_lock_the_versions_that_running_locks():
    running = locked_versions("requirements.lock")
    others = [locked_versions(f"requirements-{name}.lock") for name in ("dev", "docs")]

    assert [name for other in others for name in other.keys() & running if other[name] != running[name]] == []
    assert not {"pytest", "mypy", "mkdocs"} & running.keys()


def test_serving_loads_nothing_that_only_migrations_need():
    loaded = "import sys, app.cli, app.main; print({'alembic', 'mako'} & set(sys.modules))"

    assert subprocess.check_output([sys.executable, "-c", loaded], text=True, cwd=ROOT).strip() == "set()"


def test_every_module_has_a_docstring():
    undocumented = [
        module
        for module in MODULES
        if module.name != "__init__.py" and not ast.get_docstring(ast.parse(module.read_text()))
    ]

    assert undocumented == []


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
    files = [ROOT / name for name in listed.stdout.splitlines() if name != "tests/test_architecture.py"]
    offenders = [name_of(file) for file in files if file.exists() and hosts.search(file.read_text(errors="replace"))]

    assert offenders == []
