"""What the server and the application tell each other through ASGI's `state`: the keys of it, and their values."""

from dataclasses import dataclass

DRAIN = "rollcall.drain"
"""A function without parameters, by which the server tells the application that it stops."""
CONNECTION = "rollcall.connection"
"""The `ConnectionOptions` of the connection by which a request has come."""


@dataclass(slots=True)
class ConnectionOptions:
    """What the application asks of one connection."""

    max_stall_seconds: float | None = None
    """How long its client may read nothing, while data waits for it, before it is disconnected; None for any time."""
