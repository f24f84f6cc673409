"""The password policies to choose from, and trying a password with one; it is neither stored nor logged."""

from app.core.ecmascript_regex import InvalidRegex
from app.core.errors import RollcallError
from app.core.hash_parameters import MAX_PASSWORD_LENGTH
from app.repositories.rules.password_policy import check_quality
from app.studio.form_errors import Translate, error_message
from app.studio.page_request import Form, PageRequest

NO_POLICY, WEAK, STRONG, CUSTOM = "none", "weak", "strong", "custom"
PRESETS = {
    NO_POLICY: None,
    WEAK: r"/^.{8,}$/",
    STRONG: r"/(?=^.{8,}$)(?=.*\d)(?=.*[!@#$%^&*()_+}{';'?>.<,])(?!.*\s)(?=.*[A-Z])(?=.*[a-z]).*$/",
}
"""The policies that Directus offers; written as there, so that its app recognizes them."""


def preset_of(policy: str | None) -> str:
    """Return the name of the preset of a stored policy."""
    return next((name for name, preset in PRESETS.items() if preset == (policy or None)), CUSTOM)


def entered_policy(form: Form) -> str | None:
    """Return the policy that a form chooses, None for none."""
    preset = form.get("password_preset", CUSTOM)
    return PRESETS[preset] if preset in PRESETS else form.get("auth_password_policy", "").strip() or None


async def policy_error(request: PageRequest, policy: str | None) -> str | None:
    """Return why a policy is not a regular expression; None if it is one."""
    try:
        if policy is not None:
            await request.services.regexes.check(policy, request.directory.budget)
    except InvalidRegex as error:
        return _invalid(error, request.translate)
    except RollcallError as error:
        return error_message(error, request.translate)
    return None


async def try_password(request: PageRequest, form: Form) -> tuple[bool, str] | None:
    """Return whether the policy of a form accepts its password, and a sentence that says so; None without a password.

    The engine, its time limits and the limits of the settings are those for new passwords.
    """
    _, password = request.translate, form.get("tried_password", "")
    if not password:
        return None
    if len(password) > MAX_PASSWORD_LENGTH:
        return False, _("Rejected: a password has at most {count} characters.").format(count=MAX_PASSWORD_LENGTH)
    policy = entered_policy(form)
    try:
        check_quality(password, request.services.settings)
        regexes, budget = request.services.regexes, request.directory.budget
        is_accepted = policy is None or await regexes.matches(policy, password, "password", budget)
    except InvalidRegex as error:
        return False, _invalid(error, _)
    except RollcallError as error:
        return False, error_message(error, _)
    return is_accepted, _("Accepted.") if is_accepted else _("Rejected: the password does not match the policy.")


def _invalid(error: InvalidRegex, translate: Translate) -> str:
    return translate("This is not a regular expression: {reason}.").format(reason=error)
