"""`rollcall access …`: explains what users may do."""

from typing import Annotated

import typer

from app.cli.runner import run
from app.core.caller import SYSTEM
from app.core.config import Settings
from app.core.errors import OperatorError
from app.db.database import Database
from app.flows.access_explanation import AccessExplainer, AccessQuestion
from app.policy.explanation import Explanation
from app.repositories.directory import Directory
from app.repositories.schema.registry_loader import load_schema
from app.repositories.services import Services

commands = typer.Typer(no_args_is_help=True, help="Explain what users may do.")


@commands.callback()
def access() -> None:
    """Explain what users may do."""


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
        services = Services.from_settings(database, settings)
        if (loaded := await load_schema(database)) is not None:
            services = services.with_registry(*loaded)
        directory = Directory(SYSTEM, services)
        user = await directory["users"].get_user_by_email(email)
        if user is None:
            raise OperatorError(f"There is no user with the email address {email}.")
        return await AccessExplainer(directory).explain(
            AccessQuestion(collection, action, user=user["id"], item=item, field=field, ip=ip)
        )

    explanation = run(answer)
    typer.echo("Allowed." if explanation.allowed else "Not allowed.")
    for reason in explanation.reasons:
        typer.echo(f"- {reason}")
    if explanation.enough:
        typer.echo("Each of these changes would allow it:")
    for change in explanation.enough:
        typer.echo(f"- {change}")
    if not explanation.allowed:
        raise typer.Exit(1)
