"""Sign-in with a passkey alone: its authenticator has verified the user, so that no password is needed."""

import structlog

from app.core.errors import InvalidCredentials
from app.db.transaction import WriteTransaction
from app.flows.otp_verifier import OTPVerifier
from app.flows.passkeys.assertions import (
    PasskeyOptions,
    PasskeyResponse,
    ProvenPasskey,
    prove_passkey,
    relying_party,
    request_options,
)
from app.flows.passkeys.challenge import Purpose
from app.flows.session_start import SessionStart
from app.flows.sign_in_outcomes import counted_sign_in
from app.flows.timing import minimum_duration
from app.flows.tokens import TokenMode, Tokens, issue_tokens
from app.passkeys.relying_party import CeremonyRejected
from app.repositories.commands.accounts import Account, AccountStore, is_unchanged
from app.repositories.directory import Directory
from app.repositories.stores.sessions import SessionGrant

PASSKEY_USES = {
    "sign_in": Purpose.SIGN_IN,
    "second_factor": Purpose.SECOND_FACTOR,
    "confirmation": Purpose.CONFIRMATION,
}
"""What clients may request options for without credentials, by the names that they use."""

log = structlog.get_logger(__name__)


class PasskeySignIn:
    """Signs users in with a passkey."""

    def __init__(self, directory: Directory) -> None:
        self._directory, self._services = directory, directory.services

    def options(self, use: str = "sign_in") -> PasskeyOptions:
        """Return options to prove a passkey, for one of PASSKEY_USES.

        Raises:
            InvalidProviderConfig: Passkeys are not available.
        """
        return request_options(self._services, PASSKEY_USES[use])

    async def sign_in(self, response: PasskeyResponse, mode: TokenMode = TokenMode.JSON) -> Tokens:
        """Return tokens for the active user whose passkey a response proves.

        Raises:
            InvalidCredentials: It proves none, the passkey is unknown or its counter has not increased, the user is
                inactive or uses another provider, or the request itself carries invalid credentials.
            InvalidProviderConfig: Passkeys are not available.
            ServiceUnavailable: The database is unavailable.
        """
        relying_party(self._services)
        async with minimum_duration(self._services.settings.login_stall_time):
            with counted_sign_in(self._services.metrics, "passkey"):
                return await self._sign_in(response, mode)

    async def _sign_in(self, response: PasskeyResponse, mode: TokenMode) -> Tokens:
        await self._directory.access()
        try:
            passkey = await prove_passkey(self._services, response, Purpose.SIGN_IN)
        except CeremonyRejected as rejection:
            log.info("passkey_rejected", reason=str(rejection))
            raise InvalidCredentials from None
        account = await AccountStore(self._services).by_id(passkey.stored.user)
        if account is None or not account.can_use_password:
            raise InvalidCredentials
        grant = await self._start_session(account, passkey, mode)
        return await issue_tokens(self._services, grant, mode, self._directory.caller.ip, has_tfa=True)

    async def _start_session(self, account: Account, passkey: ProvenPasskey, mode: TokenMode) -> SessionGrant:
        start = SessionStart(self._directory, mode)

        async def begin(writer: WriteTransaction) -> SessionGrant | None:
            if not await is_unchanged(writer, account):
                raise InvalidCredentials
            if not await passkey.record_use(writer, self._services):
                return None
            grant = await start.begin(writer, account.id, account.email)
            await OTPVerifier(self._services, account).reset(writer)
            writer.after_commit = start.after_commit
            return grant

        grant = await self._services.database.run_write(begin, exclusive=False)
        if grant is None:
            raise InvalidCredentials
        return grant
