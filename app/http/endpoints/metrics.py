"""The endpoint for Prometheus, which needs a token of its own."""

import asyncio
import hmac

from pydantic import SecretStr
from starlette.types import Scope

from app.core.errors import InvalidCredentials, MethodNotAllowed
from app.http.exchange import BodyReader
from app.http.request_head import READ_METHODS, RequestHead
from app.http.response import Response
from app.metrics.exporter import MetricsExporter

PATH = "/metrics"
BEARER = b"bearer"


class MetricsEndpoint:
    """The endpoint behind `/metrics`; it exists only if METRICS_TOKEN is set."""

    def __init__(self, token: SecretStr, exporter: MetricsExporter) -> None:
        self._token, self._exporter = token.get_secret_value().encode(), exporter
        self.paths = (PATH,)

    async def __call__(self, scope: Scope, head: RequestHead, _: BodyReader) -> Response:
        """Return the metrics of all processes.

        Raises:
            InvalidCredentials: The request has no `Authorization: Bearer` with the token.
            MethodNotAllowed: The method is neither GET nor HEAD.
        """
        scheme, _separator, token = head.authorization.partition(b" ")
        if scheme.lower() != BEARER or not hmac.compare_digest(token.strip(), self._token):
            raise InvalidCredentials
        if scope["method"] not in READ_METHODS:
            raise MethodNotAllowed(scope["method"], READ_METHODS)
        from app.metrics.exposition import expose  # noqa: PLC0415  # takes a MB that servers without metrics do not need

        snapshot = await self._exporter.collect()
        text, media = await asyncio.to_thread(expose, snapshot, head.accept.decode("latin-1"))
        return Response(text, media=media.encode(), no_store=True)
