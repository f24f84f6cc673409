"""`rollcall upgrade`: from Directus 10's roles to Directus 11's policies."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from app.cli.running import run
from app.upgrade.report import lines_lacking, report
from app.upgrade.survey import survey
from app.upgrade.up import Told, Upgraded
from app.upgrade.up import upgrade as run_upgrade

DONE = "Upgraded already: there are policies here. Nothing was changed."


def upgrade(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would change, and change nothing")] = False,
    rows: Annotated[int, typer.Option(min=1, help="Lines of each list that --dry-run prints at most")] = 50,
) -> None:
    """Make a Directus 10 database one of Directus 11, on PostgreSQL: a policy for each role."""
    if dry_run:
        _look(rows)
    else:
        _upgrade()


def _look(rows: int) -> None:
    with _progress() as told:
        found = run(lambda database, _: survey(database, rows, told))
    typer.echo(DONE if found is None else report(found))


def _upgrade() -> None:
    with _progress() as told:
        done = run(lambda database, _: run_upgrade(database, told))
    typer.echo(DONE if done is None else _told(done))


def _told(done: Upgraded) -> str:
    said = (
        f"Upgraded: {done.roles:,} roles have a policy each, and {done.permissions:,} permissions belong to policies."
    )
    if not done.lacking:
        return f"{said}\nNow run `rollcall bootstrap`."
    return (
        f"{said}\nThat was one of Directus 11's migrations. Let Directus 11.17 run the others, with `npx directus "
        "database migrate:latest`;\nthen run `rollcall bootstrap`. Until then Rollcall misses\n"
        f"{lines_lacking(done.lacking)}"
    )


@contextmanager
def _progress() -> Iterator[Told]:
    """Shows a bar for each step, on a terminal only."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bars:
        known = {}

        def told(step: str, done: int, of: int) -> None:
            if step not in known:
                known[step] = bars.add_task(step, total=of)
            bars.update(known[step], completed=done, total=of)

        yield told
