"""The messages of failed attempts to sign in, which are the same on each page that takes a password."""

from app.core.errors import InvalidCredentials, InvalidOtp, RollcallError
from app.studio.form_errors import FormErrors, Translate, form_errors


def sign_in_errors(error: RollcallError, translate: Translate, wrong: str, field: str = "") -> FormErrors:
    """Return the messages of a failed attempt, which do not reveal whether the user exists or is locked out.

    `wrong` is the message for wrong credentials, in the language of the visitor; it is shown at `field`.
    """
    _ = translate
    match error:
        case InvalidOtp():
            return {"otp": _("This code is wrong or was used before. Enter the current one.")}
        case InvalidCredentials():
            locked = _("After too many failed attempts, further ones are rejected for a while.")
            return {field: f"{wrong} {locked}"}
        case _:
            return form_errors(error, translate)
