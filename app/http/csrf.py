"""Protection against cross-site request forgery: a cookie counts only in requests that no page elsewhere can cause."""

from urllib.parse import urlsplit

from starlette.requests import cookie_parser
from starlette.types import Scope

from app.core.config import Settings
from app.core.errors import Forbidden
from app.http.authentication import BEARER_PREFIX
from app.http.request_head import RequestHead

JSON_MEDIA_TYPE, BEARER = b"application/json", BEARER_PREFIX.encode()
DEFAULT_PORTS = {"http": 80, "https": 443}
UNTRUSTED_ORIGIN_MESSAGE = (
    "A request with a cookie must be sent by a page of PUBLIC_URL or CORS_ORIGIN, or have the header "
    '"X-Requested-With" or the Content-Type "application/json"'
)


class CsrfCheck:
    """Rejects requests with a session or refresh cookie that a page of another site could have caused.

    Browsers send the cookies along whichever page causes a request. They send other methods than GET, HEAD and POST, a
    JSON body and any additional header only with CORS permission, and GET and HEAD change nothing. So what remains is a
    POST without any of these, such as a form: it must come from this server or from an origin that may send cookies.
    """

    def __init__(self, settings: Settings) -> None:
        self._cookie_names = {settings.session_cookie_name, settings.refresh_token_cookie_name}
        listed = settings.cors_origin if settings.cors_enabled and settings.cors_credentials else ()
        origins = {*(() if isinstance(listed, bool) else listed), _origin_of(settings.public_url or "")}
        self._origins = frozenset(origin.encode() for origin in origins if origin)

    def __call__(self, scope: Scope, head: RequestHead) -> None:
        """Check the origin of a request.

        Raises:
            Forbidden: A page of an unknown origin could have caused it.
        """
        if not head.cookie or scope["method"] != "POST" or head.content_type == JSON_MEDIA_TYPE:
            return
        if self._has_own_cookie(head) and not _needs_cors_permission(head) and not self.has_known_origin(scope, head):
            raise Forbidden(UNTRUSTED_ORIGIN_MESSAGE)

    def _has_own_cookie(self, head: RequestHead) -> bool:
        return not self._cookie_names.isdisjoint(cookie_parser(head.cookie.decode("latin-1")))

    def has_known_origin(self, scope: Scope, head: RequestHead) -> bool:
        """Return whether the browser names this server or a listed origin as the origin of the page.

        Without HTTPS browsers send no Sec-Fetch-Site; then the origin is compared with the address of the request.
        """
        site, origin = head.header(b"sec-fetch-site"), head.header(b"origin")
        own = b"%s://%s" % (scope.get("scheme", "http").encode(), head.header(b"host"))
        return site == b"same-origin" or origin in self._origins or (not site and origin == own)


def _needs_cors_permission(head: RequestHead) -> bool:
    """Return whether a browser sends this POST to another origin only with that origin's CORS permission."""
    media_type = head.content_type.partition(b";")[0].strip().lower()
    bearer = any(line[: len(BEARER)].lower() == BEARER for line in head.authorization.split(b"\n"))
    return media_type == JSON_MEDIA_TYPE or bearer or bool(head.header(b"x-requested-with"))


def _origin_of(url: str) -> str | None:
    """Return the origin of a URL as browsers write it, None if it has none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, DEFAULT_PORTS[parts.scheme]) else "")
