"""`rollcall users export-personal-data` and `erase`: what is stored about a person."""

import os
import sys
from pathlib import Path
from typing import Annotated

import orjson
import typer

from app.cli.confirmation import confirm
from app.cli.system_directory import run_with_directory, user_id
from app.cli.user_deletion import DryRun, Yes, reference_lines
from app.core.errors import OperatorError
from app.flows.personal_data import erase_user, export_personal_data
from app.repositories.commands.user_erasures import EraseUser
from app.repositories.directory import Directory

Email = Annotated[str, typer.Argument(help="The user's email address")]


def export(
    email: Email,
    output: Annotated[Path | None, typer.Option(help="A new file, which only its owner can read")] = None,
) -> None:
    """Print everything stored about a user as JSON, without secrets."""

    async def read(directory: Directory) -> bytes:
        data = await export_personal_data(directory.services, await user_id(directory, email))
        return orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

    content = run_with_directory(read)
    if output is None:
        sys.stdout.write(content.decode())
        return
    try:
        handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise OperatorError(f"{output} exists already. Choose another file.") from None
    with os.fdopen(handle, "wb") as file:
        file.write(content)


def erase(email: Email, dry_run: DryRun = False, yes: Yes = False) -> None:
    """Delete a user and whatever identifies the person. If other rows refer to the user, it is anonymized instead."""
    if dry_run or not yes:
        _print_erasure(run_with_directory(lambda directory: _erase(directory, email, dry_run=True)), "would be")
    if dry_run:
        return
    if not yes:
        typer.echo("This cannot be undone.")
        confirm("Add --yes to erase the user.")
    _print_erasure(run_with_directory(lambda directory: _erase(directory, email, dry_run=False)), "was")


async def _erase(directory: Directory, email: str, *, dry_run: bool) -> EraseUser:
    return await erase_user(directory, await user_id(directory, email), dry_run=dry_run)


def _print_erasure(erasure: EraseUser, verb: str) -> None:
    """Print what happens to the rows that refer to the user, and to those that hold what identifies the person."""
    for line in reference_lines(erasure.references):
        typer.echo(line)
    for rows in erasure.erased:
        typer.echo(f"{rows.table}\t{rows.count}\t{rows.action}")
    fate = "anonymized, because rows must keep referring to it" if erasure.anonymized else "deleted"
    typer.echo(f"User {erasure.user} {verb} {fate}.")
