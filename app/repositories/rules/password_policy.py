"""Checks a new password against the length limits and the project's password policy."""

from typing import Any

from app.core.errors import FailedValidation, InvalidPayload, ValueTooLong
from app.core.hashing import MAX_PASSWORD_LENGTH
from app.query.collection import SETTINGS, USERS
from app.query.operators import compile_pattern
from app.query.payload import FieldPath


def check_password(password: Any, policy: str | None, path: FieldPath = ()) -> None:
    """Check a new password against the project's `policy`, a regular expression.

    Raises:
        FailedValidation: The password is empty, or does not match the policy.
        ValueTooLong: It has more than 1,024 characters.
        InvalidPayload: The policy is not a regular expression.
    """
    if password == "":
        raise FailedValidation("password", "nempty", path)
    if password is not None and len(password) > MAX_PASSWORD_LENGTH:
        raise ValueTooLong(USERS.name, "password")
    if policy:
        try:
            matches = password is not None and compile_pattern(policy).search(password)
        except ValueError:
            raise InvalidPayload(f'"auth_password_policy" of {SETTINGS.name} is no regular expression') from None
        if not matches:
            raise FailedValidation("password", "regex", path)
