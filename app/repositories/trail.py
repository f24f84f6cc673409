"""The trail: who changed what, from where, and what a row was like after; no secret is ever written down in it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.core.caller import Caller, Via
from app.core.values import wire_date
from app.db.writer import Writer
from app.query.collection import COLLECTIONS, Collection, Field
from app.query.expressions import MASK
from app.repositories.rows import Rows

ACTIVITY, REVISIONS = COLLECTIONS["directus_activity"], COLLECTIONS["directus_revisions"]
LONGEST_ITEM, LONGEST_ORIGIN = 255, 255
LONGEST_IP = 50

Values = Mapping[Field, Any]


class Trail:
    """What one transaction writes down of itself.

    A revision of a row that was written along with another's points at that one's.
    """

    def __init__(self, writer: Writer, user: str | None, caller: Caller, via: Via) -> None:
        self._activity, self._revisions = Rows(writer, ACTIVITY), Rows(writer, REVISIONS)
        self._who = {
            ACTIVITY.fields["user"]: user,
            ACTIVITY.fields["ip"]: (caller.ip or "")[:LONGEST_IP] or None,
            ACTIVITY.fields["user_agent"]: via.user_agent,
            ACTIVITY.fields["origin"]: (via.origin or "")[:LONGEST_ORIGIN] or None,
        }
        self._open: list[int] = []

    def mark(self) -> int:
        """Where the revisions begin that will belong to the next row recorded with this mark."""
        return len(self._open)

    async def record(
        self,
        action: str,
        collection: Collection,
        key: Any,
        data: Values | None = None,
        delta: Values | None = None,
        mark: int = 0,
    ) -> None:
        """Writes one change down; with a revision where there is `data`, what the row holds, and what of it is new."""
        item = str(key)[:LONGEST_ITEM]
        fields = ACTIVITY.fields
        about = {fields["action"]: action, fields["collection"]: collection.name, fields["item"]: item}
        activity = await self._activity.insert({**about, **self._who})
        if data is None:
            return
        names = REVISIONS.fields
        revision = await self._revisions.insert(
            {
                names["activity"]: activity,
                names["collection"]: collection.name,
                names["item"]: item,
                names["data"]: told(data),
                names["delta"]: told(delta or {}),
            }
        )
        for inner in self._open[mark:]:
            await self._revisions.update(inner, {names["parent"]: revision})
        self._open[mark:] = [revision]


def told(values: Values) -> dict[str, Any]:
    """Values as a client would read them, secrets as asterisks."""
    return {field.name: _told(field, value) for field, value in values.items()}


def _told(field: Field, value: Any) -> Any:
    if value is None:
        return None
    if field.concealed:
        return MASK
    return wire_date(value) if isinstance(value, datetime) else value
