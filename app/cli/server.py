"""Serves: by one process, or by several that each listen for themselves."""

import socket
import sys
from typing import Any

import uvicorn
from uvicorn.supervisors import Multiprocess

Address = tuple[Any, ...]


def serve_with(workers: int, **options: Any) -> None:
    """Serves the application until told to stop; the options are uvicorn's."""
    if workers == 1:
        uvicorn.run("app.main:create_app", factory=True, **options)
        return
    config = uvicorn.Config("app.main:create_app", factory=True, workers=workers, **options)
    Multiprocess(config, sockets=[_apart(config.bind_socket())]).run()


class ReusePortSocket(socket.socket):
    """A socket that is opened anew by each process it is handed to: the system shares out among them who connects.

    Where all listen at one socket, whoever is awake takes all who connect at once, and keeps them as long as they stay.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return listen, (self.family, self.getsockname())


def listen(family: socket.AddressFamily, address: Address) -> ReusePortSocket:
    """A socket at an address that others of the same user may listen at too."""
    made = ReusePortSocket(family)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(address)
    return made


def _apart(bound: socket.socket) -> socket.socket:
    """An address that was free as one that each process listens at, on systems that share out who connects."""
    if sys.platform != "linux":
        return bound
    with bound:  # it refused an address that somebody else listens at, which the next wouldn't
        family, address = bound.family, bound.getsockname()
    return listen(family, address)
