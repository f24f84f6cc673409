"""What `rollcall serve` checks before it starts a process: a free address, and a bootstrapped database."""

import errno
import socket
from functools import partial

import typer

from app.cli.database_errors import no_tables_message
from app.cli.runner import run
from app.core.config import Settings
from app.core.errors import OperatorError
from app.db.connection_budget import connection_shortage
from app.db.database import Database
from app.db.database_url import parse_url
from app.db.migrate import current_revision, newest_revision

ADDRESS_ERRORS = {
    errno.EADDRINUSE: "is in use by another program. Stop it, or choose another port with --port or PORT",
    errno.EACCES: "needs privileges: choose a port from 1024 on with --port or PORT",
    errno.EADDRNOTAVAIL: "is no address of this machine. Correct --host or HOST",
}


def check_address(host: str, port: int) -> None:
    """Check that a server can listen on an address; port 0 is any free port.

    Raises:
        OperatorError: It can't; the message says why.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror:
        raise OperatorError(f"{host} is an unknown host. Correct --host or HOST.") from None
    except OSError as error:
        reason = ADDRESS_ERRORS.get(error.errno or 0, f"can't be used: {error.strerror}")
        raise OperatorError(f"{host}, port {port}, {reason}.") from None


def check_database(settings: Settings, workers: int) -> None:
    """Check that the database was bootstrapped by this version or a newer one, and accepts enough connections.

    A PostgreSQL server that is unreachable is only a warning: requests get a 503 until it is reachable. So is one that
    accepts fewer connections than so many workers may open.

    Raises:
        OperatorError: DATABASE_URL is not supported, the file is no database, it has no Rollcall tables, or it lacks
            migrations of this version.
    """
    Database.open(settings)
    try:
        revision, shortage = run(partial(_inspect, workers), warn=False)
    except OperatorError as error:
        if settings.is_sqlite:
            raise
        typer.echo(f"Warning: {error}", err=True)
        return
    if revision is None:
        raise OperatorError(no_tables_message(parse_url(settings.database_url)))
    if revision < newest_revision():
        raise OperatorError(
            f"The database is at revision {revision}, but this version needs {newest_revision()}. "
            "Run `rollcall bootstrap` first."
        )
    if shortage:
        typer.echo(f"Warning: {shortage}", err=True)


async def _inspect(workers: int, database: Database, settings: Settings) -> tuple[str | None, str | None]:
    return await current_revision(database), await connection_shortage(database, settings, workers)
