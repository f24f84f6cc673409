"""An outgoing email and its conversion to a MIME message."""

from dataclasses import dataclass, field
from datetime import datetime
from email.errors import MessageError, NonASCIILocalPartDefect
from email.headerregistry import Address, HeaderRegistry
from email.message import EmailMessage
from typing import Any

from app.mail.templating import RenderedMail

HEADER_REGISTRY = HeaderRegistry()
NON_ASCII_DEFECT = NonASCIILocalPartDefect
"""A defect that SMTPUTF8 servers accept, so an address with it is valid."""
INVALID_RECIPIENT_MESSAGE = "The recipient is not a valid email address"


class DeliveryError(Exception):
    """An email was not sent. The message says why, and never contains the recipient or the content."""


class PermanentDeliveryError(DeliveryError):
    """An email cannot be sent, however often it is tried."""


@dataclass(frozen=True, slots=True)
class OutgoingMail:
    """An email to one recipient.

    `id` becomes the Message-ID; it must be the same whenever the same email is sent again. `sender_name` must be a
    single line.
    """

    id: str
    sender_name: str
    sender: str
    recipient: str = field(repr=False)
    content: RenderedMail
    date: datetime

    def message(self) -> EmailMessage:
        """Return the email as a MIME message.

        Raises:
            PermanentDeliveryError: The recipient is not a valid address.
        """
        message = EmailMessage()
        message["Subject"] = self.content.subject
        sender = parse_address(self.sender)
        message["From"] = Address(self.sender_name, sender.username, sender.domain)
        message["To"] = parse_address(self.recipient)
        message["Date"] = self.date
        message["Message-ID"] = f"<{self.id}@{sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"  # prevents out-of-office replies
        message.set_content(self.content.text)
        message.add_alternative(self.content.html, subtype="html")
        return message


def parse_address(text: str) -> Address:
    """Return the single address in a text; non-ASCII addresses are allowed.

    Raises:
        PermanentDeliveryError: The text is not exactly one address.
    """
    try:
        header: Any = HEADER_REGISTRY("To", text)
    except (ValueError, IndexError, MessageError):
        raise PermanentDeliveryError(INVALID_RECIPIENT_MESSAGE) from None
    addresses = header.addresses
    defects = [defect for defect in header.defects if not isinstance(defect, NON_ASCII_DEFECT)]
    is_single = [address.addr_spec for address in addresses] == [text]
    if defects or not is_single or not addresses[0].username or not addresses[0].domain:
        raise PermanentDeliveryError(INVALID_RECIPIENT_MESSAGE)
    return Address(username=addresses[0].username, domain=addresses[0].domain)


def one_line(text: str) -> str:
    """Return a text as one line: control and other non-printable characters become spaces, spaces are collapsed."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
