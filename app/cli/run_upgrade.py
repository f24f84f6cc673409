"""Runs `rollcall upgrade` and formats its result; a module of its own, so that only this command loads it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBars

from app.cli.runner import run
from app.flows.import_writes import Progress
from app.upgrade import repair, revert, upgrade
from app.upgrade.report import (
    DRY_RUN_MESSAGE,
    format_missing_columns,
    format_revert_preview,
    format_upgrade_preview,
)
from app.upgrade.revert_preview import Outcome, preview_revert
from app.upgrade.text_tables import pluralize
from app.upgrade.upgrade_preview import preview_upgrade

ALREADY_UPGRADED_MESSAGE = "The database is upgraded already: it has policies. Nothing was changed."
REPAIRED_MESSAGE = """\
Repaired: roles, policies and permissions are those of Directus 11 again.
To revert to Directus 10, run `rollcall upgrade --revert --dry-run`. To stay on Directus 11, let Directus 11.17 run its
newer migrations again with `npx directus database migrate:latest`, then run `rollcall bootstrap`."""


def run_upgrade(*, dry_run: bool, rows: int) -> str:
    """Upgrade a Directus 10 database, or preview that with at most `rows` lines of each list; return what to print."""
    with _progress_bars() as progress:
        if dry_run:
            preview = run(lambda database, _: preview_upgrade(database, rows, progress))
            return ALREADY_UPGRADED_MESSAGE if preview is None else format_upgrade_preview(preview)
        result = run(lambda database, _: upgrade.upgrade(database, progress))
        return ALREADY_UPGRADED_MESSAGE if result is None else _format_upgrade(result)


def run_revert(*, dry_run: bool, accept_loss: bool, rows: int) -> str:
    """Revert to Directus 10, or preview that with at most `rows` lines of each list; return what to print."""
    with _progress_bars() as progress:
        if dry_run:
            return format_revert_preview(run(lambda database, _: preview_revert(database, rows, progress)))
        outcome = run(lambda database, _: revert.revert(database, accept_loss=accept_loss, progress=progress))
    return f"{_format_revert(outcome)}\nNow start Directus 10.13 on it. `rollcall upgrade` would create policies again."


def run_repair(*, dry_run: bool) -> str:
    """Repair what Directus' own revert left unfinished, or describe it; return what to print."""
    with _progress_bars() as progress:
        if dry_run:
            return f"{run(lambda database, _: repair.describe_damage(database))}\n{DRY_RUN_MESSAGE}"
        run(lambda database, _: repair.repair(database, progress))
    return REPAIRED_MESSAGE


def _format_upgrade(result: upgrade.UpgradeResult) -> str:
    roles, permissions = pluralize(result.roles, "role"), pluralize(result.permissions, "permission")
    summary = f"Upgraded: created a policy for each of {roles}, and moved {permissions} to policies."
    if not result.missing_columns:
        return f"{summary}\nNow run `rollcall bootstrap`."
    return (
        f"{summary}\nThis was one of Directus 11's migrations. Let Directus 11.17 run the others with `npx directus "
        "database migrate:latest`,\nthen run `rollcall bootstrap`. Until then Rollcall lacks these columns:\n"
        f"{format_missing_columns(result.missing_columns)}"
    )


def _format_revert(outcome: Outcome) -> str:
    unchanged = f"{pluralize(outcome.roles, 'role')}, with {pluralize(outcome.unchanged, 'permission')} unchanged"
    summary = f"Reverted: {unchanged}, {outcome.copied:,} copied and {outcome.merged:,} merged from several."
    return "\n  ".join([f"{summary}\nLost or changed:", *map(str, outcome.losses)]) if outcome.losses else summary


@contextmanager
def _progress_bars() -> Iterator[Progress]:
    """Show a progress bar for each step if standard error is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with ProgressBars(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bars:
        tasks: dict[str, TaskID] = {}

        def update(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bars.add_task(step, total=total)
            bars.update(tasks[step], completed=done, total=total)

        yield update
