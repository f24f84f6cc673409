"""What must always hold for files: who uploaded one, who changed it last, and that nobody else's content is its own."""

from typing import Any

from app.core.errors import InvalidPayload
from app.query.collection import FILES
from app.repositories.engine.collection_rules import CollectionRules
from app.repositories.engine.context import RowValues, WriteContext

UPLOADED_BY, MODIFIED_BY, MODIFIED_ON = (FILES.fields[name] for name in ("uploaded_by", "modified_by", "modified_on"))
STORAGE, NAME = FILES.fields["storage"], FILES.fields["filename_disk"]


class FileRules(CollectionRules):
    """Nobody has to say who they are, or when it is; and nobody says where a content lies.

    Whoever could would read with their own rights what is somebody else's.
    """

    async def before_create(self, work: WriteContext, values: RowValues) -> None:
        values.setdefault(UPLOADED_BY, work.access.user)
        if values.get(NAME) is not None:
            _check_laid(work, values)

    async def before_update(self, work: WriteContext, row: RowValues, values: RowValues) -> None:
        changed = {field for field, value in values.items() if row[field] != value}
        if NAME in changed or (STORAGE in changed and row[NAME] is not None):
            _check_laid(work, values)
        if values.get(NAME) in work.files.stored:
            self._bare(work, row)
        if changed:
            values |= {MODIFIED_BY: work.access.user, MODIFIED_ON: work.now}

    async def before_delete(self, work: WriteContext, rows: dict[Any, RowValues]) -> None:
        for row in rows.values():
            self._bare(work, row)

    @staticmethod
    def _bare(work: WriteContext, row: RowValues) -> None:
        if row[NAME] is not None and row[STORAGE] == work.services.storage.location:
            work.files.orphaned.add(row[NAME])


def _check_laid(work: WriteContext, values: RowValues) -> None:
    if values.get(NAME) not in work.files.stored and not work.caller.system:
        raise InvalidPayload(
            f'"{STORAGE.name}" and "{NAME.name}" say where a file lies, and can\'t be changed: upload the file instead'
        )
