"""The sections and code blocks of the README and of `docs`, and an installed checkout to run them in."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.compat.replay import ROLLCALL, wait_until_ready

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
REMOVED_VARIABLES = (
    "DATABASE_URL",
    "SECRET",
    "EMAIL_TRANSPORT",
    "LOG_LEVEL",
    "LOG_STYLE",
    "PUBLIC_URL",
    "ADMIN_EMAIL",
    "STORAGE_LOCAL_ROOT",
)
"""Variables removed from the environment, because they would change what the pages describe."""


def page(name: str) -> str:
    """Return the text of README.md or of a page below `docs`."""
    return (README if name == README.name else DOCS / name).read_text()


def section(name: str, title: str) -> str:
    """Return the text below a heading of a page, up to the next heading of the same or a higher level."""
    match = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^\1 |^#{{1,2}} |\Z)", page(name), re.DOTALL | re.MULTILINE)
    assert match, f"{name} has no heading {title}"
    return match[2]


def snippets(language: str, text: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def create_checkout(folder: Path) -> dict[str, str]:
    """Create what the pages expect of an installed checkout, and return the environment for its commands."""
    programs = folder / ".venv/bin"
    programs.mkdir(parents=True)
    for name, code in {"rollcall": "from app.cli import main; main()", "python": None}.items():
        command = f"exec {sys.executable}" + (f" -c '{code}'" if code else "") + ' "$@"'
        (programs / name).write_text(f"#!/bin/sh\n{command}\n")
        (programs / name).chmod(0o755)
    return {name: value for name, value in os.environ.items() if name not in REMOVED_VARIABLES} | {
        "PYTHONPATH": str(ROOT),
        "DB_POOL_SIZE": "4",
    }


def run_shell(script: str, folder: Path, env: dict[str, str]) -> str:
    """Run a script that stops at the first failing command, and return its output."""
    process = subprocess.run(["sh", "-ec", script], check=False, cwd=folder, env=env, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    return process.stdout


@contextmanager
def running_server(folder: Path, env: dict[str, str], port: int, *, bootstrap: bool = True) -> Iterator[None]:
    """Bootstrap and serve, as `make run` does after installing, with the log in a file."""
    command = [*ROLLCALL, "quickstart", "--serve"] if bootstrap else [*ROLLCALL, "serve"]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            command, cwd=folder, env={**env, "PORT": str(port)}, stdout=subprocess.DEVNULL, stderr=log
        )
        try:
            wait_until_ready(port)
            yield
        finally:
            server.terminate()
            server.wait(20)
