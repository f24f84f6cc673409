"""An outgoing email and its conversion to a MIME message."""

from dataclasses import dataclass, field
from datetime import datetime
from email.errors import MessageError, NonASCIILocalPartDefect
from email.headerregistry import Address, HeaderRegistry
from email.message import EmailMessage
from typing import Any, Literal

from app.core.email_addresses import ascii_domain
from app.mail.templating import RenderedMail

HEADER_REGISTRY = HeaderRegistry()
NON_ASCII_DEFECT = NonASCIILocalPartDefect
"""A defect that SMTPUTF8 servers accept, so an address with it is valid."""


class DeliveryError(Exception):
    """An email was not sent. The message says why, and never contains the recipient or the content."""


class PermanentDeliveryError(DeliveryError):
    """An email cannot be sent, however often it is tried."""


@dataclass(frozen=True, slots=True)
class OutgoingMail:
    """An email to one recipient.

    `id` becomes the Message-ID; it must be the same whenever the same email is sent again. `sender_name` must be a
    single line. International domains are sent in their ASCII spelling, which every mail server knows.
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
            PermanentDeliveryError: The recipient or the sender is not a valid address.
        """
        message = EmailMessage()
        message["Subject"] = self.content.subject
        sender = parse_address(self.sender, "sender")
        message["From"] = Address(self.sender_name, sender.username, sender.domain)
        message["To"] = parse_address(self.recipient, "recipient")
        message["Date"] = self.date
        message["Message-ID"] = f"<{self.id}@{sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"  # prevents out-of-office replies
        message.set_content(self.content.text)
        message.add_alternative(self.content.html, subtype="html")
        return message


def parse_address(text: str, role: Literal["recipient", "sender"]) -> Address:
    """Return the single address in a text, with its domain in ASCII; the local part may contain other characters.

    Raises:
        PermanentDeliveryError: The text is not exactly one address; the message names its role.
    """
    try:
        header: Any = HEADER_REGISTRY("To", text)
        addresses = header.addresses
        defects = [defect for defect in header.defects if not isinstance(defect, NON_ASCII_DEFECT)]
        is_single = [address.addr_spec for address in addresses] == [text]
        if not defects and is_single and addresses[0].username and addresses[0].domain:
            return Address(username=addresses[0].username, domain=ascii_domain(addresses[0].domain))
    except (ValueError, IndexError, MessageError):
        pass
    raise PermanentDeliveryError(f"The {role} is not a valid email address")


def one_line(text: str) -> str:
    """Return a text as one line: control and other non-printable characters become spaces, spaces are collapsed."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
