"""A letter: one mail to one recipient, ready to go."""

from dataclasses import dataclass, field
from datetime import datetime
from email.errors import MessageError, NonASCIILocalPartDefect
from email.headerregistry import Address, HeaderRegistry
from email.message import EmailMessage
from typing import Any

from app.mail.templating import RenderedMail

HEADER_REGISTRY = HeaderRegistry()
NON_ASCII_DEFECT = NonASCIILocalPartDefect
"""What is no fault of an address any more, where the mail server knows such letters."""
INVALID_RECIPIENT_MESSAGE = "The recipient is no address"


class DeliveryError(Exception):
    """A mail that didn't go. Its words say why, and never to whom, or what was in it."""


class PermanentDeliveryError(DeliveryError):
    """A mail that won't go however often it is tried."""


@dataclass(frozen=True, slots=True)
class OutgoingMail:
    """Who writes to whom, when, and what.

    `name` is the writer's, in one line; `id` is the same whenever the same letter is sent.
    """

    id: str
    sender_name: str
    sender: str
    recipient: str = field(repr=False)
    content: RenderedMail
    date: datetime

    def message(self) -> EmailMessage:
        """The letter as mail programs read it; Refused for a recipient that is no address."""
        message = EmailMessage()
        message["Subject"] = self.content.subject
        writer = parse_address(self.sender)
        message["From"] = Address(self.sender_name, writer.username, writer.domain)
        message["To"] = parse_address(self.recipient)
        message["Date"] = self.date
        message["Message-ID"] = f"<{self.id}@{writer.domain}>"
        message["Auto-Submitted"] = "auto-generated"  # so that nobody's absence is told back
        message.set_content(self.content.text)
        message.add_alternative(self.content.html, subtype="html")
        return message


def parse_address(text: str) -> Address:
    """One address, also of letters beyond ASCII; Refused for a text that is none, or several."""
    try:
        header: Any = HEADER_REGISTRY("To", text)
    except (ValueError, IndexError, MessageError):
        raise PermanentDeliveryError(INVALID_RECIPIENT_MESSAGE) from None
    found, faults = header.addresses, [fault for fault in header.defects if not isinstance(fault, NON_ASCII_DEFECT)]
    if faults or [one.addr_spec for one in found] != [text] or not found[0].username or not found[0].domain:
        raise PermanentDeliveryError(INVALID_RECIPIENT_MESSAGE)
    return Address(username=found[0].username, domain=found[0].domain)


def one_line(text: str) -> str:
    """A text without line breaks, or anything else that can't be seen but may be obeyed."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
