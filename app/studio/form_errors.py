"""Turns errors of the API into messages at the fields of a form."""

from collections.abc import Callable

from app.core.errors import (
    FailedValidation,
    Forbidden,
    GraphQLValidation,
    InvalidForeignKey,
    MultipleErrors,
    RecordNotUnique,
    RollcallError,
    ValueOutOfRange,
    ValueTooLong,
)

FormErrors = dict[str, str]
"""Messages by the name of a form's field; those of the whole form have an empty name."""
Translate = Callable[[str], str]


def form_errors(error: RollcallError, translate: Translate) -> FormErrors:
    """Return the messages of an error by field, the first one of each field."""
    messages: FormErrors = {}
    for each in error.errors if isinstance(error, MultipleErrors) else [error]:
        field = ".".join([*each.details.get("path", ()), each.details.get("field", "")]).strip(".")
        messages.setdefault(field, error_message(each, translate))
    return messages


def error_message(error: RollcallError, translate: Translate) -> str:
    """Return what is wrong, in the words of a page instead of those of the API."""
    _ = translate
    if isinstance(error, FailedValidation):
        return _validation_message(str(error.details["type"]), translate)
    if isinstance(error, GraphQLValidation):
        return "; ".join(str(each.get("message")) for each in error.details["errors"])
    messages = {
        RecordNotUnique: _("This value is already in use. Choose another one."),
        InvalidForeignKey: _("This entry no longer exists. Choose another one."),
        ValueTooLong: _("This value is too long. Enter a shorter one."),
        ValueOutOfRange: _("This number is out of range."),
        Forbidden: "" if error.reason else _("You do not have permission for this, or it no longer exists."),
    }
    return messages.get(type(error)) or error.text


def _validation_message(rule: str, translate: Translate) -> str:
    _ = translate
    messages = {
        "required": _("Enter a value."),
        "nnull": _("Enter a value."),
        "nempty": _("Enter a value."),
        "email": _("Enter a complete email address, such as name@example.com."),
        "regex": _("The value does not have the required format."),
    }
    return messages.get(rule) or _("This value is not allowed.")
