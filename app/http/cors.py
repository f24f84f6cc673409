"""Which pages of other origins a browser lets read our answers, in tables made once."""

from collections.abc import Mapping
from typing import Self

from starlette.types import Scope

from app.core.config import Settings
from app.http.request_head import RequestHead
from app.http.response import Header, Response

ANY = b"*"
VARY = (b"vary", b"Origin")


class Cors:
    """What is said to a page of another origin: to the listed ones, or, with cookies left out, to every one.

    Whoever isn't listed is answered as ever, and its browser keeps the answer from it.
    """

    def __init__(self, settings: Settings) -> None:
        origins = [ANY] if settings.cors_origin is True else [origin.encode() for origin in settings.cors_origin or ()]
        credentials: list[Header] = []
        if settings.cors_credentials and settings.cors_origin is not True:
            credentials = [(b"access-control-allow-credentials", b"true")]
        exposed: list[Header] = _list(b"access-control-expose-headers", settings.cors_exposed_headers)
        permitted = [
            *_list(b"access-control-allow-methods", settings.cors_methods),
            *_list(b"access-control-allow-headers", settings.cors_allowed_headers),
            (b"access-control-max-age", b"%d" % settings.cors_max_age),
        ]
        allowed: dict[bytes, list[Header]] = {
            origin: [VARY, (b"access-control-allow-origin", origin), *credentials] for origin in origins
        }
        self._told = {origin: (*headers, *exposed) for origin, headers in allowed.items()}
        self._before = {origin: (*headers, *permitted) for origin, headers in allowed.items()}

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        """What the settings allow; None where that is nothing."""
        return cls(settings) if settings.cors_enabled and settings.cors_origin else None

    def response_headers(self, head: RequestHead) -> tuple[Header, ...]:
        """What an answer says to the page that asked."""
        return _of(self._told, head)

    def preflight_response(self, scope: Scope, head: RequestHead) -> Response | None:
        """The answer to a browser that asks beforehand what a page may ask; None for any other request."""
        if scope["method"] != "OPTIONS" or head.origin is None or not head.is_preflight:
            return None
        return Response(b"", 204, headers=_of(self._before, head))


def _of(table: Mapping[bytes, tuple[Header, ...]], head: RequestHead) -> tuple[Header, ...]:
    return table.get(head.origin or b"") or table.get(ANY) or (VARY,)


def _list(name: bytes, values: tuple[str, ...]) -> list[Header]:
    return [(name, ", ".join(values).encode())] if values else []
