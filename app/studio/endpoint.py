"""The endpoint of the Studio: finds the page of a request, authenticates its caller, and turns errors into pages."""

from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlencode

import structlog
from starlette.types import Scope

from app.core.caller import ResponseCookie
from app.core.errors import (
    Forbidden,
    InvalidCredentials,
    InvalidToken,
    MethodNotAllowed,
    RollcallError,
    RouteNotFound,
    SchemaChanged,
    ServiceUnavailable,
    TokenExpired,
    TwoFactorSetupRequired,
)
from app.graphql.schema import schema_of
from app.http.authentication import Authenticator
from app.http.cookies import set_cookie_header
from app.http.csrf import CsrfCheck
from app.http.exchange import BodyReader
from app.http.request_head import READ_METHODS, RequestHead
from app.http.response import Response
from app.repositories.directory import Directory
from app.repositories.services import Services
from app.studio.addresses import ROOT, Addresses
from app.studio.error_pages import error_page
from app.studio.graphiql_files import graphiql_files
from app.studio.page_request import PageRequest, redirect_to
from app.studio.pages import ROUTES
from app.studio.routing import Match, Router
from app.studio.session import anonymous, cookie_only, renew_session
from app.studio.site import Site
from app.studio.static_files import StaticFiles
from app.studio.templating import Templates
from app.studio.viewer import DEFAULT_PROJECT, Project, read_project, read_viewer

SESSION_ERRORS = (InvalidCredentials, InvalidToken, TokenExpired)
STATIC = "/static/"
EMAIL_VERIFIED = "email-verified"
"""The notice with which the link of a registration mail leads to the page of the new user."""
REASON = "reason"
"""The parameter with the code of the error with which a sign-in with a provider leads back."""
TFA_SETUP = "/account/two-factor"

ROUTER = Router(ROUTES)

log = structlog.get_logger(__name__)


@lru_cache(maxsize=1)  # endpoints that replace others because the fields have changed need the same files
def _site_files(optional: tuple[tuple[str, Path], ...]) -> tuple[StaticFiles, Templates]:
    """Return the static files, some of which are optional, and the templates that refer to them."""
    static_files = StaticFiles(optional=dict(optional))
    return static_files, Templates(static_files)


