"""The proof that it is the user who changes how to sign in, not another person with an open session."""

from dataclasses import dataclass, field

from app.core.errors import InvalidCredentials, InvalidOtp
from app.flows.login import LoginService
from app.flows.otp_verifier import OTPVerifier
from app.flows.passkeys.assertions import PasskeyResponse, prove_passkey
from app.flows.passkeys.challenge import Purpose
from app.flows.passkeys.second_factor import requires_second_factor
from app.passkeys.relying_party import CeremonyRejected
from app.repositories.commands.accounts import Account
from app.repositories.directory import Directory


@dataclass(frozen=True, slots=True)
class Proof:
    """What a client sends as proof: a passkey, or a password, with a one-time password if the account has them."""

    password: str | None = field(default=None, repr=False)
    otp: str | None = field(default=None, repr=False)
    passkey: PasskeyResponse | None = field(default=None, repr=False)


async def confirm_account(directory: Directory, account: Account, proof: Proof) -> None:
    """Check that the caller could sign in to an account now.

    A passkey is always enough, as its authenticator verifies the user. Otherwise it takes the password, and a one-time
    password or a recovery code if the account has them. These alone prove nothing: a session is enough to set them up.

    Raises:
        InvalidCredentials: The proof is missing or wrong.
        InvalidOtp: A second factor is required.
        InvalidProviderConfig: The proof is a passkey, and passkeys are not available.
    """
    services = directory.services
    if proof.passkey is not None:
        await _confirm_with_passkey(directory, account, proof.passkey)
        return
    await _confirm_with_password(directory, account, proof.password)
    if account.tfa_secret is not None:
        verifier = OTPVerifier(services, account)
        if not await verifier.verify(proof.otp, recovery=True):
            raise InvalidOtp
        await services.database.run_write(verifier.reset, exclusive=False)
    elif await requires_second_factor(services, account):
        raise InvalidOtp


async def _confirm_with_passkey(directory: Directory, account: Account, response: PasskeyResponse) -> None:
    services = directory.services
    try:
        passkey = await prove_passkey(services, response, Purpose.CONFIRMATION)
    except CeremonyRejected:
        raise InvalidCredentials from None
    if passkey.stored.user != account.id or not account.can_use_password:
        raise InvalidCredentials
    if not await services.database.run_write(lambda writer: passkey.record_use(writer, services), exclusive=False):
        raise InvalidCredentials


async def _confirm_with_password(directory: Directory, account: Account, password: str | None) -> None:
    login, email = LoginService(directory), account.email
    if password is None or email is None or (await login.check_password(email, password)).id != account.id:
        raise InvalidCredentials
    await directory.services.database.run_write(lambda writer: login.reset_attempts(writer, email), exclusive=False)
