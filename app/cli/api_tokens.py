"""`rollcall users tokens …`: lists, creates and revokes the API tokens of a user."""

from collections.abc import Sequence
from typing import Annotated

import typer

from app.cli.system_directory import run_with_directory, user_id
from app.core.errors import Forbidden, OperatorError
from app.core.terminal import printable
from app.flows.api_tokens import APITokenService
from app.repositories.directory import Directory
from app.repositories.stores.api_tokens import APIToken

commands = typer.Typer(no_args_is_help=True, help="Manage the API tokens of a user.")

Email = Annotated[str, typer.Argument(help="The user's email address")]


@commands.command("list")
def list_(email: Email) -> None:
    """Print the API tokens of a user: id, name, expiry, last use and limits."""

    async def read(directory: Directory) -> list[APIToken]:
        return await APITokenService(directory).all(await user_id(directory, email))

    for token in run_with_directory(read):
        typer.echo("\t".join(map(printable, _columns(token))))


@commands.command()
def create(
    email: Email,
    name: Annotated[str, typer.Argument(help="What the token is for")],
    expires: Annotated[str | None, typer.Option(help="The date on which it expires, such as 2030-01-15")] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Let it write nothing")] = False,
    policy: Annotated[
        list[str] | None, typer.Option(help="The name of a policy of the user to limit it to; repeatable")
    ] = None,
    ip: Annotated[list[str] | None, typer.Option(help="An address or network to limit it to; repeatable")] = None,
) -> None:
    """Create an API token of a user and print it once."""

    async def run(directory: Directory) -> str:
        user = await user_id(directory, email)
        policies = await _policy_ids(directory, policy) if policy else None
        values = {"name": name, "expires": expires, "read_only": read_only, "policies": policies, "ip_access": ip}
        return (await APITokenService(directory).create(values, user)).secret

    typer.echo(f"API token (shown only once): {run_with_directory(run)}")


@commands.command()
def revoke(email: Email, token: Annotated[str, typer.Argument(help="The id of the token")]) -> None:
    """Revoke an API token of a user, which ends its use at once."""

    async def run(directory: Directory) -> str:
        try:
            return await APITokenService(directory).revoke(token, await user_id(directory, email))
        except Forbidden:
            raise OperatorError(f"{email} has no API token with the id {token}.") from None

    typer.echo(f"Revoked {run_with_directory(run)}.")


def _columns(token: APIToken) -> Sequence[str]:
    values = token.as_dict()
    expires = f"expires {values['expires']}" if token.expires else "does not expire"
    used = f"last used {values['last_used']} from {token.last_used_ip or 'an unknown address'}"
    limits = ["read-only"] if token.read_only else []
    limits += [f"policies: {len(token.policies)}"] if token.policies is not None else []
    limits += token.ip_access or []
    return token.id, token.name, expires, used if token.last_used else "never used", ", ".join(limits) or "no limits"


async def _policy_ids(directory: Directory, names: Sequence[str]) -> list[str]:
    """Return the ids of policies by their names; raise OperatorError for a name that none or several have."""
    keys = []
    for name in names:
        found = await directory["policies"].get_keys_by_query({"filter": {"name": {"_eq": name}}})
        if len(found) != 1:
            raise OperatorError(f"There {'is no policy' if not found else 'are several policies'} named {name}.")
        keys += found
    return keys
