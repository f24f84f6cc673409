"""README, as its tests read it: its sections, what stands in them to be run, and a checkout to run it in."""

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
SETTLED = (
    "DATABASE_URL",
    "SECRET",
    "EMAIL_TRANSPORT",
    "LOG_LEVEL",
    "LOG_STYLE",
    "PUBLIC_URL",
    "ADMIN_EMAIL",
    "STORAGE_LOCAL_ROOT",
)
"""What the environment mustn't say where a page is followed."""


def page(title: str, until: str = "\n## ") -> str:
    """What stands under a heading."""
    return README.read_text().partition(f"{title}\n")[2].partition(until)[0]


def snippets(language: str, text: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def checkout(folder: Path) -> dict[str, str]:
    """Makes a folder look like a checkout that is installed; returns the environment of whoever stands in it."""
    programs = folder / ".venv/bin"
    programs.mkdir(parents=True)
    for name, code in {"rollcall": "from app.cli import main; main()", "python": None}.items():
        ask = f"exec {sys.executable}" + (f" -c '{code}'" if code else "") + ' "$@"'
        (programs / name).write_text(f"#!/bin/sh\n{ask}\n")
        (programs / name).chmod(0o755)
    return {name: value for name, value in os.environ.items() if name not in SETTLED} | {
        "PYTHONPATH": str(ROOT),
        "DB_POOL_SIZE": "4",
    }


def paste(text: str, folder: Path, env: dict[str, str]) -> str:
    """What a shell prints that is given a text, and that stops at the first command that fails."""
    told = subprocess.run(["sh", "-ec", text], check=False, cwd=folder, env=env, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    return told.stdout


@contextmanager
def running(folder: Path, env: dict[str, str], port: int) -> Iterator[None]:
    """What `make run` does, but for installing, with its log in a file."""
    subprocess.run([*ROLLCALL, "bootstrap"], cwd=folder, env=env, check=True, stdout=subprocess.DEVNULL)
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([*ROLLCALL, "serve", "--port", str(port)], cwd=folder, env=env, stderr=log)
        try:
            wait_until_ready(port)
            yield
        finally:
            server.terminate()
            server.wait(20)
