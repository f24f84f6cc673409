"""Verifies ID tokens (OpenID Connect Core 1.0, section 3.1.3.7)."""

import hmac
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import ClaimError, JoseError
from joserfc.jwk import ECKey, RSAKey

from app.identity_providers.base import IdentityRejected

RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
EC_ALGORITHMS = ("ES256", "ES384", "ES512")
ALGORITHMS = frozenset(RSA_ALGORITHMS + EC_ALGORITHMS)
"""Algorithms with a public key: with a shared one, as in HS256, verifying a token takes what also forges one."""
DEFAULT_ALGORITHM = "RS256"
CLOCK_SKEW_SECONDS = 60
MAX_ID_TOKEN_LENGTH = 64 * 1024
MAX_CANDIDATE_KEYS = 10
"""How many keys are tried if a token doesn't name its own."""

Jwk = dict[str, Any]


class NoSuchKey(Exception):
    """No key of the provider verifies the token: it may have been replaced."""


@dataclass(frozen=True, slots=True)
class ExpectedToken:
    """What an ID token must say; `algorithms` are those that the provider announces."""

    issuer: str
    client_id: str
    nonce: str
    algorithms: Collection[str]


def verify_id_token(token: str, keys: Sequence[Jwk], expected: ExpectedToken, now: datetime) -> dict[str, Any]:
    """Return the claims of an ID token.

    Raises:
        NoSuchKey: No key verifies it.
        IdentityRejected: It is not valid.
    """
    claims = _verified_claims(token, keys, expected.algorithms)
    registry = jwt.JWTClaimsRegistry(
        now=int(now.timestamp()),
        leeway=CLOCK_SKEW_SECONDS,
        iss={"essential": True, "value": expected.issuer},
        aud={"essential": True, "value": expected.client_id},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
    )
    try:
        registry.validate(claims)
    except ClaimError as error:
        raise IdentityRejected(f"the ID token is not valid: {type(error).__name__} {error.claim}") from None
    _check_authorized_party(claims, expected.client_id)
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), expected.nonce.encode()):
        raise IdentityRejected("the ID token belongs to another sign-in: its nonce differs")
    return claims


def accepted_algorithms(announced: Any) -> frozenset[str]:
    """Return the algorithms to accept of those that a provider announces."""
    listed = announced if isinstance(announced, list) else [DEFAULT_ALGORITHM]
    return ALGORITHMS & {each for each in listed if isinstance(each, str)}


def _verified_claims(token: str, keys: Sequence[Jwk], algorithms: Collection[str]) -> dict[str, Any]:
    """Return the claims of a token with a valid signature."""
    if len(token) > MAX_ID_TOKEN_LENGTH:
        raise IdentityRejected("the ID token is too long")
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError, UnicodeError):
        raise IdentityRejected("the ID token is no signed JWT") from None
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise IdentityRejected("the ID token is signed with an algorithm that the provider does not announce")
    for key in _candidates(keys, algorithm, key_id):
        try:
            return jwt.decode(token, key, algorithms=[algorithm]).claims
        except (JoseError, ValueError):
            continue
    if key_id is not None and any(key.get("kid") == key_id for key in keys):
        raise IdentityRejected("the signature of the ID token is not valid")
    raise NoSuchKey


def _candidates(keys: Sequence[Jwk], algorithm: str, key_id: Any) -> list[RSAKey | ECKey]:
    """Return the keys that may have signed a token; those that can't be read are left out."""
    type_: type[RSAKey | ECKey] = RSAKey if algorithm in RSA_ALGORITHMS else ECKey
    matching = [
        key
        for key in keys
        if key.get("kty") == type_.key_type
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
        and (key_id is None or key.get("kid") == key_id)
    ]
    candidates: list[RSAKey | ECKey] = []
    for key in matching[:MAX_CANDIDATE_KEYS]:
        try:
            candidates.append(type_.import_key(key))
        except (JoseError, ValueError, TypeError):
            continue
    return candidates


def _check_authorized_party(claims: dict[str, Any], client_id: str) -> None:
    """Check that a token for several audiences was issued to this client."""
    party, audience = claims.get("azp"), claims["aud"]
    needs_party = isinstance(audience, list) and len(audience) > 1
    if (party is not None or needs_party) and party != client_id:
        raise IdentityRejected("the ID token was issued to another client")
