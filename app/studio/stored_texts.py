"""The texts that Directus stores by name, such as the name of the public policy, in the words of the pages."""

from collections.abc import Callable

PREFIX = "$t:"


def stored_text(value: str | None, translate: Callable[[str], str]) -> str:
    """Return a stored text, or what it names; the name itself if it is not one of those that new databases have."""
    _ = translate
    if not value or not value.startswith(PREFIX):
        return value or ""
    texts = {
        "public_label": _("Public"),
        "public_description": _("What everyone may do, also without signing in."),
        "admin_description": _("May do everything."),
        "admin_policy_description": _("May do everything."),
    }
    name = value.removeprefix(PREFIX)
    return texts.get(name, name)
