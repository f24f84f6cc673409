"""The codes of a second factor: those of an authenticator, and the ten that help where it is lost."""

import base64
import hashlib
import secrets
from datetime import datetime
from urllib.parse import quote, urlencode

import pyotp

SECRET_BYTES = 20
"""Random bytes of an authenticator's secret, 32 characters: what RFC 4226 asks for, twice what Directus makes."""
STEP_SECONDS, DIGITS, ALGORITHM = 30, 6, "SHA1"
RECOVERY_CODES, RECOVERY_BYTES, RECOVERY_GROUP = 10, 10, 4


class _TOTP(pyotp.TOTP):
    """The codes of a secret, also of one of 80 bits: Directus makes those, and the library refuses them."""

    def byte_secret(self) -> bytes:
        return base64.b32decode(self.secret + "=" * (-len(self.secret) % 8), casefold=True)


def generate_totp_secret() -> str:
    """A new secret for an authenticator."""
    return base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode()


def otpauth_url(secret: str, account: str, project: str) -> str:
    """The `otpauth:` address that an authenticator reads a secret from."""
    told = {"secret": secret, "period": STEP_SECONDS, "digits": DIGITS, "algorithm": ALGORITHM, "issuer": project}
    return f"otpauth://totp/{quote(project, safe='')}:{quote(account, safe='')}?{urlencode(told, quote_via=quote)}"


def matching_totp_step(code: str, secret: str, now: datetime) -> int | None:
    """The step of time, 30 s each, that a code of six digits is good in, if that is this one; else None."""
    try:
        fits = code.isascii() and _TOTP(secret).verify(code, for_time=now)
    except ValueError:  # a secret that isn't base32
        return None
    return int(now.timestamp()) // STEP_SECONDS if fits else None


def generate_recovery_codes() -> list[str]:
    """Ten new recovery codes, of 80 bits each, in groups that can be copied by hand."""
    return [_in_groups(base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode()) for _ in range(RECOVERY_CODES)]


def hash_recovery_code(code: str, secret: str) -> str:
    """What is stored of a recovery code that stands in for this secret; with another secret it is good for nothing.

    It is too long to be found out, so a fast hash will do.
    """
    plain = code.replace("-", "").replace(" ", "").upper()
    return hashlib.sha256(f"{secret}:{plain}".encode(errors="replace")).hexdigest()


def _in_groups(text: str) -> str:
    return "-".join(text[at : at + RECOVERY_GROUP] for at in range(0, len(text), RECOVERY_GROUP)).lower()
