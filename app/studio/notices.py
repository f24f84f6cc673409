"""The messages that pages show after a finished action, by the name in their address."""

from collections.abc import Mapping

from app.studio.form_errors import Translate


def notice_message(name: str, translate: Translate) -> str:
    """Return the message with a name; empty if there is none, as anyone can write any name into an address."""
    return _messages(translate).get(name, "")


def _messages(translate: Translate) -> Mapping[str, str]:
    _ = translate
    return {
        "signed-out": _("You are signed out."),
        "session-ended": _("Your session has ended. Sign in again to continue."),
        "email-verified": _("Your email address is confirmed. Sign in to continue."),
        "saved": _("Saved."),
        "deleted": _("Deleted."),
    }
