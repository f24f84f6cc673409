"""How letters leave: through an SMTP server, or only as lines of the log."""

import asyncio
import socket
from contextlib import suppress
from typing import Protocol

import aiosmtplib
import structlog

from app.core.config import Settings
from app.mail.message import DeliveryError, OutgoingMail, PermanentDeliveryError

STEP_TIMEOUT_SECONDS, SEND_TIMEOUT_SECONDS = 10.0, 30.0
"""How long the server may take for each thing that it is told, and for all of them."""
QUIT_TIMEOUT_SECONDS = 1.0
PERMANENT_ERROR_CODE = 500
"""Codes from here on mean that trying again is useless."""
DEFAULT_HELO_NAME = "[127.0.0.1]"
"""What a machine greets with that has no full name, as Directus does."""

log = structlog.get_logger(__name__)


class Transport(Protocol):
    """Where letters are taken to."""

    async def send(self, mail: OutgoingMail) -> None:
        """Hands a letter over; raises Undelivered where that fails, Refused where it always will."""
        ...


class LogTransport:
    """Letters are lines of the log, links and all, for trying things out without a mail server."""

    async def send(self, mail: OutgoingMail) -> None:
        log.info("mail", to=mail.recipient, subject=mail.content.subject, text=mail.content.text)


class SmtpTransport:
    """Letters go to the server that the settings name, each over a connection of its own.

    TLS is spoken from the first byte (EMAIL_SMTP_SECURE), else as soon as the server offers it, unless it shall be
    ignored; its certificate has to be one that this machine trusts.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def send(self, mail: OutgoingMail) -> None:
        message, server = mail.message(), self._create_client()
        try:
            async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
                await server.connect()
                await server.send_message(message, sender=mail.sender, recipients=[mail.recipient])
        except aiosmtplib.SMTPRecipientsRefused as refusal:
            code = refusal.recipients[0].code
            raise (PermanentDeliveryError if code >= PERMANENT_ERROR_CODE else DeliveryError)(
                f"The recipient was refused: {code}"
            ) from None
        except aiosmtplib.SMTPResponseException as refusal:
            raise DeliveryError(f"{type(refusal).__name__}: {refusal.code}") from None
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise DeliveryError(type(error).__name__) from None
        finally:
            await _quit(server)

    def _create_client(self) -> aiosmtplib.SMTP:
        settings, password = self._settings, self._settings.email_smtp_password
        return aiosmtplib.SMTP(
            hostname=settings.email_smtp_host,
            port=settings.email_smtp_port,
            username=settings.email_smtp_user,
            password=None if password is None else password.get_secret_value(),
            local_hostname=settings.email_smtp_name or _local_hostname(),
            timeout=STEP_TIMEOUT_SECONDS,
            use_tls=settings.email_smtp_secure,
            start_tls=False if settings.email_smtp_secure or settings.email_smtp_ignore_tls else None,
        )


def create_transport(settings: Settings) -> Transport:
    """The transport that the settings ask for."""
    return SmtpTransport(settings) if settings.email_transport == "smtp" else LogTransport()


async def _quit(server: aiosmtplib.SMTP) -> None:
    """Ends a connection. A letter that was taken has gone, however the farewell turns out."""
    if server.is_connected:
        with suppress(aiosmtplib.SMTPException, OSError):
            async with asyncio.timeout(QUIT_TIMEOUT_SECONDS):
                await server.quit()
    server.close()


def _local_hostname() -> str:
    """This machine's name, without asking anybody for it."""
    name = socket.gethostname()
    return name if "." in name else DEFAULT_HELO_NAME
