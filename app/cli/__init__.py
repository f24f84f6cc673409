"""The command line: `rollcall bootstrap`, `rollcall serve`, `rollcall import` and the other commands."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from app import __version__
from app.cli.confirmation import confirm
from app.cli.lazy_group import lazy_group
from app.cli.upgrade import upgrade
from app.core.errors import OperatorError, RollcallError

PROGRESS_MIN_ROWS = 2_000
"""Rows in a table from which on progress is shown."""

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
migrations = typer.Typer(no_args_is_help=True, help="Migrate the tables up, or remove what Rollcall added.")
app.add_typer(migrations, name="migrate")
for _name, _summary in {
    "users": "Manage users without signing in.",
    "fields": "Manage custom fields.",
    "indexes": "Manage optional indexes for large directories.",
    "access": "Explain what users may do, and what changes would do to it.",
    "policies": "Keep roles and policies in files, and test what they allow.",
}.items():
    app.add_typer(lazy_group(f"app.cli.{_name}", _summary), name=_name)
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
    from app.cli.runner import run
    from app.flows.bootstrap import bootstrap as run_bootstrap

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
    from app.cli.runner import run
    from app.db import migrate

    run(lambda database, _: migrate.migrate_up(database))


@migrations.command()
def down(
    to: Annotated[str, typer.Argument(help="The revision to go back to; `base` removes everything Rollcall added")],
    force: Annotated[bool, typer.Option(help="Continue even if rows are lost")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation")] = False,
) -> None:
    """List what Rollcall added, ask, and remove it. An adopted database keeps Directus' tables."""
    from app.cli.runner import run
    from app.db import migrate

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
    from app.cli.runner import run
    from app.flows.import_export import import_file

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
    from app.cli.runner import run
    from app.flows.import_export import export_file

    omitted = run(lambda database, _: export_file(database, file, redact=redact, progress=_show_progress))
    if omitted:
        typer.echo(
            f"Omitted, because nothing describes it or only this database has it: {', '.join(omitted)}.", err=True
        )


@app.command()
def token(email: str) -> None:
    """Print an access token for an active user."""
    from app.cli.access_tokens import access_token
    from app.cli.runner import run

    typer.echo(run(lambda database, settings: access_token(database, settings, email)))


@app.command()
def quickstart(
    serve: Annotated[bool, typer.Option("--serve", help="First bootstrap, then also serve")] = False,
) -> None:
    """Print the server's URL, the admin's email address, and a first query to paste."""
    from app.cli.access_tokens import print_first_query
    from app.cli.startup_checks import check_address
    from app.core.config import load_settings

    settings = load_settings()
    if serve:
        check_address(settings.host, settings.port)
        bootstrap()
    print_first_query(settings)
    if serve:
        serve_http()


@app.command()
def schema() -> None:
    """Print the GraphQL schema as SDL."""
    from app.graphql.schema import printed_schema

    typer.echo(printed_schema(), nl=False)


@app.command("serve")
def serve_http(
    host: Annotated[str | None, typer.Option(help="The address to listen on; default: the setting HOST")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on; default: the setting PORT")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Number of server processes")] = 1,
) -> None:
    """Serve HTTP until stopped."""
    from app.cli.runner import load_and_check_settings
    from app.cli.server import serve_with
    from app.cli.startup_checks import check_address, check_database
    from app.extensions.loading import load_extensions
    from app.policy_files.server_tests import load_policy_tests
    from app.ratelimit.limiter import RateLimiter, is_per_process

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
