"""How letters leave: through an SMTP server, or only as lines of the log."""

import asyncio
import socket
from contextlib import suppress
from typing import Protocol

import aiosmtplib
import structlog

from app.core.config import Settings
from app.mail.message import DeliveryError, OutgoingMail, PermanentDeliveryError

STEP_SECONDS, SENDING_SECONDS = 10.0, 30.0
"""How long the server may take for each thing that it is told, and for all of them."""
FAREWELL_SECONDS = 1.0
FOR_GOOD = 500
"""Codes from here on mean that trying again is useless."""
NOWHERE = "[127.0.0.1]"
"""What a machine greets with that has no full name, as Directus does."""

log = structlog.get_logger(__name__)


class Transport(Protocol):
    """Where letters are taken to."""

    async def send(self, letter: OutgoingMail) -> None:
        """Hands a letter over; raises Undelivered where that fails, Refused where it always will."""
        ...


class LogTransport:
    """Letters are lines of the log, links and all, for trying things out without a mail server."""

    async def send(self, letter: OutgoingMail) -> None:
        log.info("mail", to=letter.recipient, subject=letter.words.subject, text=letter.words.text)


class SmtpTransport:
    """Letters go to the server that the settings name, each over a connection of its own.

    TLS is spoken from the first byte (EMAIL_SMTP_SECURE), else as soon as the server offers it, unless it shall be
    ignored; its certificate has to be one that this machine trusts.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def send(self, letter: OutgoingMail) -> None:
        message, server = letter.message(), self._server()
        try:
            async with asyncio.timeout(SENDING_SECONDS):
                await server.connect()
                await server.send_message(message, sender=letter.sender, recipients=[letter.recipient])
        except aiosmtplib.SMTPRecipientsRefused as refusal:
            code = refusal.recipients[0].code
            raise (PermanentDeliveryError if code >= FOR_GOOD else DeliveryError)(
                f"The recipient was refused: {code}"
            ) from None
        except aiosmtplib.SMTPResponseException as refusal:
            raise DeliveryError(f"{type(refusal).__name__}: {refusal.code}") from None
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise DeliveryError(type(error).__name__) from None
        finally:
            await _leave(server)

    def _server(self) -> aiosmtplib.SMTP:
        settings, password = self._settings, self._settings.email_smtp_password
        return aiosmtplib.SMTP(
            hostname=settings.email_smtp_host,
            port=settings.email_smtp_port,
            username=settings.email_smtp_user,
            password=None if password is None else password.get_secret_value(),
            local_hostname=settings.email_smtp_name or _own_name(),
            timeout=STEP_SECONDS,
            use_tls=settings.email_smtp_secure,
            start_tls=False if settings.email_smtp_secure or settings.email_smtp_ignore_tls else None,
        )


def create_transport(settings: Settings) -> Transport:
    """The transport that the settings ask for."""
    return SmtpTransport(settings) if settings.email_transport == "smtp" else LogTransport()


async def _leave(server: aiosmtplib.SMTP) -> None:
    """Ends a connection. A letter that was taken has gone, however the farewell turns out."""
    if server.is_connected:
        with suppress(aiosmtplib.SMTPException, OSError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await server.quit()
    server.close()


def _own_name() -> str:
    """This machine's name, without asking anybody for it."""
    name = socket.gethostname()
    return name if "." in name else NOWHERE
