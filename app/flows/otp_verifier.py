"""A code of somebody's second factor, tried: only so many wrong ones are borne."""

from app.db.transaction import WriteTransaction
from app.repositories.commands.accounts import Account
from app.repositories.services import Services
from app.repositories.stores.login_attempts import AttemptCounter
from app.repositories.stores.otp_codes import OTPStore

MAX_WRONG_CODES = 10
"""Wrong codes of a second factor that an account bears while failures count, wherever they are tried."""


class OTPVerifier:
    """The codes of one account that has a second factor, as somebody tries them."""

    def __init__(self, services: Services, account: Account) -> None:
        self._account, self._secret = account, account.tfa_secret or ""
        self._codes = OTPStore(services, account.id)
        self._attempts = AttemptCounter(services, "otp", services.settings.login_lockout_ttl)

    async def verify(self, code: str | None, purpose: str, *, recovery: bool) -> bool:
        """Whether a code is right, and wasn't used for this purpose before; it is counted before it is judged.

        With `recovery` it may also be one for the day when the authenticator is lost.
        """
        if not code:
            return False
        if (await self._attempts.count((self._account.id,)))[0] > MAX_WRONG_CODES:
            return False
        if await self._codes.consume(code, self._secret, purpose):
            return True
        return recovery and await self._codes.consume_recovery_code(code, self._secret)

    async def reset(self, writer: WriteTransaction) -> None:
        """Forgets the wrong ones."""
        await self._attempts.reset(writer, (self._account.id,))
