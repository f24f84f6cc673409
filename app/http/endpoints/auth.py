"""Endpoints for login, refresh, logout and password resets."""

from collections.abc import Mapping
from typing import Any

import orjson

from app.flows.login import Credentials, LoginService
from app.flows.password_reset import PasswordReset
from app.flows.session import SessionService
from app.flows.tfa_policy import FlowOperation
from app.flows.tokens import TokenMode, Tokens
from app.http.authentication import Authenticator
from app.http.flow_endpoint import FlowEndpoint, FlowRequest, FlowRoute, FlowRoutes
from app.http.response import NO_CONTENT, Response, data_response
from app.openapi.request_bodies import CREDENTIALS, PASSWORD_REQUEST, PASSWORD_RESET, SESSION_TOKEN
from app.repositories.directory import Directory
from app.repositories.services import Services


def auth_endpoint(services: Services, authenticator: Authenticator) -> FlowEndpoint:
    """Return the endpoint behind `/auth`."""
    login = {} if services.settings.auth_disable_default else LOGIN_ROUTE
    return FlowEndpoint(services, authenticator, {**ROUTES, **login})


async def _list_providers(request: FlowRequest) -> Response:
    """List the login providers besides a password: none; and say whether login by password is disabled."""
    disabled = request.directory.services.settings.auth_disable_default
    return Response(orjson.dumps({"data": [], "disableDefault": disabled}))


async def _login(request: FlowRequest) -> Response:
    values = await request.read(CREDENTIALS)
    credentials = Credentials(values["email"], values["password"], values.get("otp"))
    tokens = await LoginService(request.directory).login(credentials, TokenMode(values.get("mode", TokenMode.JSON)))
    return _tokens_response(request.directory, tokens)


async def _refresh(request: FlowRequest) -> Response:
    values = await request.read(SESSION_TOKEN)
    mode = _token_mode(request.directory, values)
    tokens = await SessionService(request.directory).refresh(values.get("refresh_token"), mode)
    return _tokens_response(request.directory, tokens)


async def _logout(request: FlowRequest) -> Response:
    """End a session, and delete the cookie that carried it."""
    values = await request.read(SESSION_TOKEN)
    mode = _token_mode(request.directory, values)
    expired_cookie = await SessionService(request.directory).logout(values.get("refresh_token"), mode)
    if mode is not TokenMode.JSON:
        request.directory.response_cookies += (expired_cookie,)
    return NO_CONTENT


async def _request_password_reset(request: FlowRequest) -> Response:
    """Mail a reset link; the response doesn't reveal whether the account exists."""
    values = await request.read(PASSWORD_REQUEST)
    await PasswordReset(request.directory).request(values["email"], values.get("reset_url"))
    return NO_CONTENT


async def _reset_password(request: FlowRequest) -> Response:
    """Set a new password, proven by the token of a reset link."""
    values = await request.read(PASSWORD_RESET)
    await PasswordReset(request.directory).reset(values["token"], values["password"])
    return NO_CONTENT


LOGIN_ROUTE: FlowRoutes = {("POST", "/auth/login"): FlowRoute(FlowOperation.LOGIN, _login)}
ROUTES: FlowRoutes = {
    ("GET", "/auth"): FlowRoute(FlowOperation.LIST_AUTH_PROVIDERS, _list_providers),
    ("POST", "/auth/refresh"): FlowRoute(FlowOperation.REFRESH, _refresh),
    ("POST", "/auth/logout"): FlowRoute(FlowOperation.LOGOUT, _logout),
    ("POST", "/auth/password/request"): FlowRoute(FlowOperation.REQUEST_PASSWORD_RESET, _request_password_reset),
    ("POST", "/auth/password/reset"): FlowRoute(FlowOperation.RESET_PASSWORD, _reset_password),
}


def _tokens_response(directory: Directory, tokens: Tokens) -> Response:
    directory.response_cookies += tokens.cookies
    data: dict[str, Any] = {"expires": round(tokens.expires.total_seconds() * 1000)}
    if tokens.refresh is not None:
        data["refresh_token"] = tokens.refresh
    if tokens.access is not None:
        data["access_token"] = tokens.access
    return data_response(data)


def _token_mode(directory: Directory, values: Mapping[str, Any]) -> TokenMode:
    """Return how the client carries its tokens: as it says, else by the token it sends or the cookies it has."""
    if "mode" in values:
        return TokenMode(values["mode"])
    settings, cookies = directory.services.settings, directory.client_info().cookies
    if values.get("refresh_token"):
        return TokenMode.JSON
    if settings.refresh_token_cookie_name in cookies:
        return TokenMode.COOKIE
    return TokenMode.SESSION if settings.session_cookie_name in cookies else TokenMode.JSON
