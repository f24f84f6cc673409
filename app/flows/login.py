"""Signing in: an address and a password, and a code where there is a second factor, in exchange for tokens.

Whatever becomes of it is told in the same words and takes the same time. Too many failures lock one address out of one
account for a while; over all addresses they only slow an account's sign-ins down, so that nobody can lock another out.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

from app.core.caller import on_behalf_of
from app.core.errors import InvalidCredentials, InvalidOtp
from app.db.transaction import WriteTransaction
from app.flows.otp_verifier import OTPVerifier
from app.flows.timing import minimum_duration
from app.flows.tokens import TokenMode, Tokens, issue_tokens, session_ttl
from app.query.collection import USERS
from app.repositories.commands.accounts import Account, AccountStore, is_unchanged
from app.repositories.directory import Directory
from app.repositories.engine.audit_log import AuditLog
from app.repositories.stores.login_attempts import AttemptCounter, account_and_network_key, account_key
from app.repositories.stores.sessions import SessionGrant, SessionStore

MAX_DELAY = timedelta(seconds=5)
DELAY_PER_FAILURE = timedelta(milliseconds=250)
"""By how much each failure too many slows the next attempt down."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What somebody shows of himself."""

    email: str
    password: str = field(repr=False)
    otp: str | None = field(default=None, repr=False)


class LoginService:
    """Takes credentials for tokens, for whoever stands at the door."""

    def __init__(self, directory: Directory) -> None:
        self._directory, self._services = directory, directory.services
        self._accounts = AccountStore(directory.services)
        self._passwords = AttemptCounter(self._services, "login", self._services.settings.login_lockout_ttl)

    async def login(self, shown: Credentials, mode: TokenMode = TokenMode.JSON) -> Tokens:
        """Tokens for an active user with a password here.

        Raises InvalidCredentials for everybody else, whatever the reason, for a wrong password, and where the request
        claims falsely to come from somebody; InvalidOtp where the password is right and the code of the second factor
        isn't, ServiceUnavailable while the database is away.
        """
        async with minimum_duration(self._services.settings.login_stall_time):
            await self._directory.access()
            account = await self.authenticate(shown)
            begun = await self._services.database.run_write(
                lambda writer: self._begin(writer, account, shown.email, mode), exclusive=False
            )
            second = account.tfa_secret is not None
            return await issue_tokens(self._services, begun, mode, self._directory.caller.ip, second_factor=second)

    async def authenticate(self, shown: Credentials) -> Account:
        """Whose credentials these are."""
        account = await self.check_password(shown.email, shown.password)
        if account.tfa_secret is not None:
            codes = OTPVerifier(self._services, account)
            if not await codes.verify(shown.otp, "login", recovery=True):
                raise InvalidOtp
        return account

    async def check_password(self, email: str, password: str) -> Account:
        """Whose address and password these are, counted; the same work is done for an address that nobody has.

        Raises InvalidCredentials as above.
        """
        locked, account = await self._counted(email), await self._accounts.by_email(email)
        hashed = account.password if account else None
        right = not locked and await self._services.passwords.verify(password, hashed)
        if not right or account is None or not account.can_use_password:
            raise InvalidCredentials
        return account

    async def reset_attempts(self, writer: WriteTransaction, email: str) -> None:
        """Forgets the failures with an address."""
        ip = self._directory.caller.ip
        await self._passwords.reset(writer, account_and_network_key(email, ip), account_key(email))

    async def _counted(self, email: str) -> bool:
        """Counts an attempt; whether its address is locked out of the account. Of an account with many, it waits."""
        ip, allowed = self._directory.caller.ip, await self._accounts.attempts_allowed()
        here, anywhere = await self._passwords.count(account_and_network_key(email, ip), account_key(email))
        if allowed is None:
            return False
        if here == allowed + 1:
            await self._tell_of_lockout(email)
        late = min(DELAY_PER_FAILURE * max(0, anywhere - allowed), MAX_DELAY)
        await asyncio.sleep(late.total_seconds())
        return here > allowed

    async def _begin(self, writer: WriteTransaction, account: Account, email: str, mode: TokenMode) -> SessionGrant:
        """A session, and what is told of it; the failures before it are forgotten.

        Raises InvalidCredentials where the account isn't any more what was judged: its password is another one, say,
        and all sessions of the old one were just ended.
        """
        caller, via = self._directory.caller, self._directory.client_info()
        if not await is_unchanged(writer, account):
            raise InvalidCredentials
        begun = await SessionStore(writer, self._services).begin(
            account.id, session_ttl(self._services, mode), caller, via
        )
        await self.reset_attempts(writer, email)
        await OTPVerifier(self._services, account).reset(writer)
        await AuditLog(writer, account.id, caller, via).record("login", USERS, account.id)
        return begun

    async def _tell_of_lockout(self, email: str) -> None:
        """Writes down that an address is locked out of an account, where there is one."""
        account = await self._accounts.by_email(email)
        if account is None:
            return
        caller, via = on_behalf_of(account.id, self._directory.caller), self._directory.client_info()

        async def tell(writer: WriteTransaction) -> None:
            await AuditLog(writer, account.id, caller, via).record("lockout", USERS, account.id)

        await self._services.database.run_write(tell, exclusive=False)
