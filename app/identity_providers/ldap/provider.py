"""A provider with the driver `ldap`: finds a user, verifies the password with a bind, and reads the user's groups."""

import asyncio
import math
import secrets
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

from app.core.ldap_settings import LdapSettings
from app.identity_providers.base import GrantRejected, Identity, IdentityRejected, ProviderUnavailable
from app.identity_providers.ldap.account_state import STATE_ATTRIBUTES, is_disabled
from app.identity_providers.ldap.ldap_connection import (
    INVALID_DN,
    NO_SUCH_OBJECT,
    SIZE_LIMIT_EXCEEDED,
    SUCCESS,
    LdapConnection,
    connect,
    failed,
)
from app.identity_providers.ldap.messages import LdapEntry, Search

MAX_CONNECTIONS = 20
"""Sign-ins and renewals that use a directory at the same time; others wait."""
MAX_GROUPS = 10_000
UID, GROUP_NAME, MEMBER_UID = "uid", "cn", "memberuid"


class LdapProvider:
    """An LDAP directory. Each sign-in has a connection of its own, as a bind changes whose connection it is."""

    renews_with: Literal["identifier"] = "identifier"

    def __init__(self, settings: LdapSettings) -> None:
        self.settings = settings
        self._tls, self._free = settings.tls_context(), asyncio.Semaphore(MAX_CONNECTIONS)

    async def identify(self, identifier: str, password: str) -> Identity:
        """Return the identity of a user, whose password the directory has verified.

        A password is verified for unknown users too, so that the directory's answer takes similar time.
        """
        async with self._connect() as connection:
            entries = await self._find(connection, identifier)
            entry = entries[0] if len(entries) == 1 and entries[0].dn else None
            is_accepted = await connection.bind(entry.dn if entry else self._unknown_dn(), password)
            if entry is None:
                raise IdentityRejected(f"the directory has {'several' if entries else 'no'} such users")
            if not is_accepted:
                raise IdentityRejected("the directory rejects the password")
            if is_disabled(entry):
                raise IdentityRejected("the directory says that the user is disabled")
            groups = await self._groups(connection, entry)
        return Identity(self._claims(entry, groups))

    async def refresh(self, proof: str) -> str | None:
        """Confirm that the entry with a DN exists, and isn't disabled."""
        async with self._connect() as connection:
            await self._bind(connection)
            search = self._search(proof, "base", None, "", STATE_ATTRIBUTES)
            entries, code = await connection.search(search)
        if code not in (SUCCESS, NO_SUCH_OBJECT, INVALID_DN):
            raise failed("search", code)
        if not entries or is_disabled(entries[0]):
            raise GrantRejected("the directory has no such user, or it is disabled")
        return None

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[LdapConnection]:
        """Connect for the duration of the block, within the time limit; any failure is a ProviderUnavailable."""
        try:
            async with (
                asyncio.timeout(self.settings.timeout.total_seconds()),
                self._free,
                connect(self.settings, self._tls) as connection,
            ):
                yield connection
        except TimeoutError:
            raise ProviderUnavailable("Timeout") from None
        except ssl.SSLCertVerificationError as error:
            raise ProviderUnavailable(f"the certificate is not valid: {error.verify_message}") from None
        except (OSError, EOFError) as error:
            raise ProviderUnavailable(type(error).__name__) from None

    async def _bind(self, connection: LdapConnection) -> None:
        """Authenticate as the account that searches."""
        settings = self.settings
        if not await connection.bind(settings.bind_dn, settings.bind_password.get_secret_value()):
            raise ProviderUnavailable("the directory rejects BIND_DN or BIND_PASSWORD")

    async def _find(self, connection: LdapConnection, identifier: str) -> list[LdapEntry]:
        """Return the entries of an identifier; more than one are not all."""
        await self._bind(connection)
        settings = self.settings
        names = (settings.first_name_attribute, settings.last_name_attribute, settings.mail_attribute)
        attributes = (UID, *names, *STATE_ATTRIBUTES)
        search = self._search(settings.user_dn, settings.user_scope, settings.user_attribute, identifier, attributes, 2)
        entries, code = await connection.search(search)
        if code != SUCCESS and not (code == SIZE_LIMIT_EXCEEDED and len(entries) > 1):
            raise failed("search for the user", code)
        return entries

    async def _groups(self, connection: LdapConnection, entry: LdapEntry) -> list[str]:
        """Return the names of the groups that a user is a member of."""
        settings = self.settings
        if settings.group_dn is None:
            return []
        await self._bind(connection)
        uid = entry.first(UID) if settings.group_attribute.lower() == MEMBER_UID else None
        base, scope, attribute = settings.group_dn, settings.group_scope, settings.group_attribute
        search = self._search(base, scope, attribute, uid or entry.dn, (GROUP_NAME,))
        groups = await connection.search_all(search, MAX_GROUPS)
        return [name for group in groups for name in group.values.get(GROUP_NAME, ())]

    def _search(
        self, base: str, scope: str, attribute: str | None, value: str, attributes: tuple[str, ...], limit: int = 0
    ) -> Search:
        seconds = math.ceil(self.settings.timeout.total_seconds())
        return Search(base, scope, attribute, value, attributes, seconds, limit)

    def _unknown_dn(self) -> str:
        """Return the DN of an entry that doesn't exist."""
        return f"{self.settings.user_attribute}={secrets.token_hex(16)},{self.settings.user_dn}"

    def _claims(self, entry: LdapEntry, groups: list[str]) -> dict[str, Any]:
        """Return what the directory says of a user, under the names of OpenID Connect."""
        settings = self.settings
        return {
            "sub": entry.dn,
            "email": entry.first(settings.mail_attribute),
            "given_name": entry.first(settings.first_name_attribute),
            "family_name": entry.first(settings.last_name_attribute),
            "groups": groups,
        }
