"""Structured logging as JSON or readable lines, with secrets redacted."""

import logging
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any, Protocol

import structlog

SECRET_KEY_PARTS = ("authorization", "cookie", "password", "otp", "secret", "token")
REDACTED = "[redacted]"

LogEvent = MutableMapping[str, Any]


class HasRequestId(Protocol):
    """A request with an id, which may be generated on first access."""

    @property
    def id(self) -> str:
        """The request's id."""
        ...


current_request: ContextVar[HasRequestId | None] = ContextVar("request", default=None)
"""The request being handled; its id is added to every event logged meanwhile."""


def redact(_: Any, __: str, event: LogEvent) -> LogEvent:
    """Replace the values of keys that name a secret."""
    for key in event:
        if any(part in key.lower() for part in SECRET_KEY_PARTS):
            event[key] = REDACTED
    return event


def add_request_id(_: Any, __: str, event: LogEvent) -> LogEvent:
    """Add the id of the current request, if any."""
    if (request := current_request.get()) is not None:
        event["request_id"] = request.id
    return event


def configure_logging(level: str, style: str) -> None:
    """Send all logs to standard error.

    Args:
        level: `debug`, `info`, `warn` or `error`.
        style: `raw` for JSON, `pretty` for readable lines.
    """
    processors: list[Any] = [
        add_request_id,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,  # without local variables, which contain client input
        redact,
    ]
    is_json = style == "raw"
    renderer: Any = structlog.processors.JSONRenderer() if is_json else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *processors,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=processors))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(getattr(logging, {"warn": "WARNING"}.get(level, level.upper())))
    logging.getLogger("sqlalchemy").setLevel(logging.WARNING)  # its statements contain client input
    logging.getLogger("aiosqlite").setLevel(logging.WARNING)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every request
