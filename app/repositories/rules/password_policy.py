"""Checks a new password against the length limits and the project's password policy."""

from app.core.ecmascript_regex import InvalidRegex
from app.core.errors import FailedValidation, InvalidPayload, ValueTooLong
from app.core.hashing import MAX_PASSWORD_LENGTH
from app.core.request_budget import RequestBudget
from app.query.collection import SETTINGS, USERS
from app.query.payload import FieldPath
from app.repositories.services import Services


async def check_password(
    password: str | None, policy: str | None, services: Services, budget: RequestBudget, path: FieldPath = ()
) -> None:
    """Check a new password, or None for its removal, against the project's `policy`, a regular expression.

    Raises:
        FailedValidation: The password is empty or does not match the policy.
        ValueTooLong: The password has more than 1,024 characters.
        InvalidPayload: The stored policy is not a valid regular expression.
        RollcallError: The match takes too long, as `RegexMatcher.matches` raises.
    """
    check_length(password, path)
    if not policy:
        return
    try:
        matches = password is not None and await services.regexes.matches(policy, password, "password", budget)
    except InvalidRegex:
        raise InvalidPayload(
            f'"auth_password_policy" of {SETTINGS.name} is not a regular expression; an admin must correct it'
        ) from None
    if not matches:
        raise FailedValidation("password", "regex", path)


def check_length(password: str | None, path: FieldPath = ()) -> None:
    """Raise FailedValidation if a password is empty, and ValueTooLong if it has more than 1,024 characters."""
    check_not_empty(password, path)
    if password is not None and len(password) > MAX_PASSWORD_LENGTH:
        raise ValueTooLong(USERS.name, "password")


def check_not_empty(password: str | None, path: FieldPath = ()) -> None:
    """Raise FailedValidation if a password is empty; None, its removal, is accepted."""
    if password == "":
        raise FailedValidation("password", "nempty", path)
