"""The connections to realtime of one process: how many there may be, and from which pages."""

from collections import Counter

from starlette.types import Scope

from app.core.config import Settings
from app.core.errors import Forbidden, ServiceUnavailable
from app.http.authentication import Authenticator
from app.http.csrf import CsrfCheck
from app.http.request_head import RequestHead

TOO_MANY_CONNECTIONS = "Too many connections"
UNTRUSTED_ORIGIN = "A connection with a session cookie must come from a page of PUBLIC_URL or CORS_ORIGIN"


class ConnectionCounts:
    """Counts the connections of each user, and of each IP address without a user."""

    def __init__(self, maximum: int) -> None:
        self._maximum, self._counts = maximum, Counter[str]()

    def add(self, owner: str) -> None:
        """Count a connection.

        Raises:
            ServiceUnavailable: The owner has as many as are allowed.
        """
        if self._counts[owner] >= self._maximum:
            raise ServiceUnavailable(TOO_MANY_CONNECTIONS)
        self._counts[owner] += 1

    def remove(self, owner: str) -> None:
        """Stop counting a connection."""
        self._counts[owner] -= 1
        if not self._counts[owner]:
            del self._counts[owner]


class ServiceConnections:
    """Counts the connections to one service, over each of its protocols.

    `unknown` counts those of each address whose clients are not authenticated yet, at most half of all.
    """

    def __init__(self, maximum: int) -> None:
        self._maximum, self._open = maximum, 0
        self.unknown = ConnectionCounts((maximum + 1) // 2)

    def enter(self) -> None:
        """Count a connection.

        Raises:
            ServiceUnavailable: There are as many as are allowed.
        """
        if self._open >= self._maximum:
            raise ServiceUnavailable(TOO_MANY_CONNECTIONS)
        self._open += 1

    def leave(self) -> None:
        """Stop counting a connection."""
        self._open -= 1


class RealtimeConnections:
    """The connections to all services: `users` counts those of each user, to whichever service."""

    def __init__(self, authenticator: Authenticator, settings: Settings) -> None:
        self._authenticator, self._csrf_check = authenticator, CsrfCheck(settings)
        self.users = ConnectionCounts(settings.websockets_user_conn_limit)
        self.graphql = ServiceConnections(settings.websockets_graphql_conn_limit)
        self.directus = ServiceConnections(settings.websockets_rest_conn_limit)

    def check_origin(self, scope: Scope, head: RequestHead) -> None:
        """Check which page asks for a connection, if a cookie identifies its user; `scope` is that of HTTP.

        Raises:
            Forbidden: A page of an unknown origin asks for it.
        """
        if head.origin is None or not self._authenticator.is_identified_by_cookie(head):
            return
        if not self._csrf_check.has_known_origin(scope, head):
            raise Forbidden(UNTRUSTED_ORIGIN)
