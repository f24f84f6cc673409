"""One-time passwords: TOTP codes of an authenticator app, and recovery codes."""

import base64
import hashlib
import secrets
from datetime import datetime
from urllib.parse import quote, urlencode

import pyotp

SECRET_BYTES = 20
"""Random bytes of a TOTP secret, which give 32 characters: as RFC 4226 recommends, and twice as many as Directus."""
STEP_SECONDS, DIGITS, ALGORITHM = 30, 6, "SHA1"
RECOVERY_CODES, RECOVERY_BYTES, RECOVERY_GROUP = 10, 10, 4


class _TOTP(pyotp.TOTP):
    """TOTP that also accepts secrets of 80 bits: Directus generates those, and pyotp rejects them."""

    def byte_secret(self) -> bytes:
        return base64.b32decode(self.secret + "=" * (-len(self.secret) % 8), casefold=True)


def generate_totp_secret() -> str:
    """Return a new random TOTP secret in base32."""
    return base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode()


def otpauth_url(secret: str, account: str, project: str) -> str:
    """Return the `otpauth:` URL from which an authenticator app reads a secret."""
    query = {"secret": secret, "period": STEP_SECONDS, "digits": DIGITS, "algorithm": ALGORITHM, "issuer": project}
    return f"otpauth://totp/{quote(project, safe='')}:{quote(account, safe='')}?{urlencode(query, quote_via=quote)}"


def matching_totp_step(code: str, secret: str, now: datetime) -> int | None:
    """Return the current time step (of 30 s) if the six-digit code is valid in it, else None."""
    try:
        is_valid = code.isascii() and _TOTP(secret).verify(code, for_time=now)
    except ValueError:  # the secret is not base32
        return None
    return int(now.timestamp()) // STEP_SECONDS if is_valid else None


def generate_recovery_codes() -> list[str]:
    """Return ten new recovery codes of 80 bits each, in groups that are easy to copy by hand."""
    return [_in_groups(base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode()) for _ in range(RECOVERY_CODES)]


def hash_recovery_code(code: str, secret: str) -> str:
    """Return the stored hash of a recovery code, which is valid only with this TOTP secret.

    A fast hash suffices because a code has too many bits to be guessed.
    """
    normalized = code.replace("-", "").replace(" ", "").upper()
    return hashlib.sha256(f"{secret}:{normalized}".encode(errors="replace")).hexdigest()


def _in_groups(text: str) -> str:
    return "-".join(text[start : start + RECOVERY_GROUP] for start in range(0, len(text), RECOVERY_GROUP)).lower()
