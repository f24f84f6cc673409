"""The command line: `rollcall bootstrap`, `serve`, `import` and their like."""

import sqlite3
import sys
from pathlib import Path
from typing import Annotated

import asyncpg
import typer
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from app.cli import users
from app.cli.runner import run
from app.cli.upgrade import upgrade
from app.core.config import Settings, load_settings, signing_secret
from app.core.errors import OperatorError, RollcallError
from app.core.tokens import sign_access_token
from app.db import migrate
from app.db.database import Database
from app.db.models import User
from app.flows.bootstrap import active_admin
from app.flows.bootstrap import bootstrap as run_bootstrap
from app.flows.import_export import export_file, import_file
from app.ratelimit.limiter import RateLimiter, is_per_process

LONG = 2_000
"""Rows from which on progress is shown."""

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="A user directory.")
migrations = typer.Typer(no_args_is_help=True, help="Bring the tables up to date, or take away what was added.")
app.add_typer(migrations, name="migrate")
app.add_typer(users.commands, name="users")
app.command()(upgrade)


def main() -> None:
    """Runs a command; what can't be done is one line on standard error, and exit status 1."""
    try:
        app()
    except (OperatorError, RollcallError) as error:
        typer.echo(f"rollcall: {error}", err=True)
    except (DBAPIError, asyncpg.PostgresError, sqlite3.Error):
        typer.echo("rollcall: The database doesn't hold what is needed: run `rollcall bootstrap` first.", err=True)
    except OSError as error:
        typer.echo(f"rollcall: {error.filename or 'A file'}: {error.strerror}.", err=True)
    else:
        return
    sys.exit(1)


@app.command()
def bootstrap() -> None:
    """Migrate, and make the first admin where there is none. Doing it again changes nothing."""
    made = run(run_bootstrap)
    if made.admin:
        typer.echo(f"Made the first admin: {made.admin}")
    if made.duplicate_emails:
        typer.echo(f"Several users share an address, whatever its case: {', '.join(made.duplicate_emails)}.", err=True)
        typer.echo("Change all but one of each, then bootstrap again: the database can keep them apart then.", err=True)
    if made.password:
        typer.echo(f"Its password, shown this once: {made.password}")


@migrations.command()
def up() -> None:
    """Bring the tables up to date; Directus' own are adopted as they are."""
    run(lambda database, _: migrate.migrate_up(database))


@migrations.command()
def down(
    to: Annotated[str, typer.Argument(help="The revision to go back to; `base` takes away everything we added")],
    force: Annotated[bool, typer.Option(help="Also where rows are lost")] = False,
) -> None:
    """Take away what we added; an adopted database keeps Directus' tables."""
    run(lambda database, _: migrate.migrate_down(database, to, force=force))


@app.command("import")
def import_(file: Path) -> None:
    """Load rows from a JSON file, all of them or none."""
    loaded = run(lambda database, _: import_file(database, file, _progress))
    typer.echo(", ".join(f"{count} {table}" for table, count in loaded.items()) or "The file holds no rows.")


@app.command()
def export(file: Path, redact: Annotated[bool, typer.Option(help="Leave secrets out")] = False) -> None:
    """Write all rows to a JSON file that only you can read."""
    left_out = run(lambda database, _: export_file(database, file, redact=redact, progress=_progress))
    if left_out:
        typer.echo(f"Left out, as a project's own: {', '.join(left_out)}.", err=True)


@app.command()
def token(email: str) -> None:
    """Print an access token for an active user."""
    typer.echo(run(lambda database, settings: _token_of(database, settings, email)))


@app.command()
def hello() -> None:
    """Print the address, the admin, and a first query to paste."""
    settings = load_settings()
    address = settings.public_url or f"http://{settings.host}:{settings.port}"
    email, access_token = run(_admin_token)
    typer.echo(f"\nRollcall will answer at {address}/graphql/system\nAdmin: {email or 'without an e-mail address'}\n")
    typer.echo("A first query, good for as long as an access token is:\n")
    typer.echo(f"curl {address}/graphql/system \\\n  -H 'Authorization: Bearer {access_token}' \\")
    typer.echo("  -H 'Content-Type: application/json' \\")
    typer.echo("""  -d '{"query": "{ users { id email role { name } } }"}'\n""")


@app.command()
def schema() -> None:
    """Print the schema as SDL."""
    from app.graphql.schema import printed_schema  # noqa: PLC0415  # building it takes a moment other commands don't need

    typer.echo(printed_schema(), nl=False)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen on; else HOST")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on; else PORT")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes to serve with")] = 1,
) -> None:
    """Serve until told to stop."""
    from app.cli.server import serve_with  # noqa: PLC0415  # only this command needs a server

    settings = load_settings()
    Database.open(settings)  # says what is wrong with an address before a server starts
    RateLimiter.from_settings(settings)
    if workers > 1 and is_per_process(settings):
        typer.echo(f"Each of {workers} workers counts for itself, so that rate limits multiply by {workers}.", err=True)
        typer.echo("With RATE_LIMITER_STORE=redis they count together.", err=True)
    serve_with(
        workers,
        host=host or settings.host,
        port=settings.port if port is None else port,
        lifespan="on",
        ws="none",  # what is asked for by one is logged with its tokens, whatever the log is set to
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=settings.shutdown_timeout,
    )


def _progress(table: str, done: int, of: int) -> None:
    if of >= LONG and sys.stderr.isatty() and (done % 100 == 0 or done == of):
        typer.echo(f"\r{table}: {done} of {of}", err=True, nl=done == of)


async def _token_of(database: Database, settings: Settings, email: str) -> str:
    async with database.transaction() as connection:
        found = select(User.id).where(func.lower(User.email) == email.lower(), User.status == "active")
        user = await connection.scalar(found)
    if user is None:
        raise OperatorError(f"There is no active user with the address {email}.")
    return _sign(user, settings)


async def _admin_token(database: Database, settings: Settings) -> tuple[str | None, str]:
    async with database.transaction() as connection:
        admin = await active_admin(connection)
    if admin is None:
        raise OperatorError("There is no active admin: run `rollcall bootstrap` first.")
    return admin[1], _sign(admin[0], settings)


def _sign(user: str, settings: Settings) -> str:
    return sign_access_token(signing_secret(settings), str(user), ttl=settings.access_token_ttl)
