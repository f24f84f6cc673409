"""What the browser tests need. Without Playwright and Chromium they are not collected, and the summary says so.

`python -m tests.browser.requirements` prints what is missing.
"""

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.browser import axe_script
from tests.browser.openid_provider import installation

DIRECTORY = Path(__file__).parent
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
"""Path of the browser."""


def missing_requirements() -> list[str]:
    """Return what has to be installed before any test can run."""
    missing = []
    if not find_spec("playwright"):
        missing.append("Playwright is not installed; `make test-browser` installs it.")
    if not CHROMIUM or not Path(CHROMIUM).exists():
        missing.append("Chromium is not installed; install the package `chromium`, or set CHROMIUM to its path.")
    return missing


def is_axe_missing() -> bool:
    """Return whether the tests of accessibility are skipped."""
    return not axe_script.SCRIPT.exists()


def are_requested(arguments: list[str]) -> bool:
    """Return whether pytest was called for this directory or a module in it: they have a target of their own."""
    paths = [Path(argument.partition("::")[0]).resolve() for argument in arguments]
    return any(path == DIRECTORY or DIRECTORY in path.parents for path in paths)


def report(terminal: pytest.TerminalReporter) -> None:
    """Write which tests did not run."""
    arguments = terminal.config.args
    if not are_requested(arguments):
        if any(Path(argument).resolve() in DIRECTORY.parents for argument in arguments):
            terminal.line("The browser tests did not run; `make test-browser` runs them.")
    elif missing := missing_requirements():
        terminal.section("Browser tests did not run", sep="!", red=True)
        terminal.line(" ".join(missing))
    else:
        _report_skipped(terminal)


def _report_skipped(terminal: pytest.TerminalReporter) -> None:
    """Write which tests were skipped because a package of npm is missing."""
    if is_axe_missing():
        terminal.section("Tests of accessibility did not run", sep="!", red=True)
        terminal.line("axe-core is missing; `make test-browser` fetches it if npm is installed.")
    if not installation.is_installed():
        terminal.section("Tests of single sign-on did not run", sep="!", red=True)
        terminal.line("oidc-provider is missing; `make test-browser` installs it if npm is installed.")


if __name__ == "__main__":
    if missing := missing_requirements():
        sys.exit(f"The browser tests did not run. {' '.join(missing)}")
