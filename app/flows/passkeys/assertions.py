"""Assertions: what an authenticator signs to prove that it holds a passkey."""

import asyncio
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog

from app.core.errors import InvalidProviderConfig
from app.db.transaction import WriteTransaction
from app.flows.passkeys.challenge import Challenge, Purpose, read_challenge
from app.passkeys.relying_party import Assertion, CeremonyRejected, RelyingParty, VerifiedAssertion
from app.repositories.services import Services
from app.repositories.stores.passkeys import PasskeyStore, StoredCredential, find_credential

PROVIDER = "passkey"
"""What an error names if passkeys are not available."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PasskeyOptions:
    """The options of a ceremony: what the browser's API takes, and the token to send back along with its result."""

    challenge_token: str = field(repr=False)
    public_key: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class PasskeyResponse:
    """What a client sends to prove that its user holds a passkey: the token of the challenge, and the credential."""

    challenge_token: str = field(repr=False)
    credential: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class ProvenPasskey:
    """A passkey whose authenticator has signed a challenge; the use is not recorded yet."""

    stored: StoredCredential
    assertion: VerifiedAssertion

    async def record_use(self, writer: WriteTransaction, services: Services) -> bool:
        """Record the use and return whether it is permitted; if not, the transaction must be committed all the same.

        It isn't if the passkey was revoked meanwhile, or if its counter has not increased: then the authenticator may
        have been copied.
        """
        store = PasskeyStore(writer, services)
        is_permitted = await store.record_use(
            self.stored.id, self.assertion.sign_count, backed_up=self.assertion.backed_up
        )
        if not is_permitted:
            log.warning("passkey_counter_rejected", user=self.stored.user, passkey=self.stored.id)
        return is_permitted


def relying_party(services: Services) -> RelyingParty:
    """Return the relying party of the settings.

    Raises:
        InvalidProviderConfig: Passkeys are disabled, or browsers support none at the server's URL.
    """
    settings = services.settings.passkeys
    if settings is None:
        raise InvalidProviderConfig(PROVIDER)
    return RelyingParty(settings)


def request_options(services: Services, purpose: Purpose) -> PasskeyOptions:
    """Return options to prove a passkey; they are the same for everybody, so they reveal nothing of any account.

    Raises:
        InvalidProviderConfig: Passkeys are not available.
    """
    party, challenge = relying_party(services), Challenge.start(purpose)
    public_key = party.request_options(challenge.bytes, require_verification=requires_verification(purpose))
    return PasskeyOptions(challenge.sign(services), public_key)


def requires_verification(purpose: Purpose) -> bool:
    """Return whether the authenticator has to verify its user, because nothing else does."""
    return purpose is not Purpose.SECOND_FACTOR


async def prove_passkey(services: Services, response: PasskeyResponse, purpose: Purpose) -> ProvenPasskey:
    """Return the passkey that a response proves. The same work is done for unknown passkeys.

    Raises:
        CeremonyRejected: The challenge is unknown, expired or answered before, the passkey is unknown, or the response
            does not prove it.
        InvalidProviderConfig: Passkeys are not available.
    """
    party = relying_party(services)
    challenge = read_challenge(response.challenge_token, purpose, services)
    if challenge is None:
        raise CeremonyRejected("the challenge is unknown or has expired")
    if not await challenge.consume(services):
        raise CeremonyRejected("the challenge was answered before")
    assertion = party.parse_assertion(response.credential)
    stored = await find_credential(services, assertion.credential_id)
    verified = await asyncio.to_thread(
        party.verify_assertion,
        assertion,
        challenge.bytes,
        stored.public_key if stored else None,
        require_verification=requires_verification(purpose),
    )
    if stored is None or not _names(assertion, stored.user):
        raise CeremonyRejected("the passkey belongs to another user")
    return ProvenPasskey(stored, verified)


def _names(assertion: Assertion, user: str) -> bool:
    """Return whether an assertion names this user, or none."""
    return assertion.user_handle in (None, user_handle(user))


def user_handle(user: str) -> bytes:
    """Return the bytes by which authenticators know a user."""
    return UUID(user).bytes
