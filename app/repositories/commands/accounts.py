"""Accounts: users as those flows know them that prove who somebody is, whoever asks."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, literal, select, true

from app.core.caller import Caller, ClientInfoFactory, no_client_info
from app.core.errors import RollcallError
from app.db.models import Settings, User
from app.db.statement import bind_param
from app.db.transaction import WriteTransaction
from app.query.collection import USERS
from app.query.payload import Payload, parse_payload
from app.query.sql_functions import EmailEquals
from app.repositories.engine.table import RowStore
from app.repositories.engine.unit_of_work import UnitOfWork
from app.repositories.repository import Repository
from app.repositories.services import Services

DEFAULT_PROVIDER = "default"
"""Whose passwords are ours to judge."""
ACTIVE, INVITED, UNVERIFIED = "active", "invited", "unverified"

_USERS: Any = User.__table__
_SETTINGS: Any = Settings.__table__
_TOLD = ("id", "email", "status", "provider", "password", "tfa_secret")
_WANTED = "wanted"
"""Under which name a statement is given what is looked for."""


def _only(found: Select[Any]) -> Select[Any]:
    """One row, always: the first that is found, or one of nothing."""
    first = found.limit(1).subquery()
    one = select(literal(1).label("one")).subquery()
    return select(*first.c).select_from(one.outerjoin(first, true()))


def _account(wanted: ColumnElement[bool]) -> Select[Any]:
    return _only(select(*(_USERS.c[name] for name in _TOLD)).where(wanted).order_by(_USERS.c.id))


# Compiled once, and given what is looked for each time.
_BY_EMAIL = _account(EmailEquals(_USERS.c.id, _USERS.c.email, bind_param(_WANTED, Text())))
_BY_ID = _account(_USERS.c.id == bind_param(_WANTED, _USERS.c.id.type))
_ALLOWED = _only(select(_SETTINGS.c.auth_login_attempts))


@dataclass(frozen=True, slots=True)
class Account:
    """What is known of somebody who wants to get in."""

    id: str
    email: str | None
    status: str
    provider: str
    password: str | None = field(repr=False)
    """Its hash."""
    tfa_secret: str | None = field(repr=False)

    @property
    def can_use_password(self) -> bool:
        """Whether an active user with a password here, or none yet, has it."""
        return self.status == ACTIVE and self.provider == DEFAULT_PROVIDER


class AccountStore:
    """Finds accounts, and changes one as long as it is what it was found to be."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def by_email(self, email: str) -> Account | None:
        """The account with an address, whatever its case."""
        known = None if "\0" in email else email  # what no database can hold is nobody's
        return await self._one(_BY_EMAIL, known)

    async def by_id(self, user: str) -> Account | None:
        """The account with a key."""
        return await self._one(_BY_ID, user)

    async def attempts_allowed(self) -> int | None:
        """How often somebody may fail to sign in; None for as often as they like."""
        allowed: int | None = (await self._services.reader.fetch(_ALLOWED))[0]
        return allowed

    async def update(
        self,
        account: Account,
        values: dict[str, Any],
        caller: Caller,
        client_info: ClientInfoFactory = no_client_info,
        *,
        conflict_error: type[RollcallError],
    ) -> None:
        """Gives an account other values, on behalf of `asking`, which has been proved to be allowed to.

        Raises `otherwise` where it isn't any more what it was when it was found, and as writing a user does.
        """
        written = parse_payload(USERS, values, self._services.limits.max_depth)
        repository = Repository(USERS, caller, self._services, client_info)
        await repository.write(_UpdateIfUnchanged(account, written, conflict_error))

    async def _one(self, wanted: Select[Any], value: str | None) -> Account | None:
        key, *rest = await self._services.reader.fetch(wanted, {_WANTED: value})
        return None if key is None else Account(str(key), *rest)


@dataclass(frozen=True, slots=True)
class _UpdateIfUnchanged:
    """A change to an account that has to be as it was found: of two who hold the same proof, one comes too late."""

    account: Account
    payload: Payload
    conflict_error: type[RollcallError]
    action: str = field(default="update", init=False)

    def payloads(self) -> Iterable[Payload]:
        return (self.payload,)

    async def apply(self, work: UnitOfWork) -> list[Any]:
        if not await is_unchanged(work.writer, self.account):
            raise self.conflict_error
        await work.update(USERS, [self.account.id], self.payload)
        return [self.account.id]


async def is_unchanged(writer: WriteTransaction, account: Account) -> bool:
    """Whether an account is still what it was found to be; nobody else changes it until this is over."""
    stored = (await RowStore(writer, USERS).fetch_for_update([account.id])).get(account.id)
    then = {USERS.fields[name]: getattr(account, name) for name in _TOLD}
    return stored is not None and all(stored[member] == value for member, value in then.items())