class StudioEndpoint:
    """The endpoint behind `/admin`."""

    def __init__(self, services: Services, authenticator: Authenticator) -> None:
        self._services, self._authenticator = services, authenticator
        graphiql = tuple((f"graphiql/{name}", path) for name, path in graphiql_files().items())
        static_files, templates = _site_files(graphiql)
        schema = schema_of(services)
        self._site = Site(schema, templates, static_files, has_graphiql=bool(graphiql))
        self._csrf_check = CsrfCheck(services.settings)

    async def __call__(self, scope: Scope, head: RequestHead, body: BodyReader) -> Response:
        path = _path_below_root(scope)
        if path.startswith(STATIC):
            if scope["method"] not in READ_METHODS:
                raise MethodNotAllowed(scope["method"], READ_METHODS)
            return self._site.static_files.response(path.removeprefix(STATIC).partition("/")[2])
        request = await self._visitor_request(scope, head, body)
        try:
            match = ROUTER.match(scope["method"], path)
            self._check_origin(scope, head)
            if match.route.visitors:
                request.parameters = match.parameters
                response = await match.route.handler(request)
            else:
                request = await self._signed_in_request(request, match)
                response = await match.route.handler(request)
        except SESSION_ERRORS as error:
            return self._sign_in_response(request, error)
        except TwoFactorSetupRequired:
            return request.redirect(TFA_SETUP)
        except (RouteNotFound, MethodNotAllowed) as error:
            with suppress(RollcallError):  # without a session, it is a page for visitors
                request = await self._with_user(request)
            response = await error_page(request, error)
        except RollcallError as error:
            response = await error_page(request, error)
        except SchemaChanged:  # the middleware answers the request again with the current fields
            raise
        except Exception:  # a person gets a page whatever happens
            log.exception("request_failed")
            response = await error_page(request, RollcallError())
        return self._with_cookies(request.directory, response)

    async def error_response(self, scope: Scope, head: RequestHead, error: RollcallError) -> Response:
        """Return the page of an error that the middleware raised before this endpoint; it needs no database."""

        async def no_body() -> bytes:
            return b""

        request = await self._page_request(scope, head, no_body, DEFAULT_PROJECT)
        return replace(await error_page(request, error), error=error)

    def _check_origin(self, scope: Scope, head: RequestHead) -> None:
        """Check that a page of this server sent the form, also without a session: other sites must not sign users in.

        Raises:
            Forbidden: Another page sent it.
        """
        if scope["method"] not in READ_METHODS and not self._csrf_check.has_known_origin(scope, head):
            raise Forbidden("This form was sent by a page of another site")

    async def _visitor_request(self, scope: Scope, head: RequestHead, body: BodyReader) -> PageRequest:
        project = DEFAULT_PROJECT
        with suppress(ServiceUnavailable):  # reported by a page, not instead of one
            project = await read_project(self._services)
        return await self._page_request(scope, head, body, project)

    async def _page_request(self, scope: Scope, head: RequestHead, body: BodyReader, project: Project) -> PageRequest:
        """Return the request of a visitor."""
        directory = self._directory(anonymous(head), head)
        addresses = Addresses(self._services.settings, scope.get("root_path", ""))
        viewer = await read_viewer(directory, project, head.header(b"accept-language").decode("latin-1"))
        method, path = scope["method"], _path_below_root(scope)
        return PageRequest(self._site, directory, head, body, method, path, {}, addresses, project, viewer)

    async def _signed_in_request(self, request: PageRequest, match: Match) -> PageRequest:
        """Return the request with its session's user, if that user may use its route.

        Raises:
            InvalidCredentials, InvalidToken, TokenExpired: There is no valid session.
            TwoFactorSetupRequired: The user must set up two-factor authentication first.
        """
        request = await self._with_user(request)
        if not match.route.before_tfa:
            await request.directory.require_tfa_setup_done()
        if request.method == "GET" and not request.fragment:
            await renew_session(request.directory)
        return replace(request, parameters=match.parameters)

    async def _with_user(self, request: PageRequest) -> PageRequest:
        """Return the request with its session's user.

        Raises:
            InvalidCredentials, InvalidToken, TokenExpired: There is no valid session.
        """
        head = request.head
        directory = self._directory(cookie_only(head), head)
        if directory.caller.user is None:
            raise InvalidCredentials
        await directory.fresh_access()
        viewer = await read_viewer(directory, request.project, head.header(b"accept-language").decode("latin-1"))
        return replace(request, directory=directory, viewer=viewer)

    def _directory(self, credentials: RequestHead, head: RequestHead) -> Directory:
        caller = self._authenticator.authenticate(credentials)
        return Directory(caller, self._services, head.client_info, shares_budget=True)

    def _sign_in_response(self, request: PageRequest, error: RollcallError) -> Response:
        """Return a redirect to the sign-in page, which leads back to the requested page; delete the dead cookie."""
        settings = self._services.settings
        requested = request.addresses.base + request.path
        query = urlencode([pair for pair in request.query.multi_items() if pair[0] != REASON])
        parameters = {}
        if request.method == "GET" and request.path not in ("", "/"):
            parameters["next"] = requested + (f"?{query}" if query else "")
        if reason := request.query.get(REASON):  # a sign-in with a provider failed
            parameters[REASON] = reason
        had_session = settings.session_cookie_name in request.head.client_info().cookies
        notice = request.query.get("notice")
        if notice == EMAIL_VERIFIED:
            parameters = {"notice": notice}
        elif had_session:
            parameters["notice"] = "session-ended"
        response = redirect_to(request.addresses.page("/sign-in", parameters))
        if had_session:
            expired = set_cookie_header(ResponseCookie("session"), settings, self._services.clock())
            return replace(response, headers=[*response.headers, expired])
        return response

    def _with_cookies(self, directory: Directory, response: Response) -> Response:
        now = self._services.clock()
        cookies = [set_cookie_header(cookie, self._services.settings, now) for cookie in directory.response_cookies]
        return replace(response, headers=[*response.headers, *cookies]) if cookies else response


def _path_below_root(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "")).removeprefix(ROOT)
