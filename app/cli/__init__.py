"""The command line: `rollcall bootstrap`, `rollcall serve`, `rollcall import` and the other commands."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from app import __version__
from app.cli import access, fields, indexes, policies, users
from app.cli.confirmation import confirm
from app.cli.runner import load_and_check_settings, run
from app.cli.startup_checks import check_address, check_database
from app.cli.upgrade import upgrade
from app.core.config import Settings, load_settings, signing_secret
from app.core.errors import OperatorError, RollcallError
from app.core.tokens import sign_access_token
from app.db import migrate
from app.db.database import Database
from app.extensions.loading import load_extensions
from app.flows.bootstrap import active_admin
from app.flows.bootstrap import bootstrap as run_bootstrap
from app.flows.import_export import export_file, import_file
from app.policy_files.server_tests import load_policy_tests
from app.ratelimit.limiter import RateLimiter, is_per_process
from app.repositories.commands.accounts import AccountStore
from app.repositories.rules.users import ACTIVE
from app.repositories.services import Services

PROGRESS_MIN_ROWS = 2_000
"""Rows in a table from which on progress is shown."""

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
migrations = typer.Typer(no_args_is_help=True, help="Migrate the tables up, or remove what Rollcall added.")
app.add_typer(migrations, name="migrate")
app.add_typer(users.commands, name="users")
app.add_typer(fields.commands, name="fields")
app.add_typer(indexes.commands, name="indexes")
app.add_typer(access.commands, name="access")
app.add_typer(policies.commands, name="policies")
app.command()(upgrade)


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"rollcall {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit")
    ] = False,
) -> None:
    """A user directory server."""


def main() -> None:
    """Run a command. An error is one line on standard error, with exit status 1."""
    try:
        app()
    except (OperatorError, RollcallError) as error:
        typer.echo(f"rollcall: {error}", err=True)
    except OSError as error:
        typer.echo(f"rollcall: {error.filename or 'A file'}: {error.strerror}.", err=True)
    else:
        return
    sys.exit(1)


@app.command()
def bootstrap() -> None:
    """Migrate, and create the first admin if there is none. Running it again changes nothing."""
    result = run(run_bootstrap)
    if result.admin:
        typer.echo(f"Created the first admin: {result.admin}")
    if result.duplicate_emails:
        typer.echo(
            "Several users have the same email address, ignoring case and the spelling of its domain: "
            f"{', '.join(result.duplicate_emails)}.",
            err=True,
        )
        typer.echo(
            "Change all but one of each, then run `rollcall bootstrap` again to make addresses unique.", err=True
        )
    if result.password:
        typer.echo(f"Password (shown only once): {result.password}")


@migrations.command()
def up() -> None:
    """Migrate the tables to the newest revision. Directus' own tables are adopted unchanged."""
    run(lambda database, _: migrate.migrate_up(database))


