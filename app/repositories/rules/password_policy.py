"""Checks a new password against the limits of the settings and the project's password policy."""

from app.core.config import Settings
from app.core.ecmascript_regex import InvalidRegex
from app.core.errors import FailedValidation, InvalidPayload, ValueTooLong
from app.core.hash_parameters import MAX_PASSWORD_LENGTH
from app.core.request_budget import RequestBudget
from app.passwords.common_passwords import is_common_password
from app.query.collection import SETTINGS, USERS
from app.query.payload import FieldPath
from app.repositories.services import Services


async def check_password(
    password: str | None, policy: str | None, services: Services, budget: RequestBudget, path: FieldPath = ()
) -> None:
    """Check a new password, or None for its removal, against the project's `policy`, a regular expression.

    Raises:
        FailedValidation: The password is empty, too short or common, or does not match the policy.
        ValueTooLong: The password has more than 1,024 characters.
        InvalidPayload: The stored policy is not a valid regular expression.
        RollcallError: The match takes too long, as `RegexMatcher.matches` raises.
    """
    check_quality(password, services.settings, path)
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


def check_quality(password: str | None, settings: Settings, path: FieldPath = ()) -> None:
    """Check a new password, or None for its removal, against the limits that apply to all projects.

    Raises:
        FailedValidation: The password is empty, shorter than PASSWORD_MIN_LENGTH, or, with PASSWORD_REJECT_COMMON,
            common.
        ValueTooLong: The password has more than 1,024 characters.
    """
    check_not_empty(password, path)
    if password is None:
        return
    if len(password) > MAX_PASSWORD_LENGTH:
        raise ValueTooLong(USERS.name, "password")
    if len(password) < settings.password_min_length:
        raise FailedValidation("password", "min_length", path, valid=settings.password_min_length)
    if settings.password_reject_common and is_common_password(password):
        raise FailedValidation("password", "common", path)


def check_not_empty(password: str | None, path: FieldPath = ()) -> None:
    """Raise FailedValidation if a password is empty; None, its removal, is accepted."""
    if password == "":
        raise FailedValidation("password", "nempty", path)
