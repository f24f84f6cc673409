"""What must always hold for files: who uploaded one, and who changed what is known of it last."""

from typing import TYPE_CHECKING

from app.query.collection import COLLECTIONS
from app.repositories.invariants import Invariants, Stored

if TYPE_CHECKING:
    from app.repositories.work import Work

FILES = COLLECTIONS["directus_files"]
UPLOADED_BY, MODIFIED_BY, MODIFIED_ON = (FILES.fields[name] for name in ("uploaded_by", "modified_by", "modified_on"))


class FileInvariants(Invariants):
    """Nobody has to say who they are, or when it is."""

    async def creating(self, work: "Work", values: Stored) -> None:
        values.setdefault(UPLOADED_BY, work.access.user)

    async def updating(self, work: "Work", row: Stored, values: Stored) -> None:
        if any(row[field] != value for field, value in values.items()):
            values |= {MODIFIED_BY: work.access.user, MODIFIED_ON: work.now}
