"""`rollcall policies …`: exports, compares, applies and tests roles and policies as files."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from app.cli.runner import run
from app.core.caller import SYSTEM, Caller
from app.core.config import Settings
from app.core.errors import OperatorError
from app.core.terminal import printable
from app.db.database import Database
from app.policy.expectations import PolicyTest
from app.policy_files.applying import ApplyOutcome, DocumentWriter, Options
from app.policy_files.effects import effect_lines
from app.policy_files.expectation_reader import read_tests
from app.policy_files.policy_document import PolicyDocument
from app.policy_files.printing import lines, summary
from app.policy_files.server_tests import load_policy_tests
from app.policy_files.sources import load
from app.query.collection import Registry
from app.repositories.directory import Directory
from app.repositories.schema.registry_loader import load_schema
from app.repositories.services import Services

NO_CHANGES = "No changes: the database has these roles and policies already."
CHANGES_EXIT_CODE = 2

commands = typer.Typer()

FileOrFolder = Annotated[Path, typer.Argument(help="A YAML file, a folder of them, or a dump of directus-sync")]
Prune = Annotated[bool, typer.Option("--prune", help="Delete roles and policies that the files do not describe")]
AllowUnknown = Annotated[
    bool, typer.Option("--allow-unknown", help="Accept collections and fields that Rollcall does not serve")
]


@commands.command()
def export(
    file: Annotated[Path | None, typer.Argument(help="The file to write; default: standard output")] = None,
) -> None:
    """Write all roles, policies and permissions as YAML, without secrets and without those of single users."""
    from app.policy_files.document_export import export_rights  # noqa: PLC0415  # with PyYAML, which takes 2 MB of memory

    async def write(database: Database, settings: Settings) -> str:
        return await export_rights(database, (await _services(database, settings)).registry)

    text = run(write)
    if file is None:
        typer.echo(text, nl=False)
    else:
        file.write_text(text, encoding="utf-8", newline="\n")


@commands.command()
def plan(
    path: FileOrFolder,
    prune: Prune = False,
    allow_unknown: AllowUnknown = False,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit with status 2 if there are changes")
    ] = False,
) -> None:
    """Print what `apply` would change, for whom, and the tests that would fail; exit status 1 if one does."""
    outcome = _apply(path, Options(prune=prune, allow_unknown=allow_unknown, dry_run=True))
    typer.echo(f"Plan: {summary(outcome.changes)}." if outcome.changes else NO_CHANGES)
    for line in run(lambda database, settings: _effects(database, settings, outcome), warn=False):
        typer.echo(printable(line))
    _fail_if_tests_failed(outcome)
    if outcome.changes and detailed_exitcode:
        raise typer.Exit(CHANGES_EXIT_CODE)


@commands.command()
def apply(
    path: FileOrFolder,
    prune: Prune = False,
    allow_unknown: AllowUnknown = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything and change nothing")] = False,
    user: Annotated[
        str | None, typer.Option(help="Apply with the rights of the user with this email, as recorded in the activity")
    ] = None,
) -> None:
    """Make the roles and policies those of the files, in one transaction; a test that fails stops it."""
    options = Options(prune=prune, allow_unknown=allow_unknown, dry_run=dry_run)
    outcome = _apply(path, options, user=user)
    if not outcome.changes:
        typer.echo(NO_CHANGES)
    elif dry_run:
        typer.echo(f"Nothing was changed. Without --dry-run: {summary(outcome.changes)}.")
    else:
        typer.echo(f"Applied: {summary(outcome.changes)}.")
    _fail_if_tests_failed(outcome)


@commands.command("test")
def run_tests(
    path: Annotated[
        Path | None, typer.Argument(help="As of `apply`; default: the files of the setting POLICY_TESTS")
    ] = None,
    with_: Annotated[
        Path | None, typer.Option("--with", help="Test with the changes of these files instead of those of PATH")
    ] = None,
    current: Annotated[bool, typer.Option("--current", help="Test the database as it is")] = False,
) -> None:
    """Run the tests of the files as if they had been applied; exit status 1 if one fails. Nothing is changed."""

    async def evaluate(database: Database, settings: Settings) -> tuple[Sequence[PolicyTest], ApplyOutcome]:
        services = await _services(database, settings)
        document, tests = _load(_tests_path(path, settings), services.registry)
        changes = PolicyDocument() if current else document if with_ is None else _load(with_, services.registry)[0]
        writer = DocumentWriter(Directory(SYSTEM, services), Options(allow_unknown=True, dry_run=True))
        return tests, await writer.apply(changes, tests)

    tests, outcome = run(evaluate)
    if not tests:
        raise OperatorError("There are no tests.")
    _fail_if_tests_failed(outcome)
    typer.echo(f"{len(tests)} {'test' if len(tests) == 1 else 'tests'} passed.")


def _tests_path(path: Path | None, settings: Settings) -> Path:
    """Return the path of an argument or of the setting.

    Raises:
        OperatorError: There is neither.
    """
    if (tests := path or settings.policy_tests) is None:
        raise OperatorError("Name a file or a folder with tests, or set POLICY_TESTS.")
    return tests


def _apply(path: Path, options: Options, user: str | None = None) -> ApplyOutcome:
    """Apply the files, and print the changes and the warnings."""

    async def write(database: Database, settings: Settings) -> tuple[ApplyOutcome, Registry]:
        services = await _services(database, settings)
        document, tests = _load(path, services.registry)
        caller = SYSTEM if user is None else await _caller(user, services)
        directory = Directory(caller, replace(services, policy_tests=load_policy_tests(settings)))
        return await DocumentWriter(directory, options).apply(document, tests), services.registry

    outcome, registry = run(write)
    for line in lines(outcome.changes, registry):
        typer.echo(printable(line))
    for warning in outcome.warnings:
        typer.echo(f"Warning: {warning}", err=True)
    return outcome


async def _effects(database: Database, settings: Settings, outcome: ApplyOutcome) -> list[str]:
    """Return who would gain and lose what, as lines; none without changes."""
    if not outcome.changes:
        return []
    return ["", *await effect_lines(outcome.changes, Directory(SYSTEM, await _services(database, settings)))]


def _load(path: Path, registry: Registry) -> tuple[PolicyDocument, Sequence[PolicyTest]]:
    document = load(path)
    return document, read_tests(document.tests, registry)


async def _services(database: Database, settings: Settings) -> Services:
    services = Services.from_settings(database, settings)
    loaded = await load_schema(database)
    return services if loaded is None else services.with_registry(*loaded)


async def _caller(email: str, services: Services) -> Caller:
    user = await Directory(SYSTEM, services)["users"].get_user_by_email(email)
    if user is None:
        raise OperatorError(f"There is no user with the email address {email}.")
    return Caller(user=user["id"])


def _fail_if_tests_failed(outcome: ApplyOutcome) -> None:
    if outcome.failures:
        typer.echo(
            "\n".join(["Tests fail:", *(f"- {printable(str(failure))}" for failure in outcome.failures)]), err=True
        )
        raise typer.Exit(1)
