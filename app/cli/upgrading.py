"""What `rollcall upgrade` does, and what it says of it: loaded only where that is done."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from app.cli.runner import run
from app.flows.import_export import Progress
from app.upgrade import repair, revert, upgrade
from app.upgrade.report import ONLY_A_LOOK, lines_lacking, report, report_back
from app.upgrade.revert_preview import Outcome, forecast
from app.upgrade.text_tables import number
from app.upgrade.upgrade_preview import survey

DONE = "Upgraded already: there are policies here. Nothing was changed."
MENDED = """\
Mended: roles, policies and permissions are Directus 11's again.
Now go back with `rollcall upgrade --revert --dry-run`, or stay: let Directus 11.17 do its newer migrations again, with
`npx directus database migrate:latest`, then run `rollcall bootstrap`."""


def run_upgrade(*, dry_run: bool, rows: int) -> str:
    """Makes a database of Directus 10 one of Directus 11, or only looks at it; what is said of that."""
    with _progress() as told:
        if dry_run:
            found = run(lambda database, _: survey(database, rows, told))
            return DONE if found is None else report(found)
        done = run(lambda database, _: upgrade.upgrade(database, told))
        return DONE if done is None else _upgraded(done)


def run_revert(*, dry_run: bool, accept_loss: bool, rows: int) -> str:
    """The way back, or a look at it: of each list so many `rows` at most."""
    with _progress() as told:
        if dry_run:
            return report_back(run(lambda database, _: forecast(database, rows, told)))
        done = run(lambda database, _: revert.revert(database, accept_loss=accept_loss, progress=told))
    return f"{_reverted(done)}\nNow start Directus 10.13 on it. `rollcall upgrade` would make policies again."


def run_repair(*, dry_run: bool) -> str:
    """Mends what Directus' own way back left halfway, or only looks at it."""
    with _progress() as told:
        if dry_run:
            return f"{run(lambda database, _: repair.what_to_mend(database))}\n{ONLY_A_LOOK}"
        run(lambda database, _: repair.repair(database, told))
    return MENDED


def _upgraded(done: upgrade.Upgraded) -> str:
    roles, permissions = number(done.roles, "role"), number(done.permissions, "permission")
    said = f"Upgraded: a policy was made of each of {roles}, and {permissions} belong to policies."
    if not done.lacking:
        return f"{said}\nNow run `rollcall bootstrap`."
    return (
        f"{said}\nThat was one of Directus 11's migrations. Let Directus 11.17 run the others, with `npx directus "
        "database migrate:latest`;\nthen run `rollcall bootstrap`. Until then Rollcall misses\n"
        f"{lines_lacking(done.lacking)}"
    )


def _reverted(done: Outcome) -> str:
    kept = f"{number(done.roles, 'role')}, with {number(done.kept, 'permission')} as before"
    said = f"Reverted: {kept}, {done.copied:,} copied and {done.merged:,} made of several."
    return "\n  ".join([f"{said}\nLost, or changed:", *map(str, done.losses)]) if done.losses else said


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
