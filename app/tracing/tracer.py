"""What the server reports to traces; without OpenTelemetry nothing, at the cost of nothing."""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

NO_SPAN: AbstractContextManager[None] = nullcontext()

Headers = Iterable[tuple[bytes, bytes]]


class Tracer:
    """Creates spans; this one creates none.

    A span never contains a value: no parameter, no path with a key in it, no text of an error.
    """

    is_enabled = False

    @property
    def is_recording(self) -> bool:
        """Whether the current request or job has a span."""
        return False

    def request(self, method: str, headers: Headers) -> AbstractContextManager[None] | None:
        """Return the span of a request, a child of the one that its W3C trace context names; None if it has none."""
        return None

    def describe_request(self, endpoint: str, method: str, status: int) -> None:
        """Name the span of the current request, once its endpoint and the status of its response are known."""

    def job(self, name: str) -> AbstractContextManager[None]:
        """Return the span of a run of a periodic job."""
        return NO_SPAN

    def span(self, name: str) -> AbstractContextManager[None]:
        """Return the span of a part of a request or a job; there is none outside of one."""
        return NO_SPAN

    def statement(self, system: str, *texts: str) -> AbstractContextManager[None]:
        """Return the span of statements that are sent together to a database, `postgresql` or `sqlite`."""
        return NO_SPAN

    def shut_down(self) -> None:
        """Send what is left; this may take seconds."""


NO_TRACER = Tracer()
