"""`rollcall users delete`: deletes a user after saying what refers to it."""

from collections.abc import Iterable
from typing import Annotated

import typer

from app.cli.confirmation import confirm
from app.cli.system_directory import run_with_directory, user_id
from app.flows.user_deletion import DeletionOptions, DeletionReport, delete_users
from app.repositories.directory import Directory
from app.repositories.references.user_references import UserReference

DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would happen, without changing it")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation")]
ACTIONS = {
    "cascade": "deleted",
    "set_null": "set to null",
    "set_default": "set to the default",
    "blocked": "keep the user from being deleted",
    "reassigned": "moved",
    "kept": "kept",
}
"""What happens to rows, in words."""


def delete(
    email: Annotated[str, typer.Argument(help="The user's email address")],
    reassign_to: Annotated[
        str | None, typer.Option(help="The email address of the user to which what refers to this one is moved")
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Delete a user, after saying what refers to the user and what happens to it."""
    if dry_run or not yes:
        print_references(run_with_directory(lambda directory: _delete(directory, email, reassign_to, dry_run=True)))
    if dry_run:
        return
    if not yes:
        confirm("Add --yes to delete the user.")
    run_with_directory(lambda directory: _delete(directory, email, reassign_to, dry_run=False))
    typer.echo(f"Deleted {email}.")


def print_references(report: DeletionReport) -> None:
    """Print one line for each reference."""
    for line in reference_lines(report.references):
        typer.echo(line)
    if not report.references:
        typer.echo("No row refers to the user.")


def reference_lines(references: Iterable[UserReference]) -> Iterable[str]:
    """Yield a line for each reference: table and column, number of rows, and what happens to them."""
    for reference in references:
        yield f"{reference.table}.{reference.column}\t{reference.count}\t{ACTIONS[reference.action]}"


async def _delete(directory: Directory, email: str, reassign_to: str | None, *, dry_run: bool) -> DeletionReport:
    target = None if reassign_to is None else await user_id(directory, reassign_to)
    options = DeletionOptions(reassign_to=target, dry_run=dry_run)
    return await delete_users(directory, [await user_id(directory, email)], options)
