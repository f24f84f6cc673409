"""The second factor of a sign-in with a password: a one-time password, or a passkey."""

from app.core.errors import InvalidOtp
from app.flows.otp_verifier import OTPVerifier
from app.flows.passkeys.assertions import PasskeyResponse, ProvenPasskey, prove_passkey
from app.flows.passkeys.challenge import Purpose
from app.passkeys.relying_party import CeremonyRejected
from app.policy.holdings import Holdings
from app.repositories.commands.accounts import Account
from app.repositories.services import Services


async def requires_second_factor(services: Services, account: Account) -> bool:
    """Return whether a password alone does not sign an account in.

    With one-time passwords it never does. With passkeys it does, unless a policy of the user enforces two-factor
    authentication; whichever IP address that policy is for, because a session may move.
    """
    if account.tfa_secret is not None:
        return True
    return account.has_second_factor and await _enforces_tfa(services, account.id)


async def check_second_factor(
    services: Services, account: Account, otp: str | None, passkey: PasskeyResponse | None
) -> ProvenPasskey | None:
    """Check the second factor of an account whose password was right; return the passkey, if it is one.

    Raises:
        InvalidOtp: It is wrong, or missing although it is required.
        InvalidProviderConfig: It is a passkey, and passkeys are not available.
    """
    if passkey is not None:
        return await _proven_by(services, account, passkey)
    if account.tfa_secret is not None:
        if not await OTPVerifier(services, account).verify(otp, recovery=True):
            raise InvalidOtp
    elif await requires_second_factor(services, account):
        raise InvalidOtp
    return None


async def _proven_by(services: Services, account: Account, response: PasskeyResponse) -> ProvenPasskey:
    try:
        passkey = await prove_passkey(services, response, Purpose.SECOND_FACTOR)
    except CeremonyRejected:
        raise InvalidOtp from None
    if passkey.stored.user != account.id:
        raise InvalidOtp
    return passkey


async def _enforces_tfa(services: Services, user: str) -> bool:
    holdings = Holdings(services.reader, services.limits.size, services.registry, services.clock())
    held = (await holdings.of_users([user])).get(user, {})
    return any(policy.enforce_tfa for policy in (await holdings.policies(held.keys())).values())
