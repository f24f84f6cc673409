"""Starts uvicorn with one process, or with several that listen on one address each on a socket of its own."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvicorn
from uvicorn.supervisors import Multiprocess

from app.cli.connection_limit import ConnectionLimit
from app.cli.http_protocol import HttpLimits, LimitedHttpProtocol
from app.core.config import Settings
from app.metrics.shared_folder import FOLDER_VARIABLE, SharedFolder

APPLICATION = "app.main:create_app"

WORKER_HEALTH_CHECK_SECONDS = 60
"""How long a worker may not respond, as while it starts, before it is replaced; uvicorn's 5 s end slow starts early."""

Address = tuple[Any, ...]


def serve_with(workers: int, settings: Settings, **options: Any) -> None:
    """Serve the application with this many processes until stopped; the options are uvicorn's."""
    options |= {"http": http_protocol(settings), **websocket_options(settings)}
    if workers == 1:
        uvicorn.run(APPLICATION, factory=True, **options)
        return
    options["timeout_worker_healthcheck"] = WORKER_HEALTH_CHECK_SECONDS
    config = uvicorn.Config(APPLICATION, factory=True, workers=workers, **options)
    with _shared_metrics(settings):
        Multiprocess(config, sockets=[_reuse_port(config.bind_socket())]).run()


@contextmanager
def _shared_metrics(settings: Settings) -> Iterator[None]:
    """Create the folder in which the processes share their metrics, if there are any, and serve their port."""
    if not settings.has_metrics:
        yield
        return
    with TemporaryDirectory(prefix="rollcall-metrics-") as folder, ExitStack() as stack:
        os.environ[FOLDER_VARIABLE] = folder
        if settings.metrics_port is not None:
            from app.metrics.exposition import metrics_server  # noqa: PLC0415  # takes a MB of memory

            read = SharedFolder(Path(folder)).read
            stack.enter_context(metrics_server(settings.metrics_host, settings.metrics_port, read))
        yield


def http_protocol(settings: Settings) -> Any:
    """Return the protocol for uvicorn's option `http`, with the limits of the settings; it can be pickled."""
    return partial(
        LimitedHttpProtocol,
        limits=HttpLimits.from_settings(settings),
        connection_limit=ConnectionLimit.from_settings(settings),
    )


def websocket_options(settings: Settings) -> dict[str, Any]:
    """Return uvicorn's options for WebSocket connections. Without compression, no message grows when it is read."""
    if not settings.websockets_enabled:
        return {"ws": "none"}
    from app.cli.websocket_protocol import LimitedWebSocketProtocol  # noqa: PLC0415  # takes a MB of memory

    return {
        "ws": LimitedWebSocketProtocol,
        "ws_max_size": settings.websockets_max_message_size,
        "ws_per_message_deflate": False,
        "ws_ping_interval": settings.websockets_heartbeat_period,
        "ws_ping_timeout": settings.websockets_heartbeat_period,
    }


class ReusePortSocket(socket.socket):
    """A listening socket that each process it is pickled to opens anew, so that the kernel balances the connections.

    If all processes accepted from one socket, the first to wake would take every connection of a burst and keep it.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return listen, (self.family, self.getsockname())


def listen(family: socket.AddressFamily, address: Address) -> ReusePortSocket:
    """Return a socket bound to `address`, which other processes of the same user may bind too."""
    bound = ReusePortSocket(family)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(address)
    return bound


def _reuse_port(bound: socket.socket) -> socket.socket:
    """Replace a bound socket by one with SO_REUSEPORT, on systems whose kernel then balances the connections."""
    if sys.platform != "linux":
        return bound
    with bound:  # binding it has failed if another program uses the address, which SO_REUSEPORT alone would not notice
        family, address = bound.family, bound.getsockname()
    return listen(family, address)
