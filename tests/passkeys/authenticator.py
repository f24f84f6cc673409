"""An authenticator in software: creates credentials and signs challenges; each part of that can be made wrong."""

import hashlib
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

PRESENT, VERIFIED, BACKUP_ELIGIBLE, BACKED_UP, HAS_CREDENTIAL = 0x01, 0x04, 0x08, 0x10, 0x40
COSE_ES256 = {1: 2, 3: -7, -1: 1}
ORIGIN = "https://directory.example.com"
RP_ID = "directory.example.com"


def encode(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Authenticator:
    """Holds one credential. `count` is its counter, which each signature increases by `step`."""

    origin: str = ORIGIN
    rp_id: str = RP_ID
    count: int = 0
    step: int = 1
    flags: int = PRESENT | VERIFIED
    user_handle: bytes | None = None
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def create(self, options: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """Return the response to the options of a registration, as `PublicKeyCredential.toJSON()` writes it."""
        self.user_handle = decode(options["user"]["id"])
        attested = bytes(16) + len(self.credential_id).to_bytes(2) + self.credential_id + self.cose_key()
        data = self._authenticator_data(self.flags | HAS_CREDENTIAL) + attested
        attestation = {"fmt": "none", "attStmt": {}, "authData": data, **changes.pop("attestation", {})}
        response = {
            "clientDataJSON": self._client_data("webauthn.create", options, changes),
            "attestationObject": encode(cbor2.dumps(attestation)),
            "transports": ["internal", "hybrid", "made-up"],
        }
        return self._credential({**response, **changes})

    def get(self, options: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """Return the response to the options of a sign-in."""
        self.count += self.step
        client_data, data = self._client_data("webauthn.get", options, changes), self._authenticator_data(self.flags)
        signed = data + hashlib.sha256(decode(client_data)).digest()
        response = {
            "clientDataJSON": client_data,
            "authenticatorData": encode(data),
            "signature": encode(self.key.sign(signed, ec.ECDSA(SHA256()))),
            "userHandle": self.user_handle and encode(self.user_handle),
        }
        return self._credential({**response, **changes})

    def copy(self, **changes: Any) -> "Authenticator":
        """Return an authenticator that differs in these attributes, like a clone."""
        return Authenticator(**{**self.__dict__, **changes})

    def cose_key(self) -> bytes:
        numbers = self.key.public_key().public_numbers()
        return cbor2.dumps({**COSE_ES256, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)})

    def _authenticator_data(self, flags: int) -> bytes:
        return hashlib.sha256(self.rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4)

    def _client_data(self, kind: str, options: dict[str, Any], changes: dict[str, Any]) -> str:
        values = {"type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": False}
        return encode(json.dumps(values | changes.pop("client_data", {})).encode())

    def _credential(self, response: dict[str, Any]) -> dict[str, Any]:
        id_ = encode(self.credential_id)
        return {"id": id_, "rawId": id_, "type": "public-key", "clientExtensionResults": {}, "response": response}
