"""Access tokens that commands print, for users and for a first query."""

import typer

from app.cli.runner import run
from app.core.config import Settings, signing_secret
from app.core.errors import OperatorError
from app.core.tokens import sign_access_token
from app.db.database import Database
from app.flows.bootstrap import active_admin
from app.repositories.commands.accounts import AccountStore
from app.repositories.rules.users import ACTIVE
from app.repositories.services import Services


async def access_token(database: Database, settings: Settings, email: str) -> str:
    """Return an access token for the active user with an email address.

    Raises:
        OperatorError: There is none.
    """
    account = await AccountStore(Services.from_settings(database, settings)).by_email(email)
    if account is None or account.status != ACTIVE:
        raise OperatorError(f"There is no active user with the email address {email}.")
    return _sign(account.id, settings)


def print_first_query(settings: Settings) -> None:
    """Print the URL of the server, the email address of an admin, and a query to paste."""
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
