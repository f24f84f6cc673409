"""Where a sign-in with a provider may lead to."""

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from app.core.config import Settings
from app.core.email_links import is_allowed_url, is_same_origin
from app.core.errors import InvalidPayload
from app.core.provider_settings import OAuthSettings

MAX_REDIRECT_LENGTH = 2048
"""In characters; the cookie of the attempt holds the redirect."""


def allowed_redirect(redirect: str | None, provider: OAuthSettings, settings: Settings) -> str | None:
    """Return where a sign-in leads to, None for nowhere: a path, a URL of PUBLIC_URL, or one of the allow list.

    A URL on the list must match in scheme, host, port and path; its query and fragment may be any.

    Raises:
        InvalidPayload: It is something else.
    """
    if not redirect:
        return None
    is_allowed = len(redirect) <= MAX_REDIRECT_LENGTH and (
        _is_path(redirect)
        or is_same_origin(redirect, settings.public_url or "")
        or is_allowed_url(redirect, provider.redirect_allow_list)
    )
    if not is_allowed:
        raise InvalidPayload(f'URL "{redirect[:MAX_REDIRECT_LENGTH]}" can\'t be used to redirect after login')
    return redirect


def with_reason(redirect: str, reason: str) -> str:
    """Return a redirect with the code of an error in its query."""
    parts = urlsplit(redirect)
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != "reason"]
    return urlunsplit(parts._replace(query=urlencode([*query, ("reason", reason)])))


def _is_path(redirect: str) -> bool:
    """Return whether this is a path on this server: a browser reads two slashes, of any kind, as another host."""
    is_plain = "\\" not in redirect and all("!" <= character <= "~" for character in redirect)
    return is_plain and redirect.startswith("/") and not redirect.startswith("//")
