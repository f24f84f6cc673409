"""One-time passwords and recovery codes, each of which is accepted once."""

from sqlalchemy import BigInteger, ClauseElement, delete, insert, text

from app.core.bindings import Bindings
from app.core.otp import hash_recovery_code, matching_totp_step
from app.db.models import RECOVERY_CODES, USED_CODES
from app.db.statement import EMPTY_BINDINGS, bind_param
from app.db.transaction import WriteTransaction
from app.repositories.services import Services

ANY_PURPOSE = "login"
"""The only purpose that is stored: a code that was used for one purpose is used for all."""
MARK_STEP_USED = (
    text(
        'INSERT INTO rollcall_used_codes ("user", purpose, step) VALUES (:user, :purpose, :step) '
        'ON CONFLICT ("user", purpose) DO UPDATE SET step = excluded.step '
        "WHERE rollcall_used_codes.step < excluded.step RETURNING step"
    )
    .bindparams(*(bind_param(name, USED_CODES.c[name].type) for name in ("user", "purpose", "step")))
    .columns(step=BigInteger())
)


class OTPStore:
    """The one-time passwords and recovery codes of one user."""

    def __init__(self, services: Services, user: str) -> None:
        self._services, self._user = services, user

    async def verify_and_consume(self, code: str, secret: str) -> bool:
        """Accept a one-time password and return whether it is valid now and was not used before, for any purpose."""
        # An empty secret has codes too, which anybody could compute.
        step = matching_totp_step(code, secret, self._services.clock()) if secret else None
        if step is None:
            return False
        row = {"user": self._user, "purpose": ANY_PURPOSE, "step": step}
        return await self._execute(MARK_STEP_USED, row)

    async def consume_recovery_code(self, code: str, secret: str) -> bool:
        """Delete a recovery code and return whether it was an unused one for this secret."""
        is_code = (RECOVERY_CODES.c.hash == hash_recovery_code(code, secret)) & (RECOVERY_CODES.c.user == self._user)
        deletion = delete(RECOVERY_CODES).where(is_code).returning(RECOVERY_CODES.c.hash)
        return await self._execute(deletion)

    async def replace_recovery_codes(self, writer: WriteTransaction, codes: list[str], secret: str) -> None:
        """Replace all recovery codes with these, which are valid as long as the secret does not change."""
        await self._delete_recovery_codes(writer)
        for code in codes:
            row = {"hash": hash_recovery_code(code, secret), "user": self._user}
            await writer.execute(insert(RECOVERY_CODES).values(row))

    async def delete_all(self, writer: WriteTransaction) -> None:
        """Delete all recovery codes and the record of used codes, because the secret was set or removed.

        So the code that enabled a secret is accepted once more.
        """
        await self._delete_recovery_codes(writer)
        await writer.execute(delete(USED_CODES).where(USED_CODES.c.user == self._user))

    async def _execute(self, statement: ClauseElement, bindings: Bindings = EMPTY_BINDINGS) -> bool:
        """Run a statement in its own transaction and return whether it returned a row."""
        database = self._services.database
        return bool(await database.run_write(lambda writer: writer.execute(statement, bindings), exclusive=False))

    async def _delete_recovery_codes(self, writer: WriteTransaction) -> None:
        await writer.execute(delete(RECOVERY_CODES).where(RECOVERY_CODES.c.user == self._user))
