"""The wheel, the container's files, the unit and the CI workflow: what they run exists and works."""

import re
import shlex
import subprocess
import sys
import zipfile

import httpx
import pytest
import yaml

from app import __version__
from app.core.config import Settings
from tests.compat.replay import free_port, temporary_database, wait_until_ready
from tests.conftest import BACKENDS
from tests.readme.pages import DOCS, ROOT, section, snippets

DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
UNIT = (DOCS / "operations/rollcall.service").read_text()
COMMAND = [sys.executable, "-c", "from app.cli import main; main()"]


@pytest.fixture(scope="session")
def installed_wheel(tmp_path_factory):
    """The content of the wheel, unpacked as pip would: what is not in it cannot be imported from there."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, ROOT],
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_wheel_bootstraps_and_serves_in_an_empty_folder(installed_wheel, backend, tmp_path):
    commands = snippets("sh", section("operations/deploy.md", "From a wheel"))[0]
    assert re.findall(r"^venv/bin/rollcall (\w+)$", commands, re.MULTILINE) == ["bootstrap", "serve"]
    port = free_port()
    with temporary_database(backend, str(tmp_path)) as url:
        env = {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(installed_wheel),
            "DATABASE_URL": url,
            "SECRET": "x" * 32,
            "ADMIN_TOKEN": "only-for-this-test",
            "DB_POOL_SIZE": "2",
        }
        subprocess.run([*COMMAND, "bootstrap"], check=True, cwd=tmp_path, env=env, capture_output=True)
        with (tmp_path / "log").open("w") as log:
            server = subprocess.Popen([*COMMAND, "serve", "--port", str(port)], cwd=tmp_path, env=env, stderr=log)
        try:
            wait_until_ready(port)
            response = httpx.post(
                f"http://127.0.0.1:{port}/graphql/system",
                json={"query": "{ users { email } }"},
                headers={"authorization": "Bearer only-for-this-test"},
            )
        finally:
            server.terminate()
            server.wait(20)

    assert response.json() == {"data": {"users": [{"email": "admin@example.com"}]}}


@pytest.mark.slow
def test_the_wheel_has_the_version_types_and_migrations(installed_wheel):
    names = {path.relative_to(installed_wheel).parts[0] for path in installed_wheel.iterdir()}

    assert names == {"app", f"rollcall-{__version__}.dist-info"}
    assert (installed_wheel / "app/py.typed").is_file()
    assert (installed_wheel / "app/migrations/env.py").is_file()
    assert list(installed_wheel.glob("app/mail/templates/*.html"))


def test_the_container_runs_documented_commands(tmp_path):
    """The command of the image, run as printed; there is no container engine in the tests."""
    copied = set(re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE))
    (command,) = re.findall(r'^CMD \["sh", "-c", "(.+)"\]$', DOCKERFILE, re.MULTILINE)
    variables = re.findall(r"(\w+)=\$\(", snippets("sh", section("operations/deploy.md", "With containers"))[0])

    assert all((ROOT / name).exists() for names in copied for name in names.split())
    assert command == "rollcall bootstrap && exec rollcall serve"
    assert re.search(r"^USER rollcall$", DOCKERFILE, re.MULTILINE)
    assert set(variables) == set(re.findall(r"\$\{(\w+):\?\}", (ROOT / "compose.yaml").read_text()))


def test_compose_and_the_unit_use_settings_and_commands_that_exist():
    environment = COMPOSE["services"]["rollcall"]["environment"]
    commands = [shlex.split(line)[1] for line in re.findall(r"^ExecStart(?:Pre)?=(.+)$", UNIT, re.MULTILINE)]

    assert set(map(str.lower, environment)) <= set(Settings.model_fields)
    assert set(COMPOSE["services"]["rollcall"]["depends_on"]) < set(COMPOSE["services"])
    assert commands == ["bootstrap", "serve"]


def test_the_workflow_runs_the_targets_of_the_makefile():
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    steps = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert {step.removeprefix("make ") for step in steps} <= targets
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
