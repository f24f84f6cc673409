"""Login: exchanges an email, a password and, with two-factor authentication, a second factor for tokens.

Every failure gets the same response after the same time. Too many failures lock the client's IP (for IPv6 its /64
network) out of that account for a while. Failures from all IPs together only delay the account's logins, so that no
client can lock another one out.
"""

from dataclasses import dataclass, field

from app.core.caller import on_behalf_of
from app.core.errors import InvalidCredentials, InvalidOtp
from app.db.transaction import WriteTransaction
from app.flows.login_lockout import LoginLockout
from app.flows.otp_verifier import OTPVerifier
from app.flows.passkeys.assertions import PasskeyResponse, ProvenPasskey
from app.flows.passkeys.second_factor import check_second_factor
from app.flows.session_start import SessionStart
from app.flows.sign_in_outcomes import counted_sign_in
from app.flows.timing import minimum_duration
from app.flows.tokens import TokenMode, Tokens, issue_tokens
from app.query.collection import USERS
from app.repositories.commands.accounts import Account, AccountStore, is_unchanged
from app.repositories.directory import Directory
from app.repositories.engine.audit_log import AuditLog
from app.repositories.stores.sessions import SessionGrant


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client presents to log in."""

    email: str
    password: str = field(repr=False)
    otp: str | None = field(default=None, repr=False)
    passkey: PasskeyResponse | None = field(default=None, repr=False)


class LoginService:
    """Logs users in with their password."""

    def __init__(self, directory: Directory) -> None:
        self._directory, self._services = directory, directory.services
        self._accounts = AccountStore(directory.services)
        self._lockout = LoginLockout(directory)

    async def login(self, credentials: Credentials, mode: TokenMode = TokenMode.JSON) -> Tokens:
        """Return tokens for an active user whose password Rollcall verifies.

        Raises:
            InvalidCredentials: The user is unknown, inactive, locked out or uses another provider, the password is
                wrong, or the request itself carries invalid credentials.
            InvalidOtp: The password is right, but the one-time password or the passkey is wrong or missing.
            ServiceUnavailable: The database is unavailable.
        """
        async with minimum_duration(self._services.settings.login_stall_time):
            with counted_sign_in(self._services.metrics, "password"):
                return await self._login(credentials, mode)

    async def _login(self, credentials: Credentials, mode: TokenMode) -> Tokens:
        await self._directory.access()
        account = await self.check_password(credentials.email, credentials.password)
        passkey = await check_second_factor(self._services, account, credentials.otp, credentials.passkey)
        grant = await self._services.database.run_write(
            lambda writer: self._begin_session(writer, account, credentials.email, mode, passkey), exclusive=False
        )
        if grant is None:
            raise InvalidOtp
        has_tfa = account.has_second_factor
        return await issue_tokens(self._services, grant, mode, self._directory.caller.ip, has_tfa=has_tfa)

    async def authenticate(self, credentials: Credentials) -> Account:
        """Return the account that a password, and a one-time password if one is required, belong to.

        Raises:
            InvalidCredentials, InvalidOtp: As `login`.
        """
        account = await self.check_password(credentials.email, credentials.password)
        await check_second_factor(self._services, account, credentials.otp, passkey=None)
        return account

    async def check_password(self, email: str, password: str) -> Account:
        """Return the account with this email and password.

        The attempt is counted, and a hash is verified for unknown emails too, so that timing reveals nothing.

        Raises:
            InvalidCredentials: As in `login`.
        """
        locked_out = await self._lockout.count_attempt(email, lambda: self._record_lockout(email))
        account = await self._accounts.by_email(email)
        hashed = account.password if account else None
        verified = not locked_out and await self._services.passwords.verify(password, hashed)
        if not verified or account is None or not account.can_use_password:
            raise InvalidCredentials
        return account

    async def reset_attempts(self, writer: WriteTransaction, email: str) -> None:
        """Reset the failure counts of an email, those of the client's IP and of all IPs."""
        await self._lockout.reset(writer, email)

    async def _begin_session(
        self, writer: WriteTransaction, account: Account, email: str, mode: TokenMode, passkey: ProvenPasskey | None
    ) -> SessionGrant | None:
        """Start a session and reset the failure counts; return None if the use of the passkey is not permitted.

        Raises:
            InvalidCredentials: The account changed after its credentials were checked; for example, its password was
                replaced, which ended all its sessions.
        """
        if not await is_unchanged(writer, account):
            raise InvalidCredentials
        if passkey is not None and not await passkey.record_use(writer, self._services):
            return None
        start = SessionStart(self._directory, mode)
        grant = await start.begin(writer, account.id, email)
        await self.reset_attempts(writer, email)
        await OTPVerifier(self._services, account).reset(writer)
        writer.after_commit = start.after_commit
        return grant

    async def _record_lockout(self, email: str) -> None:
        """Count a lockout, and record it in the audit log, if the account exists."""
        self._services.metrics.lockouts.add("password")
        account = await self._accounts.by_email(email)
        if account is None:
            return
        caller, client_info = on_behalf_of(account.id, self._directory.caller), self._directory.client_info()

        async def record(writer: WriteTransaction) -> None:
            await AuditLog(writer, account.id, caller, client_info).record("lockout", USERS, account.id)

        await self._services.database.run_write(record, exclusive=False)
