"""The addresses of the Studio's pages."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

from app.core.config import Settings

ROOT = "/admin"
"""Path prefix of all pages."""
DOT_SEGMENTS = {".", ".."}


class Addresses:
    """Builds the addresses of pages, below the path that a reverse proxy or a mount point adds."""

    def __init__(self, settings: Settings, root_path: str = "") -> None:
        prefix = urlsplit(settings.public_url).path.rstrip("/") if settings.public_url else root_path
        self.server = prefix
        self.base = prefix + ROOT

    def page(self, path: str = "", parameters: Mapping[str, Any] | None = None) -> str:
        """Return the address of a page; parameters that are None or empty are left out, lists are repeated.

        A path may contain any text, as ids come from the addresses of requests.
        """
        pairs = {name: value for name, value in (parameters or {}).items() if value not in (None, "", [], ())}
        return self.base + quote(path) + (f"?{urlencode(pairs, doseq=True)}" if pairs else "")

    def checked(self, target: str | None) -> str:
        """Return an address that a client asks to be led to, or the start page if it is not a page of the Studio.

        A browser might read a backslash, a second slash or a control character as the start of another host, and
        resolves dot segments, also encoded ones: they lead to other paths.
        """
        path = (target or "").partition("?")[0]
        is_page = path == self.base or path.startswith(f"{self.base}/")
        is_plain = "//" not in path and "\\" not in path and all(" " < character <= "~" for character in target or "")
        has_dots = not DOT_SEGMENTS.isdisjoint(unquote(path).split("/"))
        return target if target and is_page and is_plain and not has_dots else self.base
