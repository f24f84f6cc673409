"""The initials of users without a picture."""

from collections.abc import Mapping
from typing import Any


def initials(user: Mapping[str, Any]) -> str:
    """Return the first letters of the first and the last name, or else that of the email."""
    names = [str(user[name]) for name in ("first_name", "last_name") if user.get(name)]
    return ("".join(name[0] for name in names) or str(user.get("email") or "?")[0]).upper()
