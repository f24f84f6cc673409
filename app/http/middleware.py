"""The gate every request passes: an id, a line in the log, a limit on bodies, the right door, errors without text."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.config import Settings
from app.core.errors import RollcallError, RouteNotFound
from app.core.logging import current_request
from app.http.authentication import Authenticator
from app.http.cors import Cors
from app.http.exchange import Body, Exchange, Pieces
from app.http.request_head import RequestHead
from app.http.response import Header, Response, error_response, method_not_allowed
from app.ratelimit.limiter import RateLimiter

Endpoint = Callable[[Scope, RequestHead, Body], Awaitable[Response]]
"""Answers a request, whose body it may ask for."""
UploadEndpoint = Callable[[Scope, RequestHead, Pieces], Awaitable[Response]]
"""Answers a request whose body may be of any length: it takes it piece by piece, and stops where that is too much."""
RequestLimiter = Callable[[RequestHead], Awaitable[None]]
"""Counts a request; raises RequestsExceeded where it is one too many."""
ErrorHeaders = Callable[[RollcallError, RequestHead], Awaitable[Sequence[Header]]]
"""What is said besides to whoever is refused for such a reason."""

FORMS_BY = ("POST", "PATCH")

T = TypeVar("T")

log = structlog.get_logger(__name__)


def hsts_headers(settings: Settings) -> tuple[Header, ...]:
    """Tells browsers to come by HTTPS only, where the settings say so; to this host, as others have owners."""
    told = (b"strict-transport-security", b"max-age=%d" % settings.hsts_max_age)
    return (told,) if settings.hsts_enabled else ()


def request_limiter(rates: RateLimiter, identity: Authenticator) -> RequestLimiter | None:
    """Counts requests by where they come from; None where there is nothing to count."""
    return (lambda head: rates.check_request(identity.client_ip(head))) if rates.of_requests else None


class MiddlewareOptions(NamedTuple):
    """What the gate does with every request besides leading it to its door, where the settings want it."""

    limiter: RequestLimiter | None = None
    cors: Cors | None = None
    parting: ErrorHeaders | None = None
    always: Sequence[Header] = ()
    """Headers of every answer."""
    logged: bool = True
    """Whether each request is a line of the log."""


class HTTPMiddleware:
    """Leads requests to a door by their path, or to the `others`; a form of any length to one of the `uploads`.

    Answers every error: ours as they are, any other with an id that the log explains, never with its text. Refuses
    other bodies over `most` bytes where they are read, whether they say so beforehand or not. Keeps answers out of
    caches, whole when they belong to somebody, and browsers from guessing types. An answer bears its request's id where
    it came with one, and where something went wrong.
    """

    def __init__(
        self,
        doors: Mapping[str, Endpoint],
        others: ASGIApp,
        most: int,
        manners: MiddlewareOptions = MiddlewareOptions(),  # noqa: B008  # it can't be changed
        uploads: Mapping[str, UploadEndpoint] | None = None,
    ) -> None:
        self._doors, self._others, self._most, self._uploads = doors, others, most, uploads or {}
        self._limiter, self._cors, self._parting, self._always, self._logged = manners
        straight = self._cors is None and self._limiter is None
        self._straight = {path: door for path, door in doors.items() if straight and path not in self._uploads}
        """The doors to which requests lead at once that name one just so: there is nothing else to be seen to."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._others(scope, receive, send)
            return
        started = time.perf_counter()
        passage = Exchange(scope, receive, send, self._most, self._always)
        current_request.set(passage.head)  # until the next: a server begins each request in a context of its own
        try:
            door = self._straight.get(scope["path"])
            reply = await (door(scope, passage.head, passage.body) if door else self._dispatch(scope, passage))
            if reply is not None:
                await (passage.respond(reply) if reply.error is None else self._refuse(passage, reply, reply.error))
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001  # whatever it is, somebody waits for an answer
            await self._handle_error(scope, passage, error)
        finally:
            if self._logged:
                spent = round((time.perf_counter() - started) * 1000, 1)
                # The query string stays out of the log: it may hold an access token.
                log.info("request", method=scope["method"], path=scope["path"], status=passage.status, ms=spent)

    async def _dispatch(self, scope: Scope, passage: Exchange) -> Response | None:
        """What is answered; None where the others did that themselves."""
        head = passage.head
        if self._cors is not None:
            if allowed := self._cors.preflight_response(scope, head):
                return allowed
            passage.further = (*self._always, *self._cors.response_headers(head))
        if self._limiter is not None:
            await self._limiter(head)
        plain = normalize_path(scope)
        if head.multipart and scope["method"] in FORMS_BY and (upload := _behind(self._uploads, plain)):
            return await upload(plain, head, passage.pieces)
        if door := _behind(self._doors, plain):
            return await door(plain, head, passage.body)
        passage.check_content_length()
        await self._others(plain, passage.receive, passage.send)
        return None

    async def _refuse(self, passage: Exchange, reply: Response, reason: RollcallError) -> None:
        if self._parting is not None:
            reply = replace(reply, headers=(*reply.headers, *await self._parting(reason, passage.head)))
        await passage.respond(reply)

    async def _handle_error(self, scope: Scope, passage: Exchange, error: Exception) -> None:
        ours = method_not_allowed(scope["method"], error) if isinstance(error, HTTPException) else error
        if isinstance(ours, RouteNotFound):
            ours = RouteNotFound(scope["path"])  # as it was asked for
        if not isinstance(ours, RollcallError):
            log.error("request_failed", exc_info=error)
            ours = RollcallError()
        if passage.status:
            log.error("answer_cut", code=ours.code)
            raise error
        await self._refuse(passage, error_response(ours), ours)


def _behind(doors: Mapping[str, T], scope: Scope) -> T | None:
    """The door whose path a request's begins with, below wherever the application is mounted."""
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    return doors.get(path) or next((door for root, door in doors.items() if f"{path}/".startswith(f"{root}/")), None)


def normalize_path(scope: Scope) -> Scope:
    """The same request of a path without capitals, nor a slash at its end: Directus' paths don't mind them."""
    root, path = scope.get("root_path", ""), scope["path"]
    plain = path.removeprefix(root).lower().rstrip("/") or "/"
    return scope if path == root + plain else {**scope, "path": root + plain}
