"""Calls a provider over HTTP, with limits of time and size."""

import asyncio
import re
import ssl
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import httpx
import orjson
from pydantic import SecretStr

from app.identity_providers.base import ProviderUnavailable
from app.tracing.propagation import add_trace_context

CONNECT_TIMEOUT_SECONDS, CALL_TIMEOUT_SECONDS = 5.0, 10.0
"""Time limits of connecting, and of a call as a whole."""
MAX_RESPONSE_BYTES = 1024**2
MAX_CONNECTIONS = 20
ERROR_CODE = re.compile(r"[a-z_]{1,64}", re.ASCII)
"""Error codes of OAuth 2 that are logged; anything else might contain personal data."""


class JsonResponse(NamedTuple):
    """A status and the object in the body."""

    status: int
    values: dict[str, Any]

    @property
    def error(self) -> str | None:
        """The error code of OAuth 2, if this is an error response."""
        code = self.values.get("error")
        if code is None and self.status < 300:
            return None
        return code if isinstance(code, str) and ERROR_CODE.fullmatch(code) else "unknown"

    def describe(self) -> str:
        """Return the status and the error code, for the log."""
        return f"HTTP {self.status} {self.error or ''}".rstrip()


@cache
def _tls_context() -> ssl.SSLContext:
    """Return how servers are verified, for all clients: reading the certificates of the authorities takes long."""
    return ssl.create_default_context()


class ProviderHttpClient:
    """Calls one provider. Redirects are not followed, because they would pass on secrets."""

    def __init__(self) -> None:
        self._client = httpx.AsyncClient(
            headers={"accept": "application/json"},
            timeout=httpx.Timeout(CALL_TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS),
            limits=httpx.Limits(max_connections=MAX_CONNECTIONS),
            verify=_tls_context(),
            follow_redirects=False,
            event_hooks={"request": [add_trace_context]},
        )

    async def get(self, url: str, access_token: str | None = None) -> dict[str, Any]:
        """Return the JSON object at a URL.

        Raises:
            ProviderUnavailable: There is none.
        """
        headers = {"authorization": f"Bearer {access_token}"} if access_token else {}
        response = await self._send(self._client.build_request("GET", url, headers=headers))
        if response.status != 200:
            raise ProviderUnavailable(f"GET {_location(url)}: {response.describe()}")
        return response.values

    async def post(self, url: str, form: Mapping[str, str], basic: tuple[str, SecretStr] | None = None) -> JsonResponse:
        """Send a form, with a user name and a password if there are any, and return the response, also an error.

        Raises:
            ProviderUnavailable: There is no response, the server failed, or the body is no JSON object.
        """
        auth = httpx.BasicAuth(basic[0], basic[1].get_secret_value()) if basic else None
        request = self._client.build_request("POST", url, data=dict(form))
        response = await self._send(request, auth)
        if response.status >= 500:
            raise ProviderUnavailable(f"POST {_location(url)}: HTTP {response.status}")
        return response

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def _send(self, request: httpx.Request, auth: httpx.BasicAuth | None = None) -> JsonResponse:
        subject = f"{request.method} {_location(str(request.url))}"
        try:
            async with asyncio.timeout(CALL_TIMEOUT_SECONDS):
                response = await self._client.send(request, auth=auth, stream=True)
                try:
                    body = await _read(response)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise ProviderUnavailable(f"{subject}: Timeout") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:  # may contain a server's text
            raise ProviderUnavailable(f"{subject}: {type(error).__name__}") from None
        if body is None:
            raise ProviderUnavailable(f"{subject}: the response is larger than {MAX_RESPONSE_BYTES} bytes")
        try:
            values = orjson.loads(body)
        except ValueError:
            values = None
        if not isinstance(values, dict):
            raise ProviderUnavailable(f"{subject}: HTTP {response.status_code} without a JSON object")
        return JsonResponse(response.status_code, values)


async def _read(response: httpx.Response) -> bytes | None:
    """Return the body of a response, None if it is too large."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_RESPONSE_BYTES:
            return None
    return bytes(body)


def _location(url: str) -> str:
    """Return a URL without its query."""
    return url.partition("?")[0]
