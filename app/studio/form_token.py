"""The token in each form of a signed-in user, which pages of other sites cannot know."""

import hmac

from app.core.config import Settings, signing_secret

FIELD = "form_token"
PURPOSE = b"studio form"


def form_token(settings: Settings, user: str) -> str:
    """Return the token of a user's forms.

    It belongs to the user and not to the session, whose token changes with each refresh: open forms stay valid.
    """
    key = hmac.digest(signing_secret(settings).encode(), PURPOSE, "sha256")
    return hmac.digest(key, user.encode(), "sha256").hex()


def is_form_token(settings: Settings, user: str, token: str) -> bool:
    """Return whether this is the token of the user's forms."""
    return hmac.compare_digest(form_token(settings, user).encode(), token.encode())
