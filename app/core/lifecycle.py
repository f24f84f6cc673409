"""Whether an application accepts requests: not before it has started, and not once it is going to stop."""

from enum import StrEnum, auto


class Phase(StrEnum):
    """A phase in the life of an application."""

    STARTING = auto()
    READY = auto()
    DRAINING = auto()
    """Requests are still answered, but no more should be sent."""


class Lifecycle:
    """The phase of an application."""

    def __init__(self) -> None:
        self.phase = Phase.STARTING
