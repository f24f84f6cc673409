"""Accounts: users as the authentication flows read and update them, without the permissions of any caller."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Select, Text, exists, literal, select, true

from app.core.auth_providers import DEFAULT_PROVIDER
from app.core.caller import Caller, ClientInfoFactory, no_client_info
from app.core.email_addresses import email_spellings
from app.core.errors import RollcallError
from app.core.values import is_storable
from app.db.models import PASSKEYS, Settings, User
from app.db.statement import bind_param
from app.db.transaction import WriteTransaction
from app.query.collection import USERS
from app.query.payload import Payload, parse_payload
from app.query.sql_functions import EmailEquals
from app.repositories.engine.table import RowStore
from app.repositories.engine.unit_of_work import UnitOfWork
from app.repositories.repository import Repository
from app.repositories.rules.users import ACTIVE
from app.repositories.services import Services

_USERS: Any = User.__table__
_SETTINGS: Any = Settings.__table__
_COLUMNS = ("id", "email", "status", "provider", "password", "tfa_secret")
_LOOKUP_PARAMETER = "value"


def _exactly_one(rows: Select[Any]) -> Select[Any]:
    """Return a statement that always yields one row: the first of `rows`, or nulls if there is none."""
    first = rows.limit(1).subquery()
    one = select(literal(1).label("one")).subquery()
    return select(*first.c).select_from(one.outerjoin(first, true()))


def _select_account(condition: ColumnElement[bool]) -> Select[Any]:
    has_passkeys = exists(select(1).where(PASSKEYS.c.user == _USERS.c.id).correlate(_USERS)).label("has_passkeys")
    columns = (*(_USERS.c[name] for name in _COLUMNS), has_passkeys)
    return _exactly_one(select(*columns).where(condition).order_by(_USERS.c.id))


# Built once, because the reader caches the compiled form of each statement object.
_BY_EMAIL = _select_account(EmailEquals(_USERS.c.id, _USERS.c.email, bind_param(_LOOKUP_PARAMETER, Text())))
_BY_ID = _select_account(_USERS.c.id == bind_param(_LOOKUP_PARAMETER, _USERS.c.id.type))
_MAX_FAILED_LOGINS = _exactly_one(select(_SETTINGS.c.auth_login_attempts))


@dataclass(frozen=True, slots=True)
class Account:
    """A user with the fields that authentication depends on."""

    id: str
    email: str | None
    status: str
    provider: str
    password: str | None = field(repr=False)
    """The hash; None if no password is set yet."""
    tfa_secret: str | None = field(repr=False)
    has_passkeys: bool = field(default=False, compare=False)

    @property
    def has_second_factor(self) -> bool:
        """Whether the user has set up two-factor authentication: one-time passwords, or a passkey that signs in."""
        return self.tfa_secret is not None or (self.has_passkeys and self.provider == DEFAULT_PROVIDER)

    @property
    def digest(self) -> str:
        """A digest of all that authentication depends on, by which a later step finds the account unchanged."""
        values = [getattr(self, name) for name in _COLUMNS]
        return hashlib.sha256(orjson.dumps(values)).hexdigest()

    @property
    def can_use_password(self) -> bool:
        """Whether the user is active and logs in with a password that is verified here, or not set yet."""
        return self.status == ACTIVE and self.provider == DEFAULT_PROVIDER


class AccountStore:
    """Reads accounts, and updates one if it has not changed since it was read."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def by_email(self, email: str) -> Account | None:
        """Return the account with an email, ignoring case; None if there is none.

        If its domain has two spellings, and each has an account, it is the one with this spelling.
        """
        for spelling in email_spellings(email):
            value = spelling if is_storable(spelling) else None
            if account := await self._read(_BY_EMAIL, value):
                return account
        return None

    async def by_id(self, user: str) -> Account | None:
        """Return the account with an id; None if there is none."""
        return await self._read(_BY_ID, user)

    async def max_failed_logins(self) -> int | None:
        """Return after how many failed logins an IP is locked out of an account; None if never."""
        max_failures: int | None = (await self._services.reader.fetch(_MAX_FAILED_LOGINS))[0]
        return max_failures

    async def update(
        self,
        account: Account,
        values: dict[str, Any],
        caller: Caller,
        client_info: ClientInfoFactory = no_client_info,
        *,
        conflict_error: type[RollcallError],
    ) -> None:
        """Update an account on behalf of `caller`, whose right to do so the flow has verified.

        Raises:
            conflict_error: The account changed since it was read.
            RollcallError: As any write to a user.
        """
        users = self._services.registry.own(USERS)
        payload = parse_payload(users, values, self._services.limits.max_depth)
        repository = Repository(users, caller, self._services, client_info)
        await repository.write(_UpdateIfUnchanged(account, payload, conflict_error))

    async def _read(self, statement: Select[Any], value: str | None) -> Account | None:
        key, *rest = await self._services.reader.fetch(statement, {_LOOKUP_PARAMETER: value})
        return None if key is None else Account(str(key), *rest)


@dataclass(frozen=True, slots=True)
class _UpdateIfUnchanged:
    """Updates an account unless it changed since it was read, so that a link or code works for only one request."""

    account: Account
    payload: Payload
    conflict_error: type[RollcallError]
    action: str = field(default="update", init=False)

    @property
    def updated_keys(self) -> Sequence[str]:
        return (self.account.id,)

    def payloads(self) -> Iterable[Payload]:
        return (self.payload,)

    async def apply(self, work: UnitOfWork) -> list[Any]:
        if not await is_unchanged(work.writer, self.account):
            raise self.conflict_error
        await work.update(USERS, [self.account.id], self.payload)
        return [self.account.id]


async def is_unchanged(writer: WriteTransaction, account: Account) -> bool:
    """Return whether an account has not changed since it was read, and lock it until the end of the transaction."""
    row = (await RowStore(writer, USERS).fetch_for_update([account.id])).get(account.id)
    expected = {USERS.fields[name]: getattr(account, name) for name in _COLUMNS}
    return row is not None and all(row[field] == value for field, value in expected.items())
