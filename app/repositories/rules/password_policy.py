"""Checks a new password against the length limits and the project's password policy."""

from app.core.errors import FailedValidation, InvalidPayload, ValueTooLong
from app.core.hashing import MAX_PASSWORD_LENGTH
from app.query.collection import SETTINGS, USERS
from app.query.operators import compile_pattern
from app.query.payload import FieldPath


def check_password(password: str | None, policy: str | None, path: FieldPath = ()) -> None:
    """Check a new password, or None for its removal, against the project's `policy`, a regular expression.

    Raises:
        FailedValidation: The password is empty or does not match the policy.
        ValueTooLong: The password has more than 1,024 characters.
        InvalidPayload: The stored policy is not a valid regular expression.
    """
    check_not_empty(password, path)
    if password is not None and len(password) > MAX_PASSWORD_LENGTH:
        raise ValueTooLong(USERS.name, "password")
    if policy:
        try:
            matches = password is not None and compile_pattern(policy).search(password)
        except ValueError:
            raise InvalidPayload(
                f'"auth_password_policy" of {SETTINGS.name} is not a regular expression; an admin must correct it'
            ) from None
        if not matches:
            raise FailedValidation("password", "regex", path)


def check_not_empty(password: str | None, path: FieldPath = ()) -> None:
    """Raise FailedValidation if a password is empty; None, its removal, is accepted."""
    if password == "":
        raise FailedValidation("password", "nempty", path)
