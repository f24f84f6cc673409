"""Rules of folders."""

from app.query.collection import FOLDERS
from app.repositories.engine.collection_rules import CollectionRules
from app.repositories.engine.context import RowValues, WriteContext
from app.repositories.rules.hierarchy import check_parent

PARENT = FOLDERS.fields["parent"]


class FolderRules(CollectionRules):
    """Rules of folders: no folder is its own ancestor, also if two transactions move folders at once."""

    async def before_create(self, work: WriteContext, values: RowValues) -> None:
        if values.get(PARENT):
            await check_parent(work, FOLDERS, values.get(FOLDERS.key), values[PARENT])

    async def before_update(self, work: WriteContext, row: RowValues, values: RowValues) -> None:
        parent = values.get(PARENT)
        if parent and parent != row[PARENT]:
            work.affected.folder_moved = True
            await check_parent(work, FOLDERS, row[FOLDERS.key], parent)
