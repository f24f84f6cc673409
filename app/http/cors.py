"""CORS response headers, computed once from the settings."""

from collections.abc import Mapping
from typing import Self

from starlette.types import Scope

from app.core.config import Settings
from app.http.request_head import RequestHead
from app.http.response import Header, Response

ANY_ORIGIN = b"*"
VARY_BY_ORIGIN = (b"vary", b"Origin")


class Cors:
    """The headers for requests from other origins: the listed ones, or, without credentials, any.

    A request from an origin that isn't allowed is answered as usual, and the browser withholds the response from the
    page. Unlike Starlette's `CORSMiddleware`, "any origin" never becomes "any origin with cookies".
    """

    def __init__(self, settings: Settings) -> None:
        listed = settings.cors_origin or ()
        origins = [ANY_ORIGIN] if listed is True else [origin.encode() for origin in listed]
        credentials: list[Header] = []
        if settings.cors_credentials and settings.cors_origin is not True:
            credentials = [(b"access-control-allow-credentials", b"true")]
        exposed = _list_header(b"access-control-expose-headers", settings.cors_exposed_headers)
        permitted = [
            *_list_header(b"access-control-allow-methods", settings.cors_methods),
            *_list_header(b"access-control-allow-headers", settings.cors_allowed_headers),
            (b"access-control-max-age", b"%d" % settings.cors_max_age),
        ]
        allowed: dict[bytes, list[Header]] = {
            origin: [VARY_BY_ORIGIN, (b"access-control-allow-origin", origin), *credentials] for origin in origins
        }
        self._response_headers = {origin: (*headers, *exposed) for origin, headers in allowed.items()}
        self._preflight_headers = {origin: (*headers, *permitted) for origin, headers in allowed.items()}

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        """Return what the settings allow, None if they allow no origin."""
        return cls(settings) if settings.cors_enabled and settings.cors_origin else None

    def response_headers(self, head: RequestHead) -> tuple[Header, ...]:
        """Return the headers of the response to any request but a preflight."""
        return _headers_for(self._response_headers, head)

    def preflight_response(self, scope: Scope, head: RequestHead) -> Response | None:
        """Return the response to a preflight request, None for any other request."""
        if scope["method"] != "OPTIONS" or head.origin is None or not head.is_preflight:
            return None
        return Response(b"", 204, headers=_headers_for(self._preflight_headers, head))


def _headers_for(by_origin: Mapping[bytes, tuple[Header, ...]], head: RequestHead) -> tuple[Header, ...]:
    return by_origin.get(head.origin or b"") or by_origin.get(ANY_ORIGIN) or (VARY_BY_ORIGIN,)


def _list_header(name: bytes, values: tuple[str, ...]) -> list[Header]:
    return [(name, ", ".join(values).encode())] if values else []
