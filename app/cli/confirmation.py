"""The question before a command does what cannot be undone."""

import sys

import typer

from app.core.errors import OperatorError


def confirm(alternative: str) -> None:
    """Ask on a terminal whether to continue.

    Raises:
        OperatorError: The answer is no, or standard input is no terminal; then the message names the alternative.
    """
    if not sys.stdin.isatty():
        raise OperatorError(f"Nothing was changed: this needs a confirmation. {alternative}")
    if not typer.confirm("Continue?"):
        raise OperatorError("Nothing was changed.")
