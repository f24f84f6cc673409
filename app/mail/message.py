"""A letter: one mail to one recipient, ready to go."""

from dataclasses import dataclass, field
from datetime import datetime
from email.errors import MessageError, NonASCIILocalPartDefect
from email.headerregistry import Address, HeaderRegistry
from email.message import EmailMessage
from typing import Any

from app.mail.templating import RenderedMail

HEADER = HeaderRegistry()
FOREIGN = NonASCIILocalPartDefect
"""What is no fault of an address any more, where the mail server knows such letters."""
NO_ADDRESS = "The recipient is no address"


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
    name: str
    sender: str
    recipient: str = field(repr=False)
    words: RenderedMail
    written: datetime

    def message(self) -> EmailMessage:
        """The letter as mail programs read it; Refused for a recipient that is no address."""
        message = EmailMessage()
        message["Subject"] = self.words.subject
        writer = address(self.sender)
        message["From"] = Address(self.name, writer.username, writer.domain)
        message["To"] = address(self.recipient)
        message["Date"] = self.written
        message["Message-ID"] = f"<{self.id}@{writer.domain}>"
        message["Auto-Submitted"] = "auto-generated"  # so that nobody's absence is told back
        message.set_content(self.words.text)
        message.add_alternative(self.words.html, subtype="html")
        return message


def address(text: str) -> Address:
    """One address, also of letters beyond ASCII; Refused for a text that is none, or several."""
    try:
        header: Any = HEADER("To", text)
    except (ValueError, IndexError, MessageError):
        raise PermanentDeliveryError(NO_ADDRESS) from None
    found, faults = header.addresses, [fault for fault in header.defects if not isinstance(fault, FOREIGN)]
    if faults or [one.addr_spec for one in found] != [text] or not found[0].username or not found[0].domain:
        raise PermanentDeliveryError(NO_ADDRESS)
    return Address(username=found[0].username, domain=found[0].domain)


def one_line(text: str) -> str:
    """A text without line breaks, or anything else that can't be seen but may be obeyed."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
