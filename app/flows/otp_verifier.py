"""Verification of one-time passwords, with a limit on wrong ones."""

from app.db.transaction import WriteTransaction
from app.repositories.commands.accounts import Account
from app.repositories.services import Services
from app.repositories.stores.login_attempts import AttemptCounter
from app.repositories.stores.otp_codes import OTPStore

MAX_WRONG_CODES = 10
"""Wrong one-time passwords allowed per account within `LOGIN_LOCKOUT_TTL`, whichever operation they are used for."""


class OTPVerifier:
    """Verifies one-time passwords of an account that uses two-factor authentication."""

    def __init__(self, services: Services, account: Account) -> None:
        self._account, self._secret = account, account.tfa_secret or ""
        self._metrics = services.metrics
        self._codes = OTPStore(services, account.id)
        self._attempts = AttemptCounter(services, "otp", services.settings.login_lockout_ttl)

    async def verify(self, code: str | None, *, recovery: bool) -> bool:
        """Return whether a code is right and was not used before; with `recovery`, accept recovery codes too.

        The attempt is counted before the code is checked.
        """
        if not code:
            return False
        count = (await self._attempts.count((self._account.id,)))[0]
        if count > MAX_WRONG_CODES:
            if count == MAX_WRONG_CODES + 1:
                self._metrics.lockouts.add("otp")
            return False
        if await self._codes.verify_and_consume(code, self._secret):
            return True
        return recovery and await self._codes.consume_recovery_code(code, self._secret)

    async def reset(self, writer: WriteTransaction) -> None:
        """Reset the account's count of wrong codes."""
        await self._attempts.reset(writer, (self._account.id,))
