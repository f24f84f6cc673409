"""The HTTP client for the nodes of a Directus that uses the same database."""

import asyncio
import ssl

from pydantic import SecretStr

from app.tracing.propagation import add_trace_context

CLEAR_CACHE_PATH = "/utils/cache/clear?system"
"""With `system`, Directus also clears its caches of permissions and of the schema; it requires an admin."""
CONNECT_TIMEOUT_SECONDS, CALL_TIMEOUT_SECONDS = 5.0, 10.0
"""Time limits of connecting, and of a call as a whole."""


class DirectusError(Exception):
    """A call failed. The message says why, and never contains the token."""


class DirectusClient:
    """Calls Directus nodes as the user with this token.

    Certificates must be trusted by this machine. Redirects are not followed, because they would pass on the token.
    """

    def __init__(self, token: SecretStr) -> None:
        import httpx  # noqa: PLC0415  # takes 2 MB that a server without a Directus does not need

        self._client = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {token.get_secret_value()}"},
            timeout=httpx.Timeout(CALL_TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS),
            verify=ssl.create_default_context(),
            follow_redirects=False,
            event_hooks={"request": [add_trace_context]},
        )
        self._request_errors = (httpx.HTTPError, httpx.InvalidURL, OSError)

    async def clear_cache(self, url: str) -> None:
        """Clear the caches of the node at this URL.

        Raises:
            DirectusError: The node is unreachable, too slow, or did not accept the request.
        """
        try:
            async with asyncio.timeout(CALL_TIMEOUT_SECONDS):
                status = await self._post(url.rstrip("/") + CLEAR_CACHE_PATH)
        except self._request_errors as error:  # their messages may contain a server's text
            raise DirectusError(type(error).__name__) from None
        except TimeoutError:
            raise DirectusError("Timeout") from None
        if not 200 <= status < 300:
            raise DirectusError(f"HTTP {status}")

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def _post(self, url: str) -> int:
        async with self._client.stream("POST", url) as response:  # the body is not read: it may be of any length
            return response.status_code
