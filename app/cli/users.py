"""`rollcall users …`: manages users when no admin can sign in."""

import sys
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from app.cli import api_tokens, personal_data, user_deletion
from app.cli.runner import run
from app.core.config import Settings, load_settings
from app.core.terminal import printable
from app.db.database import Database
from app.flows.user_admin import UserAdmin
from app.passwords.generation import generate_password
from app.repositories.services import Services

commands = typer.Typer()

commands.command()(user_deletion.delete)
commands.command("export-personal-data")(personal_data.export)
commands.command()(personal_data.erase)
commands.add_typer(api_tokens.commands, name="tokens")

Email = Annotated[str, typer.Argument(help="The user's email address")]
GeneratePassword = Annotated[bool, typer.Option("--generate-password", help="Generate a password and print it once")]


@commands.command("list")
def list_() -> None:
    """Print every user's email address, status and role."""

    async def print_users(user_admin: UserAdmin) -> None:
        async for user in user_admin.all():
            typer.echo("\t".join(printable(user[name] or "-") for name in ("email", "status", "role")))

    _run_with_user_admin(print_users)


@commands.command()
def create(
    email: Email,
    role: Annotated[str | None, typer.Option(help="The name of the user's role")] = None,
    admin: Annotated[bool, typer.Option("--admin", help="Make the user an admin")] = False,
    generate: GeneratePassword = False,
) -> None:
    """Create an active user. The password is prompted for, or read from standard input."""
    password = _password(generate=generate)
    _run_with_user_admin(lambda user_admin: user_admin.create(email, password, role, admin=admin))
    _print_password(password, generated=generate)


@commands.command()
def set_password(email: Email, generate: GeneratePassword = False) -> None:
    """Change a user's password and end the user's sessions."""
    password = _password(generate=generate)
    _run_with_user_admin(lambda user_admin: user_admin.set_password(email, password))
    _print_password(password, generated=generate)


@commands.command()
def disable_tfa(email: Email) -> None:
    """Disable a user's two-factor authentication."""
    _run_with_user_admin(lambda user_admin: user_admin.disable_tfa(email))


@commands.command()
def disable_passkeys(email: Email) -> None:
    """Revoke all passkeys of a user."""
    _run_with_user_admin(lambda user_admin: user_admin.disable_passkeys(email))


@commands.command()
def unlock() -> None:
    """End every login lockout and delete the counts of failed logins."""
    _run_with_user_admin(lambda user_admin: user_admin.unlock())
    typer.echo("All login lockouts were ended.")


@commands.command()
def make_admin(email: Email) -> None:
    """Make a user an active admin."""
    _run_with_user_admin(lambda user_admin: user_admin.make_admin(email))


@commands.command()
def suspend(email: Email) -> None:
    """Suspend a user and end the user's sessions."""
    _run_with_user_admin(lambda user_admin: user_admin.suspend(email))


def _run_with_user_admin(work: Callable[[UserAdmin], Awaitable[None]]) -> None:
    async def run_work(database: Database, settings: Settings) -> None:
        await work(UserAdmin(Services.from_settings(database, settings)))

    run(run_work)


def _password(*, generate: bool) -> str:
    if generate:
        return generate_password(load_settings().password_min_length)
    if not sys.stdin.isatty():
        return sys.stdin.readline().removesuffix("\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


def _print_password(password: str, *, generated: bool) -> None:
    if generated:
        typer.echo(f"Password (shown only once): {password}")
