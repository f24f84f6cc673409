"""`rollcall upgrade`: from Directus 10's roles to Directus 11's policies, and back."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from app.cli.running import run
from app.flows.transfer import Progress
from app.upgrade.down import revert
from app.upgrade.forecast import Outcome, forecast
from app.upgrade.mend import mend, what_to_mend
from app.upgrade.report import ONLY_A_LOOK, lines_lacking, report, report_back
from app.upgrade.survey import survey
from app.upgrade.tables import number
from app.upgrade.up import Upgraded
from app.upgrade.up import upgrade as run_upgrade

ROWS = 50
DONE = "Upgraded already: there are policies here. Nothing was changed."
MENDED = """\
Mended: roles, policies and permissions are Directus 11's again.
Now go back with `rollcall upgrade --revert --dry-run`, or stay: let Directus 11.17 do its newer migrations again, with
`npx directus database migrate:latest`, then run `rollcall bootstrap`."""


def upgrade(
    back: Annotated[bool, typer.Option("--revert", help="Make a Directus 11 database one of Directus 10")] = False,
    whole: Annotated[bool, typer.Option("--mend", help="Mend what Directus' own way back left halfway")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would change, and change nothing")] = False,
    accept_loss: Annotated[bool, typer.Option("--accept-loss", help="Revert also where something is lost")] = False,
    rows: Annotated[int | None, typer.Option(min=1, help=f"Lines of a list that --dry-run prints, else {ROWS}")] = None,
) -> None:
    """Make a Directus 10 database one of Directus 11, on PostgreSQL: a policy for each role. Or the other way round."""
    _check(back=back, whole=whole, dry_run=dry_run, accept_loss=accept_loss, rows=rows)
    with _progress() as told:
        if back:
            said = _look_back(rows or ROWS, told) if dry_run else _go_back(accept_loss, told)
        elif whole:
            said = _look_at_what_broke() if dry_run else _mend(told)
        else:
            said = _look(rows or ROWS, told) if dry_run else _upgrade(told)
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


def _look(rows: int, told: Progress) -> str:
    found = run(lambda database, _: survey(database, rows, told))
    return DONE if found is None else report(found)


def _upgrade(told: Progress) -> str:
    done = run(lambda database, _: run_upgrade(database, told))
    return DONE if done is None else _upgraded(done)


def _upgraded(done: Upgraded) -> str:
    roles, permissions = number(done.roles, "role"), number(done.permissions, "permission")
    said = f"Upgraded: a policy was made of each of {roles}, and {permissions} belong to policies."
    if not done.lacking:
        return f"{said}\nNow run `rollcall bootstrap`."
    return (
        f"{said}\nThat was one of Directus 11's migrations. Let Directus 11.17 run the others, with `npx directus "
        "database migrate:latest`;\nthen run `rollcall bootstrap`. Until then Rollcall misses\n"
        f"{lines_lacking(done.lacking)}"
    )


def _look_back(rows: int, told: Progress) -> str:
    return report_back(run(lambda database, _: forecast(database, rows, told)))


def _go_back(accept_loss: bool, told: Progress) -> str:
    done = run(lambda database, _: revert(database, accept_loss=accept_loss, progress=told))
    return f"{_reverted(done)}\nNow start Directus 10.13 on it. `rollcall upgrade` would make policies again."


def _reverted(done: Outcome) -> str:
    kept = f"{number(done.roles, 'role')}, with {number(done.kept, 'permission')} as before"
    said = f"Reverted: {kept}, {done.copied:,} copied and {done.merged:,} made of several."
    return "\n  ".join([f"{said}\nLost, or changed:", *map(str, done.losses)]) if done.losses else said


def _look_at_what_broke() -> str:
    return f"{run(lambda database, _: what_to_mend(database))}\n{ONLY_A_LOOK}"


def _mend(told: Progress) -> str:
    run(lambda database, _: mend(database, told))
    return MENDED


@contextmanager
def _progress() -> Iterator[Progress]:
    """Shows a bar for each step, on a terminal only."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bars:
        known = {}

        def told(step: str, done: int, of: int) -> None:
            if step not in known:
                known[step] = bars.add_task(step, total=of)
            bars.update(known[step], completed=done, total=of)

        yield told
