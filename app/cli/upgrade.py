"""`rollcall upgrade`: migrates Directus 10's roles to Directus 11's policies, and back."""

from typing import Annotated

import typer

DEFAULT_ROWS = 50


def upgrade(
    revert: Annotated[
        bool, typer.Option("--revert", help="Turn a Directus 11 database into one of Directus 10")
    ] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Repair what Directus' own revert left unfinished")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would change, without changing it")] = False,
    accept_loss: Annotated[bool, typer.Option("--accept-loss", help="Revert even if something is lost")] = False,
    rows: Annotated[
        int | None, typer.Option(min=1, help=f"Lines of each list that --dry-run prints; default: {DEFAULT_ROWS}")
    ] = None,
) -> None:
    """Upgrade a Directus 10 database on PostgreSQL to Directus 11, with one policy per role, or revert that."""
    _check_options(revert=revert, repair=repair, dry_run=dry_run, accept_loss=accept_loss, rows=rows)
    from app.cli import run_upgrade  # noqa: PLC0415  # no other command needs any of it

    if revert:
        result = run_upgrade.run_revert(dry_run=dry_run, accept_loss=accept_loss, rows=rows or DEFAULT_ROWS)
    elif repair:
        result = run_upgrade.run_repair(dry_run=dry_run)
    else:
        result = run_upgrade.run_upgrade(dry_run=dry_run, rows=rows or DEFAULT_ROWS)
    typer.echo(result)


def _check_options(*, revert: bool, repair: bool, dry_run: bool, accept_loss: bool, rows: int | None) -> None:
    if revert and repair:
        raise typer.BadParameter("--revert and --repair can't be combined: repair first, then revert.")
    if accept_loss and not revert:
        raise typer.BadParameter("--accept-loss requires --revert: nothing else loses data.")
    if accept_loss and dry_run:
        raise typer.BadParameter("--dry-run and --accept-loss can't be combined: preview first, then revert.")
    if rows and (repair or not dry_run):
        raise typer.BadParameter("--rows requires --dry-run, and can't be combined with --repair.")
