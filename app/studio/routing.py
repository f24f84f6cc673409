"""Routes of the Studio: which handler answers a method and a path."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from starlette.routing import compile_path

from app.core.errors import MethodNotAllowed, RouteNotFound
from app.studio.page_request import PageHandler


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path below the Studio's root, such as `/users/{user}`, and their handler.

    Pages for `visitors` ignore the session; all others require one. Those `before_tfa` are available to users who have
    to set up two-factor authentication first.
    """

    method: str
    path: str
    handler: PageHandler
    visitors: bool = False
    before_tfa: bool = False


class Match(NamedTuple):
    """The route of a request, and the parameters of its path."""

    route: Route
    parameters: Mapping[str, str]


class Router:
    """Finds the route of a request; earlier routes take precedence."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = [(compile_path(route.path or "/")[0], route) for route in routes]

    def match(self, method: str, path: str) -> Match:
        """Return the route of a request; HEAD uses that of GET.

        Raises:
            RouteNotFound: No route has this path.
            MethodNotAllowed: The path has routes with other methods only.
        """
        matches = [(found, route) for pattern, route in self._routes if (found := pattern.match(path or "/"))]
        if not matches:
            raise RouteNotFound(path)
        wanted = "GET" if method == "HEAD" else method
        for found, route in matches:
            if route.method == wanted:
                return Match(route, found.groupdict())
        raise MethodNotAllowed(method, sorted({route.method for _, route in matches}))
