"""Small services for clients: random texts, hashes of theirs, and a fresh start for what is remembered."""

import re
import secrets

from app.core.errors import Forbidden, InvalidPayload
from app.core.hashing import MAX_PASSWORD_LENGTH
from app.repositories.directory import Directory
from app.repositories.services import Services

DEFAULT_LENGTH, MAX_LENGTH = 32, 500
"""Characters of a random text that nobody gave a length for, and of the longest."""
MAX_HASH_LENGTH = 512
MAX_ARGON2_PARAMETERS = {"m": 65536, "t": 10, "p": 16}
"""Memory in KiB, rounds and lanes that a hash may ask for: whoever gives one decides what it costs to try it."""
ARGON2_HASH = re.compile(r"\$argon2(?:id|i|d)\$v=19\$m=(\d{1,9}),t=(\d{1,9}),p=(\d{1,9})\$[\w+/-]+\$[\w+/-]+", re.ASCII)


def random_string(length: int | None) -> str:
    """A text of letters, digits, `_` and `-` that nobody can guess; InvalidPayload for a length that can't be."""
    wanted = DEFAULT_LENGTH if length is None else length
    if not 1 <= wanted <= MAX_LENGTH:
        raise InvalidPayload(f'"length" must be between 1 and {MAX_LENGTH}')
    return secrets.token_urlsafe(wanted)[:wanted]


async def hash_text(services: Services, text: str) -> str:
    """The hash of a text of 1 to 1,024 characters; InvalidPayload for another length."""
    return await services.utility_hasher.hash(_checked(text))


async def verify_hash(services: Services, text: str, hashed: str) -> bool:
    """Whether a text is the one behind a hash; InvalidPayload for what is no hash, or one that costs too much."""
    found = ARGON2_HASH.fullmatch(hashed) if len(hashed) <= MAX_HASH_LENGTH else None
    if found is None:
        raise InvalidPayload(
            '"hash" has to be a hash as utils_hash_generate makes them: one of argon2, spelled $argon2…'
        )
    if any(int(asked) > most for asked, most in zip(found.groups(), MAX_ARGON2_PARAMETERS.values(), strict=True)):
        most = ", ".join(f"{name}={number}" for name, number in MAX_ARGON2_PARAMETERS.items())
        raise InvalidPayload(f'"hash" may ask for {most} at most')
    return await services.utility_hasher.verify(_checked(text), hashed)


async def clear_cache(directory: Directory) -> None:
    """Forgets whose rights are known and what was planned for them; Forbidden for whoever is no admin."""
    access = await directory.fresh_access()
    if not access.admin:
        raise Forbidden
    directory.services.access_cache.clear()


def _checked(text: str) -> str:
    if not 1 <= len(text) <= MAX_PASSWORD_LENGTH:
        raise InvalidPayload(f'"string" must have 1 to {MAX_PASSWORD_LENGTH} characters')
    return text
