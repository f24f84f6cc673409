"""Mail transports: SMTP, or the log only."""

from typing import Protocol

import structlog

from app.core.config import Settings
from app.mail.message import OutgoingMail

log = structlog.get_logger(__name__)


class Transport(Protocol):
    """Sends emails."""

    async def send(self, mail: OutgoingMail) -> None:
        """Send an email.

        Raises:
            DeliveryError: Sending failed, but may succeed later.
            PermanentDeliveryError: Sending will always fail.
        """
        ...


class LogTransport:
    """Writes emails, including their links, to the log, for use without a mail server."""

    async def send(self, mail: OutgoingMail) -> None:
        log.info("mail", to=mail.recipient, subject=mail.content.subject, text=mail.content.text)


def create_transport(settings: Settings) -> Transport:
    """Return the transport selected by EMAIL_TRANSPORT."""
    if settings.email_transport != "smtp":
        return LogTransport()
    from app.mail.smtp import SmtpTransport  # noqa: PLC0415  # takes a MB of memory

    return SmtpTransport(settings)
