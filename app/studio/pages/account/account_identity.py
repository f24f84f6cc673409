"""The account of another service that the user signs in with."""

from dataclasses import dataclass

from app.core.auth_providers import DEFAULT_PROVIDER
from app.core.errors import Forbidden
from app.repositories.commands.accounts import AccountStore
from app.studio.page_request import PageRequest

IDENTIFIER = "external_identifier"


@dataclass(frozen=True, slots=True)
class LinkedIdentity:
    """The provider's name as sign-in pages show it, and the user's identifier there if the user may read it."""

    provider: str
    identifier: str | None


async def read_identity(request: PageRequest) -> LinkedIdentity | None:
    """Return the signed-in user's identity at a provider, None for a user with a password."""
    account = await AccountStore(request.services).by_id(request.user)
    if account is None or account.provider == DEFAULT_PROVIDER:
        return None
    providers = request.services.settings.auth_providers
    label = next((each.label for each in providers if each.name == account.provider), None)
    return LinkedIdentity(label or account.provider, await _read_identifier(request))


async def _read_identifier(request: PageRequest) -> str | None:
    if not (await request.rights()).fields("read", "users", (IDENTIFIER,)):
        return None
    try:
        data = await request.execute(f"query Identity {{ users_me {{ {IDENTIFIER} }} }}")
    except Forbidden:
        return None
    identifier: str | None = (data["users_me"] or {}).get(IDENTIFIER)
    return identifier
