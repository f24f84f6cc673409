"""Utilities for clients: random strings, hashes, and clearing the cache."""

import re
import secrets

from app.core.errors import Forbidden, InvalidPayload
from app.core.hash_parameters import MAX_PASSWORD_LENGTH, has_hashable_length
from app.repositories.directory import Directory
from app.repositories.services import Services

DEFAULT_LENGTH, MAX_LENGTH = 32, 500
"""Length of a random string in characters."""
MAX_HASH_LENGTH = 512
MAX_ARGON2_PARAMETERS = {"m": 65536, "t": 10, "p": 16}
"""Limits on a hash to verify: memory in KiB, iterations and threads. The client's hash determines what it costs."""
ARGON2_HASH = re.compile(r"\$argon2(?:id|i|d)\$v=19\$m=(\d{1,9}),t=(\d{1,9}),p=(\d{1,9})\$[\w+/-]+\$[\w+/-]+", re.ASCII)


def random_string(length: int | None) -> str:
    """Return an unpredictable string of letters, digits, `_` and `-`.

    Raises:
        InvalidPayload: The length is out of range.
    """
    length = DEFAULT_LENGTH if length is None else length
    if not 1 <= length <= MAX_LENGTH:
        raise InvalidPayload(f'"length" must be between 1 and {MAX_LENGTH}')
    return secrets.token_urlsafe(length)[:length]


async def hash_text(services: Services, text: str) -> str:
    """Return the hash of a text.

    Raises:
        InvalidPayload: The text is empty, or longer than a password may be.
    """
    return await services.utility_hasher.hash(_check_length(text))


async def verify_hash(services: Services, text: str, hashed: str) -> bool:
    """Return whether a text has this hash.

    Raises:
        InvalidPayload: The hash is malformed or too expensive to verify, or the text's length is out of range.
    """
    match = ARGON2_HASH.fullmatch(hashed) if len(hashed) <= MAX_HASH_LENGTH else None
    if match is None:
        raise InvalidPayload('"hash" must be an argon2 hash, as utils_hash_generate returns it: $argon2…')
    if any(int(value) > limit for value, limit in zip(match.groups(), MAX_ARGON2_PARAMETERS.values(), strict=True)):
        limits = ", ".join(f"{name}={limit}" for name, limit in MAX_ARGON2_PARAMETERS.items())
        raise InvalidPayload(f'"hash" must not exceed the parameters {limits}')
    return await services.utility_hasher.verify(_check_length(text), hashed)


async def clear_cache(directory: Directory) -> None:
    """Clear the access cache and with it the query plans.

    Raises:
        Forbidden: The caller is no admin.
    """
    access = await directory.fresh_access()
    if not access.admin:
        raise Forbidden
    directory.services.access_cache.clear()


def _check_length(text: str) -> str:
    if not has_hashable_length(text):
        raise InvalidPayload(f'"string" must have 1 to {MAX_PASSWORD_LENGTH} characters')
    return text
