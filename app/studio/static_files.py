"""The Studio's style sheets, scripts and images, at addresses that change with their content."""

import mimetypes
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from app.core.errors import RouteNotFound
from app.http.response import Response
from app.studio.theme import theme_css

DIRECTORY = Path(__file__).parent / "static"
MAX_AGE = 365 * 24 * 3600
"""Seconds for which caches keep a file: a changed one has another address."""
DIGITS_OF_VERSION = 12
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


class StaticFiles:
    """The files of a directory, read once.

    All have the same version in their addresses, so that modules can import each other by relative paths. The
    `optional` files, by name, are read for each request: only some installations have them, and they are large.
    """

    def __init__(self, directory: Path = DIRECTORY, optional: Mapping[str, Path] | None = None) -> None:
        paths = sorted(path for path in directory.rglob("*") if path.is_file())
        self._files = {path.relative_to(directory).as_posix(): path.read_bytes() for path in paths}
        self._optional = dict(optional or {})
        digest = sha256()
        for name, content in self._files.items():
            digest.update(name.encode() + b"\0" + content + b"\0")
        for path in self._optional.values():
            digest.update(path.read_bytes())
        self.version = digest.hexdigest()[:DIGITS_OF_VERSION]

    def path(self, name: str) -> str:
        """Return the path of a file below the Studio's root.

        Raises:
            KeyError: There is no such file.
        """
        if name not in self._files and name not in self._optional:
            raise KeyError(name)
        return f"/static/{self.version}/{name}"

    def theme_path(self, color: str) -> str:
        """Return the path of the style sheet with a project's color, `#rrggbb`."""
        return f"/static/{self.version}/theme-{color.lower().removeprefix('#')}.css"

    def response(self, name: str) -> Response:
        """Return a file.

        Raises:
            RouteNotFound: There is no such file.
        """
        theme = theme_css(name)
        content = self._content(name) if theme is None else theme.encode()
        suffix = Path(name).suffix
        media = TYPES.get(suffix) or mimetypes.types_map.get(suffix, "application/octet-stream")
        if media.startswith("text/"):
            media += "; charset=utf-8"
        return Response(content, media=media.encode(), max_age=MAX_AGE, same_for_everyone=True)

    def _content(self, name: str) -> bytes:
        if name in self._files:
            return self._files[name]
        try:
            return self._optional[name].read_bytes()
        except (KeyError, OSError):  # unknown, or uninstalled since the start
            raise RouteNotFound(name) from None
