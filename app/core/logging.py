"""Structured logs: one JSON line for each event, or lines for a person, and no secret in either."""

import logging
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any, Protocol

import structlog

SECRET_KEY_PARTS = ("authorization", "cookie", "password", "otp", "secret", "token")
REDACTED = "[redacted]"

LogEvent = MutableMapping[str, Any]


class HasRequestId(Protocol):
    """Something with an id, which is made up when somebody wants to know it."""

    @property
    def id(self) -> str:
        """The id."""
        ...


current_request: ContextVar[HasRequestId | None] = ContextVar("request", default=None)
"""The request that is being answered; everything that is logged meanwhile carries its id."""


def redact(_: Any, __: str, event: LogEvent) -> LogEvent:
    """Takes out of an event whatever stands under a key that names a secret."""
    for key in event:
        if any(part in key.lower() for part in SECRET_KEY_PARTS):
            event[key] = REDACTED
    return event


def add_request_id(_: Any, __: str, event: LogEvent) -> LogEvent:
    """Tells which request an event belongs to, if any."""
    if (request := current_request.get()) is not None:
        event["request_id"] = request.id
    return event


def configure_logging(level: str, style: str) -> None:
    """From here on everything goes to standard error: `level` is debug, info, warn or error, `style` raw or pretty."""
    shared: list[Any] = [
        add_request_id,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,  # without the local variables, which hold what clients sent
        redact,
    ]
    last: Any = structlog.processors.JSONRenderer() if style == "raw" else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=last, foreign_pre_chain=shared))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(getattr(logging, {"warn": "WARNING"}.get(level, level.upper())))
    logging.getLogger("sqlalchemy").setLevel(logging.WARNING)  # its statements carry what clients sent
    logging.getLogger("aiosqlite").setLevel(logging.WARNING)
