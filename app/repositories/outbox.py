"""The outbox: mails that are to go, written down in the transaction of what they speak of."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import insert

from app.db.models import OUTBOX
from app.db.writer import Writer
from app.repositories.base import Services


class Outbox:
    """The outbox, within one transaction."""

    def __init__(self, writer: Writer, services: Services) -> None:
        self._writer, self._services = writer, services

    async def post(self, kind: str, recipient: str, data: Mapping[str, Any]) -> None:
        """A mail of this kind to be sent to an address; `data` is what it says, never a live token."""
        row = {
            "kind": kind,
            "recipient": recipient,
            "data": dict(data),
            "due": self._services.clock(),
            "attempts": 0,
        }
        await self._writer.all(self._writer.compile(insert(OUTBOX).values(row)))
