"""The renewal of a session whose user belongs to a provider: the provider confirms that the user may stay signed in."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

import structlog

from app.core.auth_providers import DEFAULT_PROVIDER
from app.core.errors import InvalidToken, ServiceUnavailable
from app.db.transaction import WriteTransaction
from app.identity_providers.base import GrantRejected, IdentityProvider, ProviderError
from app.repositories.commands.accounts import Account
from app.repositories.commands.provider_users import ProviderUser, find_by_id, store_refresh_token
from app.repositories.rules.users import ACTIVE
from app.repositories.services import Services
from app.repositories.stores.sessions import SessionStore, user_of_newest_session

log = structlog.get_logger(__name__)

_locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
"""Locks by user: a provider may accept a refresh token only once, so that two renewals must not use the same one."""


def may_renew(account: Account, services: Services) -> bool:
    """Return whether sessions of a user may be renewed: it is active, and its provider is still configured."""
    is_known = account.provider == DEFAULT_PROVIDER or account.provider in services.identity_providers.by_name
    return account.status == ACTIVE and is_known


@asynccontextmanager
async def confirmed_by_provider(services: Services, stored_token: str) -> AsyncIterator[None]:
    """Renew a user's sign-in at the provider before the block renews the session.

    An LDAP directory must still have the user's entry. Any other provider is called only if it issued a refresh token.

    The provider is not called for a session that already has a successor: it confirmed that renewal.

    Raises:
        InvalidToken: The provider rejects its refresh token; the session has been ended.
        ServiceUnavailable: The provider does not respond; the session is unchanged.
    """
    user = await user_of_newest_session(services, stored_token) if services.identity_providers.by_name else None
    if user is None:
        yield
        return
    async with _locks.setdefault(user, asyncio.Lock()):
        if await user_of_newest_session(services, stored_token) is not None:  # not renewed meanwhile
            await _confirm(services, user, stored_token)
        yield


async def _confirm(services: Services, user: str, stored_token: str) -> None:
    found = await find_by_id(services, user)
    provider = services.identity_providers.by_name.get(found.account.provider) if found else None
    if found is None or provider is None or not may_renew(found.account, services):
        return
    proof = found.identifier if provider.renews_with == "identifier" else found.refresh_token
    if proof is None:
        return
    try:
        successor = await _refresh(services, provider, found, proof)
    except GrantRejected:
        log.info("provider_ended_session", provider=provider.settings.name, user=user)
        await services.database.run_write(
            lambda writer: SessionStore(writer, services).end(stored_token), exclusive=False
        )
        raise InvalidToken from None
    except ProviderError as error:
        log.warning("provider_failed", provider=provider.settings.name, reason=str(error))
        raise ServiceUnavailable(f'The authentication provider "{provider.settings.name}" did not respond') from None
    if successor is not None:

        async def store(writer: WriteTransaction) -> None:
            await store_refresh_token(writer, user, successor)

        await services.database.run_write(store, exclusive=False)


async def _refresh(services: Services, provider: IdentityProvider, user: ProviderUser, proof: str) -> str | None:
    """Ask the provider; another node may have redeemed a refresh token meanwhile, then its success counts."""
    try:
        return await provider.refresh(proof)
    except GrantRejected:
        current = await find_by_id(services, user.account.id)
        if current is not None and current.refresh_token not in (None, proof):
            return None
        raise
