"""The root fields that need no collection."""

from collections.abc import Iterator

from strawberry.types.field import StrawberryField

from app.schema import build
from app.schema.overlay import NOTHING


def server_queries() -> Iterator[StrawberryField]:
    """Whether the server answers, and the field of those who may ask for nothing else."""
    yield build.field("server_ping", "String", resolver=_ping)
    yield build.field(NOTHING, "Void", resolver=_nothing, description="There is no data to query.")


def _ping() -> str:
    return "pong"


def _nothing() -> None:
    return None
