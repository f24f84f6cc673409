"""Turns errors of the API into messages at the fields of a form."""

from collections.abc import Callable, Mapping
from typing import Any

from app.core.errors import (
    ChangeRejected,
    FailedValidation,
    Forbidden,
    GraphQLValidation,
    InvalidForeignKey,
    MultipleErrors,
    RecordNotUnique,
    RequestsExceeded,
    RollcallError,
    ValueOutOfRange,
    ValueTooLong,
)
from app.repositories.rules.delegation import (
    ADMIN_CREDENTIALS_MESSAGE,
    CREDENTIALS_MESSAGE,
    EXCEEDS_OWN_RIGHTS_MESSAGE,
)
from app.repositories.rules.last_admin import LAST_ADMIN_MESSAGE, LOCKED_OUT_MESSAGE

FormErrors = dict[str, str]
"""Messages by the name of a form's field; those of the whole form have an empty name."""
Translate = Callable[[str], str]


def form_errors(error: RollcallError, translate: Translate) -> FormErrors:
    """Return the messages of an error by field, the first one of each field."""
    if isinstance(error, ChangeRejected):
        error = error.error
    messages: FormErrors = {}
    for each in error.errors if isinstance(error, MultipleErrors) else [error]:
        field = ".".join([*each.details.get("path", ()), each.details.get("field", "")]).strip(".")
        messages.setdefault(field, error_message(each, translate))
    return messages


def error_message(error: RollcallError, translate: Translate) -> str:
    """Return what is wrong, in the words of a page instead of those of the API."""
    _ = translate
    if isinstance(error, FailedValidation):
        return _validation_message(error.details, translate)
    if isinstance(error, GraphQLValidation):
        return "; ".join(str(each.get("message")) for each in error.details["errors"])
    if error.reason and (message := _rule_messages(translate).get(error.reason)):
        return message
    if isinstance(error, RequestsExceeded):
        return _("Too many attempts. Wait {seconds} seconds, then try again.").format(seconds=error.seconds)
    messages = {
        RecordNotUnique: _("This value is already in use. Choose another one."),
        InvalidForeignKey: _("This entry no longer exists. Choose another one."),
        ValueTooLong: _("This value is too long. Enter a shorter one."),
        ValueOutOfRange: _("This number is out of range."),
        Forbidden: "" if error.reason else _("You do not have permission for this, or it no longer exists."),
    }
    return messages.get(type(error)) or (f"{error.reason.rstrip('.')}." if error.reason else error.text)


def _rule_messages(translate: Translate) -> Mapping[str, str]:
    """Return the messages of rules about rights and admins, by the reason that the API gives."""
    _ = translate
    return {
        EXCEEDS_OWN_RIGHTS_MESSAGE: _("You cannot grant more than you have yourself. Ask an administrator."),
        ADMIN_CREDENTIALS_MESSAGE: _("Only an administrator may change what an administrator signs in with."),
        CREDENTIALS_MESSAGE: _("You cannot change what a user with more permissions than you signs in with."),
        LAST_ADMIN_MESSAGE: _("No active admin would remain. Make another user an admin first."),
        LOCKED_OUT_MESSAGE: _("No admin could sign in from your address. Change the IP addresses of the policy first."),
    }


def _validation_message(details: Mapping[str, Any], translate: Translate) -> str:
    _ = translate
    if details["type"] == "min_length":
        return _("Enter at least {count} characters.").format(count=details["valid"])
    if details["type"] == "history":
        return _("Choose a password that differs from your last {count} ones.").format(count=details["valid"])
    messages = {
        "required": _("Enter a value."),
        "nnull": _("Enter a value."),
        "nempty": _("Enter a value."),
        "email": _("Enter a complete email address, such as name@example.com."),
        "regex": _("The value does not have the required format."),
        "common": _("This is one of the most common passwords. Choose one that is harder to guess."),
    }
    return messages.get(str(details["type"])) or _("This value is not allowed.")
