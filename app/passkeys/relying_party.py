"""The relying party of WebAuthn: options for browsers, and verification of what authenticators return.

Nothing is stored here. The library is imported when it is first needed, because it takes some MB of memory.
"""

import hmac
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from app.core.passkey_settings import PasskeySettings

MAX_CREDENTIAL_BYTES = 16 * 1024
"""Size of a credential as JSON; those of authenticators take 1 to 4 KiB."""
MAX_ID_LENGTH = 1400
"""In characters of base64url; WebAuthn limits an id to 1023 bytes."""
MAX_KEY_BYTES = 1024
"""Size of a public key; one of RSA with 4096 bits takes about 530 bytes."""
TRANSPORTS = frozenset({"usb", "nfc", "ble", "smart-card", "hybrid", "internal"})
"""The transports that are stored; others are ignored."""
TIMEOUT_MILLISECONDS = 300_000
"""How long a browser may wait for the user; as long as a challenge is valid."""
ACCEPTED_ATTESTATIONS = ("none", "packed")
"""Formats of attestations. None is requested; some authenticators sign with their own key nevertheless."""
UNKNOWN_KEY = bytes.fromhex(
    "a5010203262001215820"
    "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "225820"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)
"""A public key as COSE, the base point of P-256: what a response is verified with if its passkey is unknown."""


class CeremonyRejected(Exception):
    """The response of an authenticator is invalid; the text is for the log and has nothing of the response in it."""


class NewCredential(NamedTuple):
    """A verified new credential, as it is stored; `id` and `public_key` are base64url."""

    id: str
    public_key: str
    sign_count: int
    transports: tuple[str, ...]
    backed_up: bool
    synced: bool


@dataclass(frozen=True, slots=True)
class Assertion:
    """A client's response to request options, not verified yet: the id of its credential, and the user it names."""

    credential_id: str
    user_handle: bytes | None = field(repr=False)
    parsed: Any = field(repr=False)


class VerifiedAssertion(NamedTuple):
    """What an authenticator asserts: its counter, and whether its credential is backed up."""

    sign_count: int
    backed_up: bool


class RelyingParty:
    """This server in the ceremonies of WebAuthn. Verification takes about a millisecond of CPU: run it in a thread."""

    def __init__(self, settings: PasskeySettings) -> None:
        self._id, self._origins = settings.rp_id, list(settings.origins)

    def creation_options(
        self, challenge: bytes, name: str, user: bytes, user_name: str, existing: Sequence[str]
    ) -> dict[str, Any]:
        """Return the options of a registration as JSON; `existing` are the ids of the user's credentials.

        The credential has to be discoverable and verify its user, so that it can replace the password.
        """
        from webauthn import base64url_to_bytes, generate_registration_options  # noqa: PLC0415  # see above
        from webauthn.helpers import options_to_json_dict, structs  # noqa: PLC0415

        selection = structs.AuthenticatorSelectionCriteria(
            resident_key=structs.ResidentKeyRequirement.REQUIRED,
            user_verification=structs.UserVerificationRequirement.REQUIRED,
        )
        options = generate_registration_options(
            rp_id=self._id,
            rp_name=name,
            user_id=user,
            user_name=user_name,
            challenge=challenge,
            timeout=TIMEOUT_MILLISECONDS,
            authenticator_selection=selection,
            exclude_credentials=[structs.PublicKeyCredentialDescriptor(base64url_to_bytes(one)) for one in existing],
            supported_pub_key_algs=_algorithms(),
        )
        return options_to_json_dict(options)

    def request_options(self, challenge: bytes, *, require_verification: bool) -> dict[str, Any]:
        """Return the options of a sign-in as JSON; they name no credential, so they reveal nothing of any account."""
        from webauthn import generate_authentication_options  # noqa: PLC0415  # see above
        from webauthn.helpers import options_to_json_dict, structs  # noqa: PLC0415

        requirement = structs.UserVerificationRequirement
        options = generate_authentication_options(
            rp_id=self._id,
            challenge=challenge,
            timeout=TIMEOUT_MILLISECONDS,
            user_verification=requirement.REQUIRED if require_verification else requirement.PREFERRED,
        )
        return options_to_json_dict(options)

    def verify_registration(self, credential: Any, challenge: bytes) -> NewCredential:
        """Return the new credential of a registration.

        Raises:
            CeremonyRejected: The response is malformed, answers another challenge, comes from another origin or relying
                party, or the user was not verified.
        """
        from webauthn import verify_registration_response  # noqa: PLC0415  # see above
        from webauthn.helpers import bytes_to_base64url, parse_registration_credential_json  # noqa: PLC0415

        _check_size(credential)
        with _rejecting("the response to the registration is invalid"):
            parsed = parse_registration_credential_json(credential)
            _check_same_origin(parsed.response.client_data_json)
            verified = verify_registration_response(
                credential=parsed,
                expected_challenge=challenge,
                expected_rp_id=self._id,
                expected_origin=self._origins,
                require_user_verification=True,
                supported_pub_key_algs=_algorithms(),
            )
        # the id outside of the signed data must be the one inside
        if not hmac.compare_digest(verified.credential_id, parsed.raw_id):
            raise CeremonyRejected("the response has two ids")
        id_ = bytes_to_base64url(verified.credential_id)
        if len(id_) > MAX_ID_LENGTH or len(verified.credential_public_key) > MAX_KEY_BYTES:
            raise CeremonyRejected("the id or the key of the credential is too long")
        if verified.fmt not in ACCEPTED_ATTESTATIONS:
            raise CeremonyRejected("the response has an attestation, which was not requested")
        names = credential["response"].get("transports")
        return NewCredential(
            id_,
            bytes_to_base64url(verified.credential_public_key),
            verified.sign_count,
            tuple(sorted(TRANSPORTS.intersection(filter(_is_text, names if isinstance(names, list) else ())))),
            verified.credential_backed_up,
            verified.credential_device_type == "multi_device",
        )

    def parse_assertion(self, credential: Any) -> Assertion:
        """Return a response to request options without verifying it.

        Raises:
            CeremonyRejected: It is malformed.
        """
        from webauthn.helpers import bytes_to_base64url, parse_authentication_credential_json  # noqa: PLC0415

        _check_size(credential)
        with _rejecting("the response is malformed"):
            parsed = parse_authentication_credential_json(credential)
            return Assertion(bytes_to_base64url(parsed.raw_id), parsed.response.user_handle, parsed)

    def verify_assertion(
        self, assertion: Assertion, challenge: bytes, public_key: str | None, *, require_verification: bool
    ) -> VerifiedAssertion:
        """Verify an assertion with a stored key; None if the passkey is unknown, which takes as long and fails.

        The counter is not compared, because only the statement that stores it can do so without a race.

        Raises:
            CeremonyRejected: The signature is wrong, or the assertion answers another challenge, comes from another
                origin or relying party, or lacks a verification of the user.
        """
        from webauthn import base64url_to_bytes, verify_authentication_response  # noqa: PLC0415  # see above

        with _rejecting("the response is invalid"):
            _check_same_origin(assertion.parsed.response.client_data_json)
            verified = verify_authentication_response(
                credential=assertion.parsed,
                expected_challenge=challenge,
                expected_rp_id=self._id,
                expected_origin=self._origins,
                credential_public_key=UNKNOWN_KEY if public_key is None else base64url_to_bytes(public_key),
                credential_current_sign_count=0,
                require_user_verification=require_verification,
            )
        if public_key is None:
            raise CeremonyRejected("the passkey is unknown")
        return VerifiedAssertion(verified.new_sign_count, verified.credential_backed_up)


@contextmanager
def _rejecting(reason: str) -> Iterator[None]:
    """Turn any error of the library, also of the parsers below it, into CeremonyRejected."""
    try:
        yield
    except CeremonyRejected:
        raise
    except Exception:  # noqa: BLE001  # the parsers of COSE, CBOR, ASN.1 and JSON each have their own errors
        raise CeremonyRejected(reason) from None


def _algorithms() -> list[Any]:
    from webauthn.helpers.cose import COSEAlgorithmIdentifier  # noqa: PLC0415  # see above

    names = ("ECDSA_SHA_256", "EDDSA", "RSASSA_PKCS1_v1_5_SHA_256")
    return [COSEAlgorithmIdentifier[name] for name in names]


def _check_size(credential: Any) -> None:
    """Raise CeremonyRejected for a credential that is no object, or is larger than any authenticator makes it."""
    if not isinstance(credential, Mapping):
        raise CeremonyRejected("the response is no object")
    try:
        size = len(orjson.dumps(credential))
    except TypeError:
        raise CeremonyRejected("the response is malformed") from None
    if size > MAX_CREDENTIAL_BYTES:
        raise CeremonyRejected("the response is too large")


def _check_same_origin(client_data: bytes) -> None:
    """Raise CeremonyRejected for a response from a frame within a page of another origin, which the library accepts."""
    if orjson.loads(client_data).get("crossOrigin", False) is not False:
        raise CeremonyRejected("the response comes from a frame of another origin")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)
