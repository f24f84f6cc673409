"""The names that users give to their credentials, such as API tokens and passkeys."""

from typing import Any

from app.core.errors import InvalidPayload
from app.core.values import is_storable

MAX_NAME_LENGTH = 255


def parse_credential_name(value: Any) -> str:
    """Return a name without spaces around it.

    Raises:
        InvalidPayload: It is no text, empty, or too long.
    """
    name = value.strip() if isinstance(value, str) else ""
    if not name or len(name) > MAX_NAME_LENGTH or not is_storable(name):
        raise InvalidPayload(f'"name" must be a text of 1 to {MAX_NAME_LENGTH} characters')
    return name
