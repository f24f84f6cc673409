"""Encrypted values of cookies: JWE with AES-256-GCM (RFC 7516, RFC 7518 section 5.3)."""

from typing import Any

import orjson
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

HEADER = {"alg": "dir", "enc": "A256GCM"}


def seal(values: object, key: bytes) -> str:
    """Return values encrypted with a key of 32 bytes."""
    return jwe.encrypt_compact(HEADER, orjson.dumps(values), OctKey.import_key(key))


def unseal(cookie: str, key: bytes) -> Any:
    """Return the values of a cookie, None if it was not encrypted with this key."""
    try:
        return orjson.loads(jwe.decrypt_compact(cookie, OctKey.import_key(key)).plaintext or b"")
    except (JoseError, ValueError):
        return None
