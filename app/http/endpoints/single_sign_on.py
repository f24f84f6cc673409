"""Endpoints for sign-in with a provider: the way there, and the way back."""

from dataclasses import replace
from urllib.parse import parse_qsl, quote, urlencode

from app.core.errors import InvalidPayload
from app.core.ldap_settings import LdapSettings
from app.core.provider_settings import ProviderSettings
from app.flows.single_sign_on.ldap_sign_in import LdapCredentials, LdapSignIn
from app.flows.single_sign_on.provider_sign_in import SignInFailed, SingleSignOn
from app.flows.single_sign_on.redirects import with_reason
from app.flows.tfa_policy import FlowOperation
from app.flows.tokens import TokenMode
from app.http.endpoints.token_response import tokens_response
from app.http.flow_endpoint import FlowRequest, FlowRoute, FlowRoutes
from app.http.response import Response, error_response
from app.openapi.request_bodies import LDAP_CREDENTIALS, LINK_CREDENTIALS

LOGIN = "/auth/login"
FORM_MEDIA_TYPE = b"application/x-www-form-urlencoded"
MAX_PARAMETERS = 50
MAX_PARAMETER_BYTES = 16 * 1024


def provider_routes(providers: tuple[ProviderSettings, ...]) -> FlowRoutes:
    """Return the routes of the providers."""
    routes: dict[tuple[str, str], FlowRoute] = {}
    for provider in providers:
        if isinstance(provider, LdapSettings):
            path = f"{LOGIN}/{provider.name}"
            routes["POST", path] = FlowRoute(FlowOperation.LOGIN_WITH_PROVIDER, LdapEndpoint(provider.name).sign_in)
            continue
        endpoint, path = ProviderEndpoint(provider.name), f"{LOGIN}/{provider.name}"
        for method, route, handler in (
            ("GET", path, endpoint.begin),
            ("GET", f"{path}/callback", endpoint.complete),
            ("POST", f"{path}/callback", endpoint.forward),
            ("POST", f"{path}/link", endpoint.link),
        ):
            routes[method, route] = FlowRoute(FlowOperation.LOGIN_WITH_PROVIDER, handler)
    return routes


class LdapEndpoint:
    """The handler of an LDAP directory."""

    def __init__(self, provider: str) -> None:
        self._provider = provider

    async def sign_in(self, request: FlowRequest) -> Response:
        """Sign in with an identifier and a password."""
        values = await request.read(LDAP_CREDENTIALS)
        credentials = LdapCredentials(values["identifier"], values["password"], values.get("otp"))
        mode = TokenMode(values.get("mode", TokenMode.JSON))
        tokens = await LdapSignIn(request.directory, self._provider).sign_in(credentials, mode)
        return tokens_response(request.directory, tokens)


class ProviderEndpoint:
    """The handlers of a provider to which the browser is redirected."""

    def __init__(self, provider: str) -> None:
        self._provider = provider

    async def begin(self, request: FlowRequest) -> Response:
        """Redirect to the provider."""
        query = _query(request)
        try:
            url = await SingleSignOn(request.directory, self._provider).begin(
                query.get("redirect"), query.get("otp"), consent=bool(query.get("prompt"))
            )
        except SignInFailed as failure:
            return _failed(failure)
        return _redirect(url)

    async def complete(self, request: FlowRequest) -> Response:
        """Sign in with the provider's response; redirect, or return the tokens."""
        try:
            completed = await SingleSignOn(request.directory, self._provider).complete(_query(request))
        except SignInFailed as failure:
            if failure.may_retry_with_consent:
                parameters = {"redirect": failure.redirect, "prompt": "true"}
                query = urlencode({name: value for name, value in parameters.items() if value})
                return _redirect(f"../{quote(self._provider)}?{query}")
            return _failed(failure)
        response = tokens_response(request.directory, completed.tokens)
        return _redirect(completed.redirect) if completed.redirect else response

    async def link(self, request: FlowRequest) -> Response:
        """Link the identity to the account whose password the body has; return the tokens."""
        values = await request.read(LINK_CREDENTIALS)
        sign_in = SingleSignOn(request.directory, self._provider)
        completed = await sign_in.confirm_link(values["password"], values.get("otp"))
        return tokens_response(request.directory, completed.tokens)

    async def forward(self, request: FlowRequest) -> Response:
        """Redirect a response that the provider sent as a form: browsers send no cookie along with it."""
        if request.head.content_type.partition(b";")[0].strip().lower() != FORM_MEDIA_TYPE:
            raise InvalidPayload("The body has to be a form")
        form = _parse(await request.body(), "form")
        return replace(_redirect(f"callback?{urlencode(form)}"), status=303)


def _query(request: FlowRequest) -> dict[str, str]:
    return _parse(request.head.query, "query")


def _parse(encoded: bytes, subject: str) -> dict[str, str]:
    """Return the parameters of a query or a form.

    Raises:
        InvalidPayload: It can't be read, is too long, or has a parameter twice.
    """
    if len(encoded) > MAX_PARAMETER_BYTES:
        raise InvalidPayload(f"The {subject} is longer than {MAX_PARAMETER_BYTES} bytes")
    try:
        pairs = parse_qsl(encoded.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise InvalidPayload(f"The {subject} can't be read") from None
    if len(parameters := dict(pairs)) < len(pairs):
        raise InvalidPayload(f"The {subject} has a parameter twice")
    return parameters


def _failed(failure: SignInFailed) -> Response:
    """Redirect with the code of the error as Directus does, or return the error if there is nowhere to redirect to."""
    if failure.redirect is None:
        return error_response(failure.error)
    return _redirect(with_reason(failure.redirect, failure.error.code))


def _redirect(url: str) -> Response:
    location = quote(url, safe="!#$%&'()*+,/:;=?@[]~")
    return Response(b"", 302, b"", [(b"location", location.encode()), (b"referrer-policy", b"no-referrer")])
