"""Endpoints for login, refresh, logout and password resets."""

from collections.abc import Mapping
from typing import Any

import orjson

from app.flows.login import Credentials, LoginService
from app.flows.password_reset import PasswordReset
from app.flows.session import SessionService
from app.flows.tfa_policy import FlowOperation
from app.flows.tokens import TokenMode
from app.http.authentication import Authenticator
from app.http.endpoints.passkeys import PASSKEY_ROUTES
from app.http.endpoints.single_sign_on import provider_routes
from app.http.endpoints.token_response import tokens_response
from app.http.flow_endpoint import FlowEndpoint, FlowRequest, FlowRoute, FlowRoutes
from app.http.response import NO_CONTENT, Response
from app.openapi.request_bodies import CREDENTIALS, PASSWORD_REQUEST, PASSWORD_RESET, SESSION_TOKEN
from app.repositories.directory import Directory
from app.repositories.services import Services

LISTED = ("name", "label", "driver", "icon")
"""What is listed of a provider."""


def auth_endpoint(services: Services, authenticator: Authenticator) -> FlowEndpoint:
    """Return the endpoint behind `/auth`."""
    login = {} if services.settings.auth_disable_default else LOGIN_ROUTE
    routes = {**ROUTES, **login, **provider_routes(services.settings.auth_providers)}
    return FlowEndpoint(services, authenticator, routes)


async def _list_providers(request: FlowRequest) -> Response:
    """List the login providers besides a password, and say whether login by password is disabled.

    With `sessionOnly` in the query, only those that set a session cookie are listed.
    """
    settings = request.directory.services.settings
    session_only = "sessionOnly" in request.parameters
    listed = [each for each in settings.auth_providers if not session_only or each.can_start_browser_session]
    data = [{name: value for name in LISTED if (value := getattr(each, name)) is not None} for each in listed]
    return Response(orjson.dumps({"data": data, "disableDefault": settings.auth_disable_default}))


async def _login(request: FlowRequest) -> Response:
    values = await request.read(CREDENTIALS)
    credentials = Credentials(values["email"], values["password"], values.get("otp"))
    tokens = await LoginService(request.directory).login(credentials, TokenMode(values.get("mode", TokenMode.JSON)))
    return tokens_response(request.directory, tokens)


async def _refresh(request: FlowRequest) -> Response:
    values = await request.read(SESSION_TOKEN)
    mode = _token_mode(request.directory, values)
    tokens = await SessionService(request.directory).refresh(values.get("refresh_token"), mode)
    return tokens_response(request.directory, tokens)


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
    **PASSKEY_ROUTES,
    ("POST", "/auth/refresh"): FlowRoute(FlowOperation.REFRESH, _refresh),
    ("POST", "/auth/logout"): FlowRoute(FlowOperation.LOGOUT, _logout),
    ("POST", "/auth/password/request"): FlowRoute(FlowOperation.REQUEST_PASSWORD_RESET, _request_password_reset),
    ("POST", "/auth/password/reset"): FlowRoute(FlowOperation.RESET_PASSWORD, _reset_password),
}


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
