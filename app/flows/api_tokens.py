"""Lists, creates and revokes API tokens: the caller's own or, for admins, those of another user."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.exc import IntegrityError

from app.core.api_tokens import generate_api_token, hash_api_token
from app.core.errors import Forbidden, InvalidPayload
from app.core.ip_addresses import is_ip_rule
from app.core.timestamps import parse_date
from app.core.values import KEY_LENGTH, canonical_uuid
from app.db.database import RetryTransaction
from app.db.models import API_TOKENS
from app.db.transaction import WriteTransaction
from app.flows.account_owner import account_owner
from app.flows.credential_name import parse_credential_name
from app.query.collection import USERS
from app.repositories.directory import Directory
from app.repositories.engine.audit_log import AuditLog
from app.repositories.engine.table import RowStore
from app.repositories.stores.api_tokens import APIToken, APITokenStore, NewAPIToken, list_api_tokens

MAX_TOKENS_PER_USER = 100
MAX_IP_RULES = 100
MAX_SCOPE_POLICIES = 100


@dataclass(frozen=True, slots=True)
class CreatedAPIToken:
    """A new API token with its secret, which can't be read again."""

    token: APIToken
    secret: str = field(repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as in a response, with the secret as `token`."""
        return {**self.token.as_dict(), "token": self.secret}


class APITokenService:
    """The API tokens of the caller, or those of another `user`, which requires an admin.

    A token can't be used to manage tokens, so that a stolen one can't be replaced by one that lives longer.

    Every method raises InvalidCredentials for anonymous callers, APITokenRefused for callers with an API token, and
    Forbidden if an admin is required.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory, self._services = directory, directory.services

    async def all(self, user: str | None = None) -> list[APIToken]:
        """Return the tokens without their secrets, the newest first."""
        return await list_api_tokens(self._services, await self._owner(user))

    async def create(self, values: Mapping[str, Any], user: str | None = None) -> CreatedAPIToken:
        """Create a token from its `name` and its optional `expires`, `read_only`, `policies` and `ip_access`.

        Raises:
            InvalidPayload: A value is invalid, the user doesn't hold one of the policies, or has too many tokens.
        """
        owner, secret = await self._owner(user), generate_api_token()
        new = _parse(values, hash_api_token(secret), self._services.clock())

        async def create(writer: WriteTransaction) -> APIToken:
            await self._require_current(writer, user)
            users = RowStore(writer, self._services.registry.own(USERS))
            if not await users.existing([owner], lock=True):
                raise Forbidden
            store = APITokenStore(writer, self._services, owner)
            if await store.count() >= MAX_TOKENS_PER_USER:
                raise InvalidPayload(f"A user can have {MAX_TOKENS_PER_USER} API tokens at most: revoke one first")
            if new.policies is not None and (missing := new.policies - await store.held_policies()):
                raise InvalidPayload(f'"policies" must be policies of the user, unlike {", ".join(sorted(missing))}')
            created = await store.create(new)
            await (await self._audit_log(writer)).record_in("create", API_TOKENS.name, created.id)
            return created

        try:
            return CreatedAPIToken(await self._services.database.run_write(create, exclusive=True), secret)
        except IntegrityError:  # another program has just deleted a policy
            raise InvalidPayload('"policies" must be policies of the user') from None

    async def revoke(self, token: str, user: str | None = None) -> str:
        """Delete the token with this id, which ends its use at once, and return the id.

        Raises:
            Forbidden: The user has no such token.
        """
        owner = await self._owner(user)
        key = _parse_id(token)

        async def revoke(writer: WriteTransaction) -> bool:
            if key is None or not await APITokenStore(writer, self._services, owner).delete(key):
                return False
            await (await self._audit_log(writer)).record_in("delete", API_TOKENS.name, key)
            return True

        if key is None or not await self._services.database.run_write(revoke, exclusive=False):
            raise Forbidden
        return key

    async def _owner(self, user: str | None) -> str:
        owner = await account_owner(self._directory, user)
        await self._directory.refuse_api_token()
        return owner

    async def _require_current(self, writer: WriteTransaction, user: str | None) -> None:
        """Check in the transaction that the caller may still create a token, so that no ended session leaves one."""
        await self._owner(user)
        caller, cache = self._directory.caller, self._services.access_cache
        if not await cache.is_current(caller, await self._directory.access(), writer):
            raise RetryTransaction

    async def _audit_log(self, writer: WriteTransaction) -> AuditLog:
        directory = self._directory
        author = (await directory.access()).user
        return AuditLog(writer, author, directory.caller, directory.client_info())


def _parse(values: Mapping[str, Any], hash_: str, now: datetime) -> NewAPIToken:
    """Return the token that values describe; raise InvalidPayload if one of them is invalid."""
    read_only = values.get("read_only") or False
    if not isinstance(read_only, bool):
        raise InvalidPayload('"read_only" must be a boolean')
    policies = _strings(values, "policies", MAX_SCOPE_POLICIES)
    if policies is not None and not policies:
        raise InvalidPayload('"policies" must contain at least 1 items; leave it out for all policies of the user')
    ip_access = tuple(rule.strip() for rule in _strings(values, "ip_access", MAX_IP_RULES) or ())
    if wrong := next((rule for rule in ip_access if not is_ip_rule(rule)), None):
        raise InvalidPayload(f'"ip_access" must hold addresses such as 192.0.2.1, 192.0.2.0/24, not "{wrong[:50]}"')
    return NewAPIToken(
        hash_,
        parse_credential_name(values.get("name")),
        _expires(values.get("expires"), now),
        read_only,
        None if policies is None else frozenset(map(_policy, policies)),
        ip_access,
    )


def _expires(value: Any, now: datetime) -> datetime | None:
    if value is None:
        return None
    try:
        expires = value if isinstance(value, datetime) else parse_date(value)
    except (ValueError, TypeError):
        raise InvalidPayload('"expires" must be a date such as 2030-01-15T10:30:45Z') from None
    if expires <= now:
        raise InvalidPayload('"expires" must be in the future')
    return expires


def _strings(values: Mapping[str, Any], name: str, max_items: int) -> list[str] | None:
    found = values.get(name)
    if found is None:
        return None
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise InvalidPayload(f'"{name}" must be an array of strings')
    if len(found) > max_items:
        raise InvalidPayload(f'"{name}" can contain {max_items} items at most')
    return found


def _policy(text: str) -> str:
    if (key := _parse_id(text)) is None:
        raise InvalidPayload('"policies" must hold ids of policies')
    return key


def _parse_id(text: str) -> str | None:
    try:
        return canonical_uuid(text) if len(text) == KEY_LENGTH else None
    except ValueError:
        return None
