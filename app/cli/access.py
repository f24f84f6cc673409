"""`rollcall access …`: explains what users may do, finds who may do something, and what changes would do to it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.runner import run
from app.core.caller import SYSTEM
from app.core.config import Settings
from app.core.errors import OperatorError
from app.core.terminal import printable
from app.db.database import Database
from app.flows.access.explanation import AccessExplainer, AccessQuestion
from app.flows.access.simulated_changes import parse_changes
from app.flows.access.simulation import AccessSimulation
from app.flows.access.simulation_report import SimulationReport
from app.flows.access.simulation_text import report_lines
from app.flows.access.who_can import DEFAULT_LIMIT, AccessHolders, Holders, HoldersQuestion, holders_lines
from app.policy.explanation import Explanation
from app.policy_files.sources import read_bytes
from app.policy_files.yaml_reader import read_yaml
from app.repositories.directory import Directory
from app.repositories.schema.registry_loader import load_schema
from app.repositories.services import Services

commands = typer.Typer()


@commands.command()
def explain(
    email: Annotated[str, typer.Argument(help="The user's email address")],
    action: Annotated[str, typer.Argument(help="create, read, update or delete")],
    collection: Annotated[str, typer.Argument(help="The collection, for example `users`")],
    item: Annotated[str | None, typer.Argument(help="The key of an item")] = None,
    field: Annotated[str | None, typer.Option(help="A field of the collection")] = None,
    ip: Annotated[str | None, typer.Option(help="The address that the user's requests come from")] = None,
) -> None:
    """Print whether a user may do something, why, and what would have to change. The exit status is 1 if not."""

    async def answer(database: Database, settings: Settings) -> Explanation:
        directory = await _directory(database, settings)
        user = await directory["users"].get_user_by_email(email)
        if user is None:
            raise OperatorError(f"There is no user with the email address {email}.")
        return await AccessExplainer(directory).explain(
            AccessQuestion(collection, action, user=user["id"], item=item, field=field, ip=ip)
        )

    explanation = run(answer)
    typer.echo("Allowed." if explanation.allowed else "Not allowed.")
    for reason in explanation.reasons:
        typer.echo(f"- {printable(reason)}")
    if explanation.enough:
        typer.echo("Each of these changes would allow it:")
    for change in explanation.enough:
        typer.echo(f"- {printable(change)}")
    if not explanation.allowed:
        raise typer.Exit(1)


@commands.command("who-can")
def who_can(
    action: Annotated[str, typer.Argument(help="create, read, update or delete")],
    collection: Annotated[str, typer.Argument(help="The collection, for example `users`")],
    item: Annotated[str | None, typer.Argument(help="The key of an item")] = None,
    field: Annotated[str | None, typer.Option(help="A field of the collection")] = None,
    ip: Annotated[str | None, typer.Option(help="The address that requests come from; default: any")] = None,
    limit: Annotated[int, typer.Option(help="Maximum number of users")] = DEFAULT_LIMIT,
    page: Annotated[int, typer.Option(help="The page of users, from 1")] = 1,
) -> None:
    """Print who may do something: everyone, roles and users."""

    async def find(database: Database, settings: Settings) -> Holders:
        question = HoldersQuestion(collection, action, item=item, field=field, ip=ip, limit=limit, page=page)
        return await AccessHolders(await _directory(database, settings)).find(question)

    for line in holders_lines(run(find)):
        typer.echo(printable(line))


@commands.command()
def diff(
    file: Annotated[Path, typer.Argument(help="A JSON or YAML file with a list of changes")],
    ip: Annotated[str | None, typer.Option(help="The address that requests come from; default: any")] = None,
) -> None:
    """Print who would gain and lose what if changes were written, and write nothing.

    The exit status is 1 if one of them would be refused.
    """
    changes = parse_changes(_read_changes(file))

    async def simulate(database: Database, settings: Settings) -> SimulationReport:
        return await AccessSimulation(await _directory(database, settings)).run(changes, ip)

    report = run(simulate)
    for line in report_lines(report):
        typer.echo(printable(line))
    if report.is_refused:
        raise typer.Exit(1)


async def _directory(database: Database, settings: Settings) -> Directory:
    """Return the directory of trusted code, with the custom fields of the database."""
    services = Services.from_settings(database, settings)
    if (loaded := await load_schema(database)) is not None:
        services = services.with_registry(*loaded)
    return Directory(SYSTEM, services)


def _read_changes(file: Path) -> Any:
    """Return the list of changes in a file, which may be in an object as `changes`.

    Raises:
        OperatorError: The file cannot be read, is too large, or is neither JSON nor YAML.
    """
    content = read_yaml(read_bytes(file), str(file)).plain()  # of which JSON is a part
    return content.get("changes") if isinstance(content, dict) else content
