"""`rollcall users …`: for the night when nobody can sign in."""

import sys
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from app.cli.runner import run
from app.core.config import Settings
from app.db.database import Database
from app.flows.user_admin import UserAdmin, generate_password
from app.repositories.services import Services

commands = typer.Typer(no_args_is_help=True, help="See to users without signing in.")

Email = Annotated[str, typer.Argument(help="The user's e-mail address")]
MakeUp = Annotated[bool, typer.Option("--make-up", help="Make a password up, and print it once")]


@commands.command("list")
def list_() -> None:
    """Print every user: address, status, role."""

    async def work(rescue: UserAdmin) -> None:
        async for user in rescue.all():
            typer.echo(f"{user['email'] or '-'}\t{user['status']}\t{user['role'] or '-'}")

    _with_rescue(work)


@commands.command()
def create(
    email: Email,
    role: Annotated[str | None, typer.Option(help="The name of the role it gets")] = None,
    admin: Annotated[bool, typer.Option("--admin", help="Make it an admin")] = False,
    make_up: MakeUp = False,
) -> None:
    """Make an active user; the password is asked for, or read from standard input."""
    password = _password(make_up=make_up)
    _with_rescue(lambda rescue: rescue.create(email, password, role, admin=admin))
    _tell(password, make_up=make_up)


@commands.command()
def set_password(email: Email, make_up: MakeUp = False) -> None:
    """Give a user another password, and end its sessions."""
    password = _password(make_up=make_up)
    _with_rescue(lambda rescue: rescue.set_password(email, password))
    _tell(password, make_up=make_up)


@commands.command()
def disable_tfa(email: Email) -> None:
    """Take a user's second factor away."""
    _with_rescue(lambda rescue: rescue.disable_tfa(email))


@commands.command()
def unlock() -> None:
    """End every lock-out, and forget all failed sign-ins."""
    _with_rescue(lambda rescue: rescue.unlock())
    typer.echo("Nobody is locked out any more.")


@commands.command()
def make_admin(email: Email) -> None:
    """Make a user an active admin."""
    _with_rescue(lambda rescue: rescue.make_admin(email))


@commands.command()
def suspend(email: Email) -> None:
    """Suspend a user, and end its sessions."""
    _with_rescue(lambda rescue: rescue.suspend(email))


def _with_rescue(work: Callable[[UserAdmin], Awaitable[None]]) -> None:
    async def on(database: Database, settings: Settings) -> None:
        await work(UserAdmin(Services.from_settings(database, settings)))

    run(on)


def _password(*, make_up: bool) -> str:
    if make_up:
        return generate_password()
    if not sys.stdin.isatty():
        return sys.stdin.readline().removesuffix("\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


def _tell(password: str, *, make_up: bool) -> None:
    if make_up:
        typer.echo(f"Its password, shown this once: {password}")
