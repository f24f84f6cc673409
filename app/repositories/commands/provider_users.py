"""Users who sign in with a provider: how they are found, and the command that signs one in."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Select, Text, cast, func, select

from app.core.errors import InvalidCredentials
from app.core.values import is_storable
from app.db.models import User
from app.db.statement import bind_param
from app.db.transaction import WriteTransaction
from app.query.collection import USERS
from app.query.payload import Payload
from app.query.sql_functions import JSONArray, JSONRows
from app.repositories.commands.accounts import Account, is_unchanged
from app.repositories.engine.table import RowStore
from app.repositories.engine.unit_of_work import UnitOfWork
from app.repositories.rules.users import end_sessions
from app.repositories.services import Services

SYNCED_FIELDS = ("role", "first_name", "last_name", "email")
"""The fields that a sign-in may change."""
AUTH_DATA = USERS.fields["auth_data"]
REFRESH_TOKEN_KEY = "refreshToken"  # noqa: S105  # Directus' name in `auth_data`

_USERS: Any = User.__table__
_ACCOUNT = ("id", "email", "status", "provider", "password", "tfa_secret")


@dataclass(frozen=True, slots=True)
class ProviderUser:
    """A user with the fields that a sign-in with a provider depends on."""

    account: Account
    synced: dict[str, Any] = field(repr=False)
    """The stored values of SYNCED_FIELDS."""
    identifier: str | None = field(repr=False)
    auth_data: Any = field(repr=False)

    @property
    def refresh_token(self) -> str | None:
        """The provider's refresh token, None if it issued none."""
        token = self.auth_data.get(REFRESH_TOKEN_KEY) if isinstance(self.auth_data, dict) else None
        return token if isinstance(token, str) and token else None


def _select(condition: ColumnElement[bool]) -> Select[Any]:
    names = (*_ACCOUNT, *SYNCED_FIELDS, "external_identifier", "auth_data")
    rows = select(*(_USERS.c[name].label(f"c{number}") for number, name in enumerate(names))).where(condition)
    found = rows.order_by(_USERS.c.id).limit(1).subquery()
    return select(cast(JSONRows(JSONArray(*found.c)), Text)).select_from(found)


_VALUE = bind_param("value", Text())
# Built once, because the reader caches the compiled form of each statement object.
_BY_IDENTIFIER = _select(_USERS.c.external_identifier == _VALUE)
_BY_IDENTIFIER_IN_ANY_CASE = _select(func.lower(_USERS.c.external_identifier) == func.lower(_VALUE))
_BY_ID = _select(_USERS.c.id == bind_param("value", _USERS.c.id.type))


async def find_by_identifier(services: Services, identifier: str) -> ProviderUser | None:
    """Return the user of a provider's identifier, None if there is none; as in Directus, its case is ignored.

    A user with exactly this identifier is preferred.
    """
    if not is_storable(identifier):
        return None
    exact = await _read(services, _BY_IDENTIFIER, identifier)
    return exact or await _read(services, _BY_IDENTIFIER_IN_ANY_CASE, identifier)


async def find_by_id(services: Services, user: str) -> ProviderUser | None:
    """Return a user by id, None if there is none."""
    return await _read(services, _BY_ID, user)


async def _read(services: Services, statement: Select[Any], value: str) -> ProviderUser | None:
    rows = orjson.loads((await services.reader.fetch(statement, {"value": value}))[0])
    if not rows:
        return None
    row = rows[0]
    auth_data = orjson.loads(row[-1]) if isinstance(row[-1], str) else row[-1]
    account = Account(*row[: len(_ACCOUNT)])
    synced = dict(zip(SYNCED_FIELDS, row[len(_ACCOUNT) : -2], strict=True))
    return ProviderUser(account, synced, row[-2], auth_data)


async def store_refresh_token(writer: WriteTransaction, user: str, token: str) -> None:
    """Store a provider's refresh token as Directus does, without a record in the audit log."""
    await RowStore(writer, USERS).update(user, {AUTH_DATA: {REFRESH_TOKEN_KEY: token}})


@dataclass(frozen=True, slots=True)
class SignInProviderUser:
    """Creates a user, or updates `account` unless it changed meanwhile, and starts a session in the same transaction.

    `values` are those of the new user, or what changes; `start_session` receives the user's id. If
    `ends_sessions`, all others of the user end.
    """

    account: Account | None
    values: Payload
    refresh_token: str | None = field(repr=False)
    start_session: Callable[[WriteTransaction, str], Awaitable[None]]
    ends_sessions: bool = False

    @property
    def action(self) -> str:
        """What happens to the user."""
        return "create" if self.account is None else "update"

    def payloads(self) -> Iterable[Payload]:
        return (self.values,) if self.values.values else ()

    async def apply(self, work: UnitOfWork) -> list[Any]:
        if self.account is None:
            key = await work.create(self.values)
        else:
            key = self.account.id
            if not await is_unchanged(work.writer, self.account):
                raise InvalidCredentials
            if self.values.values:
                await work.update(USERS, [key], self.values)
        if self.ends_sessions:
            await end_sessions(work, key)
        if self.refresh_token is not None:
            await store_refresh_token(work.writer, key, self.refresh_token)
        await self.start_session(work.writer, key)
        return [key]
