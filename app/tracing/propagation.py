"""The W3C trace context of requests to other servers."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

trace_context: ContextVar[Callable[[dict[str, str]], None] | None] = ContextVar("trace_context", default=None)
"""Adds the headers with the current span, while there is one."""


async def add_trace_context(request: Any) -> None:
    """Add the trace context to a request; a hook for `httpx`."""
    if (add_headers := trace_context.get()) is not None:
        headers: dict[str, str] = {}
        add_headers(headers)
        request.headers.update(headers)
