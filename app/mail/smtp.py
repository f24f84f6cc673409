"""The SMTP transport of mails."""

import asyncio
import socket
from contextlib import suppress
from email.message import EmailMessage

import aiosmtplib

from app.core.config import Settings
from app.mail.message import DeliveryError, OutgoingMail, PermanentDeliveryError

STEP_TIMEOUT_SECONDS, SEND_TIMEOUT_SECONDS = 10.0, 30.0
"""Timeout of each SMTP command, and of sending an email as a whole."""
QUIT_TIMEOUT_SECONDS = 1.0
PERMANENT_ERROR_CODE = 500
"""SMTP replies with this code or a higher one are permanent failures."""
DEFAULT_HELO_NAME = "[127.0.0.1]"
"""Name for EHLO of a machine without a fully qualified name, as in Directus."""


class SmtpTransport:
    """Sends emails to the configured SMTP server, each over a new connection.

    TLS is used from the start of the connection (EMAIL_SMTP_SECURE), or by STARTTLS if the server offers it, unless
    EMAIL_SMTP_IGNORE_TLS is set. This machine must trust the server's certificate.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def send(self, mail: OutgoingMail) -> None:
        message, client = mail.message(), self._create_client()
        sender, recipient = (message[name].addresses[0].addr_spec for name in ("From", "To"))
        try:
            async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
                await client.connect()
                await _send(client, message, sender, recipient)
        except aiosmtplib.SMTPRecipientsRefused as error:
            code = error.recipients[0].code
            raise (PermanentDeliveryError if code >= PERMANENT_ERROR_CODE else DeliveryError)(
                f"The server rejected the recipient: {code}"
            ) from None
        except aiosmtplib.SMTPResponseException as error:
            raise DeliveryError(f"{type(error).__name__}: {error.code}") from None
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise DeliveryError(type(error).__name__) from None
        finally:
            await _quit(client)

    async def check(self) -> None:
        """Connect to the server and log in.

        Raises:
            DeliveryError: The server is unavailable, or refuses that.
        """
        client = self._create_client()
        try:
            await client.connect()
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise DeliveryError(type(error).__name__) from None
        finally:
            await _quit(client)

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


async def _send(client: aiosmtplib.SMTP, message: EmailMessage, sender: str, recipient: str) -> None:
    """Send a message over an open connection.

    Raises:
        PermanentDeliveryError: An address has a local part outside ASCII, which the server does not support.
        SMTPException: Any other error.
    """
    try:
        await client.send_message(message, sender=sender, recipients=[recipient])
    except aiosmtplib.SMTPNotSupported:
        owner = "sender's" if recipient.isascii() else "recipient's"
        raise PermanentDeliveryError(
            f"The {owner} address is not ASCII before the @, and the server does not support SMTPUTF8"
        ) from None


async def _quit(client: aiosmtplib.SMTP) -> None:
    """Close a connection, ignoring errors: an accepted email is sent even if QUIT fails."""
    if client.is_connected:
        with suppress(aiosmtplib.SMTPException, OSError):
            async with asyncio.timeout(QUIT_TIMEOUT_SECONDS):
                await client.quit()
    client.close()


def _local_hostname() -> str:
    """Return this machine's name without a DNS query."""
    name = socket.gethostname()
    return name if "." in name else DEFAULT_HELO_NAME
