"""Codes of a second factor, each good once: those of an authenticator, and recovery codes."""

from sqlalchemy import BigInteger, delete, insert, text

from app.core.otp import hash_recovery_code, matching_totp_step
from app.db.models import RECOVERY_CODES, USED_CODES
from app.db.statement import bind_param
from app.db.transaction import WriteTransaction
from app.repositories.services import Services

USED = (
    text(
        'INSERT INTO rollcall_used_codes ("user", purpose, step) VALUES (:user, :purpose, :step) '
        'ON CONFLICT ("user", purpose) DO UPDATE SET step = excluded.step '
        "WHERE rollcall_used_codes.step < excluded.step RETURNING step"
    )
    .bindparams(*(bind_param(name, USED_CODES.c[name].type) for name in ("user", "purpose", "step")))
    .columns(step=BigInteger())
)


class OTPStore:
    """The codes of a user's second factor."""

    def __init__(self, services: Services, user: str) -> None:
        self._services, self._user = services, user

    async def consume(self, code: str, secret: str, purpose: str) -> bool:
        """Whether an authenticator's code is the one of this moment, and wasn't used for this purpose before."""
        step = (
            matching_totp_step(code, secret, self._services.clock()) if secret else None
        )  # of no secret anybody has the codes
        if step is None:
            return False
        used = {"user": self._user, "purpose": purpose, "step": step}
        return bool(await self._services.database.run_write(lambda writer: writer.execute(USED, used), exclusive=False))

    async def consume_recovery_code(self, code: str, secret: str) -> bool:
        """Whether it is a recovery code made for this secret that is still good; from here on it isn't."""
        mine = (RECOVERY_CODES.c.hash == hash_recovery_code(code, secret)) & (RECOVERY_CODES.c.user == self._user)
        gone = delete(RECOVERY_CODES).where(mine).returning(RECOVERY_CODES.c.hash)
        return bool(await self._services.database.run_write(lambda writer: writer.execute(gone), exclusive=False))

    async def replace_recovery_codes(self, writer: WriteTransaction, codes: list[str], secret: str) -> None:
        """These recovery codes from here on, while the secret is this one, and no others."""
        await self._forget_recovery(writer)
        for code in codes:
            row = {"hash": hash_recovery_code(code, secret), "user": self._user}
            await writer.execute(insert(RECOVERY_CODES).values(row))

    async def delete_all(self, writer: WriteTransaction) -> None:
        """No recovery codes, and no memory of any code: the second factor is gone, or another one."""
        await self._forget_recovery(writer)
        await writer.execute(delete(USED_CODES).where(USED_CODES.c.user == self._user))

    async def _forget_recovery(self, writer: WriteTransaction) -> None:
        await writer.execute(delete(RECOVERY_CODES).where(RECOVERY_CODES.c.user == self._user))