@migrations.command()
def down(
    to: Annotated[str, typer.Argument(help="The revision to go back to; `base` removes everything Rollcall added")],
    force: Annotated[bool, typer.Option(help="Continue even if rows are lost")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation")] = False,
) -> None:
    """List what Rollcall added, ask, and remove it. An adopted database keeps Directus' tables."""
    dropped = run(lambda database, _: migrate.preview_down(database, to))
    typer.echo("\n".join(["This drops:", *dropped]) if dropped else "This drops no table and no column.")
    if not yes:
        if not force:  # reject first, so that the question is only about what can be done
            run(lambda database, _: migrate.check_down(database, to), warn=False)
        confirm("Add --yes to drop them.")
    run(lambda database, _: migrate.migrate_down(database, to, force=force))


@app.command("import")
def import_(file: Path) -> None:
    """Load rows from a JSON file in one transaction, and add the custom columns that they need."""
    result = run(lambda database, _: import_file(database, file, _show_progress))
    typer.echo(", ".join(f"{count} {table}" for table, count in result.rows.items()) or "The file holds no rows.")
    if result.added_columns:
        typer.echo(f"Added columns: {', '.join(result.added_columns)}.")
    if result.replaced_bootstrap:
        typer.echo("They replaced the rows of bootstrap, its admin included. Log in as an admin of the file.")
    for warning in result.warnings:
        typer.echo(f"Warning: {warning}", err=True)


@app.command()
def export(file: Path, redact: Annotated[bool, typer.Option(help="Omit secrets")] = False) -> None:
    """Write all rows to a JSON file that only its owner can read."""
    omitted = run(lambda database, _: export_file(database, file, redact=redact, progress=_show_progress))
    if omitted:
        typer.echo(
            f"Omitted, because nothing describes it or only this database has it: {', '.join(omitted)}.", err=True
        )


@app.command()
def token(email: str) -> None:
    """Print an access token for an active user."""
    typer.echo(run(lambda database, settings: _access_token(database, settings, email)))


@app.command()
def quickstart(
    serve: Annotated[bool, typer.Option("--serve", help="First bootstrap, then also serve")] = False,
) -> None:
    """Print the server's URL, the admin's email address, and a first query to paste."""
    settings = load_settings()
    if serve:
        check_address(settings.host, settings.port)
        bootstrap()
    _print_first_query(settings)
    if serve:
        serve_http()


def _print_first_query(settings: Settings) -> None:
    url = settings.public_url or f"http://{settings.host}:{settings.port}"
    email, access_token = run(_admin_token)
    typer.echo(f"\nRollcall will listen at {url}/graphql/system")
    if settings.studio:
        typer.echo(f"Open {url}/admin in a browser to manage users, roles and policies.")
    typer.echo(f"Admin: {email or 'has no email address'}\n")
    typer.echo("A first query (its access token expires after ACCESS_TOKEN_TTL):\n")
    typer.echo(f"curl {url}/graphql/system \\\n  -H 'Authorization: Bearer {access_token}' \\")
    typer.echo("  -H 'Content-Type: application/json' \\")
    typer.echo("""  -d '{"query": "{ users { id email role { name } } }"}'\n""")


@app.command()
def schema() -> None:
    """Print the GraphQL schema as SDL."""
    from app.graphql.schema import printed_schema  # noqa: PLC0415  # building it takes a moment other commands don't need

    typer.echo(printed_schema(), nl=False)


@app.command("serve")
def serve_http(
    host: Annotated[str | None, typer.Option(help="The address to listen on; default: the setting HOST")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on; default: the setting PORT")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Number of server processes")] = 1,
) -> None:
    """Serve HTTP until stopped."""
    from app.cli.server import serve_with  # noqa: PLC0415  # only this command needs a server

    settings = load_and_check_settings()
    host, port = host or settings.host, settings.port if port is None else port
    check_address(host, port)
    RateLimiter.from_settings(settings)
    if workers > 1 and is_per_process(settings):
        typer.echo(
            f"Each of {workers} workers counts requests separately: rate limits multiply by {workers}.", err=True
        )
        typer.echo("Set RATE_LIMITER_STORE=redis to share the counters.", err=True)
    check_database(settings, workers)
    load_policy_tests(settings)
    load_extensions(settings)  # here, because workers that can't load them would be started again and again
    serve_with(
        workers,
        settings,
        host=host,
        port=port,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=settings.shutdown_timeout,
    )


def _show_progress(table: str, done: int, total: int) -> None:
    if total >= PROGRESS_MIN_ROWS and sys.stderr.isatty() and (done % 100 == 0 or done == total):
        typer.echo(f"\r{table}: {done} of {total}", err=True, nl=done == total)


async def _access_token(database: Database, settings: Settings, email: str) -> str:
    account = await AccountStore(Services.from_settings(database, settings)).by_email(email)
    if account is None or account.status != ACTIVE:
        raise OperatorError(f"There is no active user with the email address {email}.")
    return _sign(account.id, settings)


async def _admin_token(database: Database, settings: Settings) -> tuple[str | None, str]:
    """Return the email address of an active admin and an access token for it."""
    async with database.transaction() as connection:
        admin = await active_admin(connection)
    if admin is None:
        raise OperatorError("There is no active admin. Run `rollcall bootstrap` first.")
    user, email = admin
    return email, _sign(user, settings)


def _sign(user: str, settings: Settings) -> str:
    return sign_access_token(signing_secret(settings), str(user), ttl=settings.access_token_ttl)
