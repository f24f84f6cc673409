"""Signing in: an address and a password, and a code where there is a second factor, in exchange for tokens.

Whatever becomes of it is told in the same words and takes the same time. Too many failures lock one address out of one
account for a while; over all addresses they only slow an account's sign-ins down, so that nobody can lock another out.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

from app.core.caller import acting_for
from app.core.errors import InvalidCredentials, InvalidOtp
from app.db.writer import Writer
from app.flows.stall import at_least
from app.flows.tokens import Mode, Tokens, lifetime, make_tokens
from app.query.collection import USERS
from app.repositories.accounts import Account, Accounts
from app.repositories.attempts import Attempts, at_account, at_account_from
from app.repositories.codes import Codes
from app.repositories.directory import Directory
from app.repositories.sessions import Begun, Sessions
from app.repositories.trail import Trail

CODES_ALLOWED = 10
"""Wrong codes of a second factor that an account bears while failures count."""
LONGEST_DELAY = timedelta(seconds=5)
DELAY = timedelta(milliseconds=250)
"""By how much each failure too many slows the next attempt down."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What somebody shows of himself."""

    email: str
    password: str = field(repr=False)
    otp: str | None = field(default=None, repr=False)


class SignIn:
    """Takes credentials for tokens, for whoever stands at the door."""

    def __init__(self, directory: Directory) -> None:
        self._directory, self._services = directory, directory.services
        self._accounts = Accounts(directory.services)
        ttl = self._services.settings.login_lockout_ttl
        self._passwords, self._codes = (Attempts(self._services, kind, ttl) for kind in ("login", "otp"))

    async def tokens(self, shown: Credentials, mode: Mode = Mode.JSON) -> Tokens:
        """Tokens for an active user with a password here.

        Raises InvalidCredentials for everybody else, whatever the reason, for a wrong password, and where the request
        claims falsely to come from somebody; InvalidOtp where the password is right and the code of the second factor
        isn't, ServiceUnavailable while the database is away.
        """
        async with at_least(self._services.settings.login_stall_time):
            await self._directory.access()
            account = await self.proved(shown)
            begun = await self._services.database.change(
                lambda writer: self._begin(writer, account, shown.email, mode), alone=False
            )
            second = account.tfa_secret is not None
            return await make_tokens(self._services, begun, mode, self._directory.caller.ip, second_factor=second)

    async def proved(self, shown: Credentials) -> Account:
        """Whose credentials these are; the same work is done for an address that nobody has."""
        locked, account = await self._counted(shown.email), await self._accounts.by_email(shown.email)
        hashed = account.password if account else None
        right = not locked and await self._services.passwords.verified(shown.password, hashed)
        if not right or account is None or not account.ours:
            raise InvalidCredentials
        if account.tfa_secret is not None and not await self._second(account, shown.otp):
            raise InvalidOtp
        return account

    async def _counted(self, email: str) -> bool:
        """Counts an attempt; whether its address is locked out of the account. Of an account with many, it waits."""
        ip, allowed = self._directory.caller.ip, await self._accounts.attempts_allowed()
        here, anywhere = await self._passwords.count(at_account_from(email, ip), at_account(email))
        if allowed is None:
            return False
        if here == allowed + 1:
            await self._tell_of_lockout(email)
        late = min(DELAY * max(0, anywhere - allowed), LONGEST_DELAY)
        await asyncio.sleep(late.total_seconds())
        return here > allowed

    async def _second(self, account: Account, code: str | None) -> bool:
        """Whether a code is right: of an authenticator, or one for the day when that is lost."""
        if not code:
            return False
        tried = (await self._codes.count((account.id,)))[0]
        codes = Codes(self._services, account.id)
        if tried > CODES_ALLOWED:
            return False
        return await codes.use(code, account.tfa_secret or "", "login") or await codes.use_recovery(code)

    async def _begin(self, writer: Writer, account: Account, email: str, mode: Mode) -> Begun:
        """A session, and what is told of it; the failures before it are forgotten."""
        caller, via = self._directory.caller, self._directory.via()
        begun = await Sessions(writer, self._services).begin(account.id, lifetime(self._services, mode), caller, via)
        await self._passwords.forget(writer, at_account_from(email, caller.ip), at_account(email))
        await self._codes.forget(writer, (account.id,))
        await Trail(writer, account.id, caller, via).record("login", USERS, account.id)
        return begun

    async def _tell_of_lockout(self, email: str) -> None:
        """Writes down that an address is locked out of an account, where there is one."""
        account = await self._accounts.by_email(email)
        if account is None:
            return
        caller, via = acting_for(account.id, self._directory.caller), self._directory.via()

        async def tell(writer: Writer) -> None:
            await Trail(writer, account.id, caller, via).record("lockout", USERS, account.id)

        await self._services.database.change(tell, alone=False)
