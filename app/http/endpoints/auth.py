"""The doors of those who sign in, stay signed in, and sign out, and of those who forgot their password."""

from collections.abc import Mapping
from typing import Any

import orjson

from app.flows.login import Credentials, LoginService
from app.flows.password_reset import PasswordReset
from app.flows.session import SessionService
from app.flows.tfa_policy import FlowOperation
from app.flows.tokens import TokenMode, Tokens
from app.http.authentication import Authenticator
from app.http.collection_request import NO_CONTENT, data_response
from app.http.flow_endpoint import FlowEndpoint, FlowRequest, FlowRoute, FlowRoutes
from app.http.response import Response
from app.openapi.request_bodies import CREDENTIALS, FORGOTTEN, NEW_PASSWORD, SESSION
from app.repositories.directory import Directory
from app.repositories.services import Services


def auth_endpoint(services: Services, identity: Authenticator) -> FlowEndpoint:
    """The door behind `/auth`."""
    login = {} if services.settings.auth_disable_default else LOGIN_ROUTE
    return FlowEndpoint(services, identity, {**ROUTES, **login})


async def _providers(asked: FlowRequest) -> Response:
    """Which ways to sign in there are besides a password, which are none, and whether there is that one."""
    disabled = asked.directory.services.settings.auth_disable_default
    return Response(orjson.dumps({"data": [], "disableDefault": disabled}))


async def _login(asked: FlowRequest) -> Response:
    """Tokens for credentials."""
    given = await asked.read(CREDENTIALS)
    shown = Credentials(given["email"], given["password"], given.get("otp"))
    tokens = await LoginService(asked.directory).login(shown, TokenMode(given.get("mode", TokenMode.JSON)))
    return _told(asked.directory, tokens)


async def _refresh(asked: FlowRequest) -> Response:
    """New tokens for old ones."""
    given = await asked.read(SESSION)
    way = _way(asked.directory, given)
    return _told(asked.directory, await SessionService(asked.directory).refresh(given.get("refresh_token"), way))


async def _logout(asked: FlowRequest) -> Response:
    """The end of a session, and of the cookie that carried it."""
    given = await asked.read(SESSION)
    way = _way(asked.directory, given)
    gone = await SessionService(asked.directory).logout(given.get("refresh_token"), way)
    if way is not TokenMode.JSON:
        asked.directory.response_cookies += (gone,)
    return NO_CONTENT


async def _request_reset(asked: FlowRequest) -> Response:
    """A mail to whoever forgot a password; nothing is told of whether anybody did."""
    given = await asked.read(FORGOTTEN)
    await PasswordReset(asked.directory).request(given["email"], given.get("reset_url"))
    return NO_CONTENT


async def _reset(asked: FlowRequest) -> Response:
    """Another password, for whoever has a token out of that mail."""
    given = await asked.read(NEW_PASSWORD)
    await PasswordReset(asked.directory).reset(given["token"], given["password"])
    return NO_CONTENT


LOGIN_ROUTE: FlowRoutes = {("POST", "/auth/login"): FlowRoute(FlowOperation.LOGIN, _login)}
ROUTES: FlowRoutes = {
    ("GET", "/auth"): FlowRoute(FlowOperation.LIST_AUTH_PROVIDERS, _providers),
    ("POST", "/auth/refresh"): FlowRoute(FlowOperation.REFRESH, _refresh),
    ("POST", "/auth/logout"): FlowRoute(FlowOperation.LOGOUT, _logout),
    ("POST", "/auth/password/request"): FlowRoute(FlowOperation.REQUEST_PASSWORD_RESET, _request_reset),
    ("POST", "/auth/password/reset"): FlowRoute(FlowOperation.RESET_PASSWORD, _reset),
}


def _told(directory: Directory, tokens: Tokens) -> Response:
    directory.response_cookies += tokens.cookies
    told: dict[str, Any] = {"expires": round(tokens.expires.total_seconds() * 1000)}
    if tokens.refresh is not None:
        told["refresh_token"] = tokens.refresh
    if tokens.access is not None:
        told["access_token"] = tokens.access
    return data_response(told)


def _way(directory: Directory, given: Mapping[str, Any]) -> TokenMode:
    """How a client carries its tokens, where it doesn't say so: as a token that it shows, or as its cookies do."""
    if "mode" in given:
        return TokenMode(given["mode"])
    settings, cookies = directory.services.settings, directory.client_info().cookies
    if given.get("refresh_token"):
        return TokenMode.JSON
    if settings.refresh_token_cookie_name in cookies:
        return TokenMode.COOKIE
    return TokenMode.SESSION if settings.session_cookie_name in cookies else TokenMode.JSON
