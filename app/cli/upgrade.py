"""`rollcall upgrade`: from Directus 10's roles to Directus 11's policies, and back."""

from typing import Annotated

import typer

ROWS = 50


def upgrade(
    back: Annotated[bool, typer.Option("--revert", help="Make a Directus 11 database one of Directus 10")] = False,
    whole: Annotated[bool, typer.Option("--mend", help="Mend what Directus' own way back left halfway")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would change, and change nothing")] = False,
    accept_loss: Annotated[bool, typer.Option("--accept-loss", help="Revert also where something is lost")] = False,
    rows: Annotated[int | None, typer.Option(min=1, help=f"Lines of a list that --dry-run prints, else {ROWS}")] = None,
) -> None:
    """Make a Directus 10 database one of Directus 11, on PostgreSQL: a policy for each role. Or the other way round."""
    _check(back=back, whole=whole, dry_run=dry_run, accept_loss=accept_loss, rows=rows)
    from app.cli import upgrading  # noqa: PLC0415  # no other command needs any of it

    if back:
        said = upgrading.run_revert(dry_run=dry_run, accept_loss=accept_loss, rows=rows or ROWS)
    else:
        said = (
            upgrading.run_repair(dry_run=dry_run)
            if whole
            else upgrading.run_upgrade(dry_run=dry_run, rows=rows or ROWS)
        )
    typer.echo(said)


def _check(*, back: bool, whole: bool, dry_run: bool, accept_loss: bool, rows: int | None) -> None:
    if back and whole:
        raise typer.BadParameter("--revert and --mend are two things: mend first, then revert.")
    if accept_loss and not back:
        raise typer.BadParameter("--accept-loss belongs to --revert: nothing else loses anything.")
    if accept_loss and dry_run:
        raise typer.BadParameter("--dry-run and --accept-loss are two things: look first, then revert.")
    if rows and (whole or not dry_run):
        raise typer.BadParameter("--rows belongs to the lists of --dry-run, of an upgrade or with --revert.")
