"""API tokens: their format, and the hash that is stored instead of them.

The hash is SHA-256. A slow hash such as argon2 protects secrets that can be guessed; a token has 256 random bits, which
cannot be, and every request would pay for the slow hash.
"""

import hashlib
import re
import secrets
import string

API_TOKEN_PREFIX = "rollcall_"  # noqa: S105  # what secret scanners recognize tokens by, not a token
SECRET_LENGTH = 43
"""Letters and digits after the prefix: 62 to the power of 43 is more than 2 to the power of 256."""
ALPHABET = string.ascii_letters + string.digits
_FORMAT = re.compile(rf"{API_TOKEN_PREFIX}[0-9A-Za-z]{{{SECRET_LENGTH}}}", re.ASCII)


def generate_api_token() -> str:
    """Return a new random API token."""
    return API_TOKEN_PREFIX + "".join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))


def is_api_token(token: str) -> bool:
    """Return whether a token has the format of API tokens; Directus' static tokens do not."""
    return _FORMAT.fullmatch(token) is not None


def hash_api_token(token: str) -> str:
    """Return the hash of an API token, 64 hexadecimal digits, by which it is stored and found."""
    return hashlib.sha256(token.encode()).hexdigest()
