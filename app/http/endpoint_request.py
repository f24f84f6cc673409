"""The request that an endpoint passes to its handlers, with the three ways to read a JSON body, and its errors."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from app.core.errors import RollcallError
from app.http.exchange import BodyReader
from app.http.parsing import MAX_INLINE_BYTES, parse_json
from app.http.request_head import RequestHead
from app.openapi.request_bodies import RequestBody
from app.repositories.directory import Directory


@dataclass(frozen=True, slots=True)
class EndpointRequest:
    """A request with its caller's directory."""

    directory: Directory
    head: RequestHead
    body: BodyReader

    async def json(self) -> Any:
        """Return the JSON body.

        Raises:
            InvalidPayload: The body is empty, not JSON, or too large, or its Content-Type isn't JSON.
        """
        return await self._parse(await self.body())

    async def json_if_any(self) -> Any:
        """Return the JSON body, or an empty object if there is no body."""
        raw = await self.body()
        return await self._parse(raw) if raw else {}

    async def read(self, expected: RequestBody) -> dict[str, Any]:
        """Return the values of the JSON object in the body, checked against `expected`.

        No body counts as an empty object.

        Raises:
            InvalidPayload: The body isn't JSON or is too large, its Content-Type isn't JSON, or its values aren't as
                expected.
        """
        raw = await self.body()
        if raw or self.head.content_type:
            return expected.parse(await self._parse(raw or b"{}"))
        return expected.parse({})

    async def _parse(self, body: bytes) -> Any:
        services = self.directory.services
        work = partial(parse_json, body, self.head.content_type, services.settings.max_payload_values)
        if len(body) <= MAX_INLINE_BYTES:
            return work()
        return await services.planning.run(self.directory.owner, work)


async def error_to_report(error: RollcallError, directory: Directory) -> RollcallError:
    """Return the error of a request or, if its credentials are invalid, the error that says so.

    Credentials are verified by the statement that answers a request. An endpoint may reject the request before it
    runs one, for example because of its body, but invalid credentials have to be reported first, as in Directus.
    """
    if error.status >= 500 or directory.caller.anonymous:
        return error
    try:
        await directory.fresh_access()
    except RollcallError as credentials_error:
        return credentials_error
    return error
