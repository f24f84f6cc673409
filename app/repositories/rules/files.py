"""Rules of files: who uploaded and modified a file, and what refers to it or to its content."""

from typing import Any

from app.core.errors import InvalidPayload
from app.query.collection import FILES, USERS
from app.repositories.engine.collection_rules import CollectionRules
from app.repositories.engine.context import RowValues, WriteContext

UPLOADED_BY, MODIFIED_BY, MODIFIED_ON = (FILES.fields[name] for name in ("uploaded_by", "modified_by", "modified_on"))
STORAGE, FILENAME_DISK = FILES.fields["storage"], FILES.fields["filename_disk"]

AVATAR = USERS.fields["avatar"]


class FileRules(CollectionRules):
    """Rules of files: sets the user and time of a change, and rejects a location that was not just uploaded.

    A deleted file is no user's avatar any longer.

    A client that could choose the location could read, with its own permissions, the content of a row it may not see.
    """

    async def before_create(self, work: WriteContext, values: RowValues) -> None:
        values.setdefault(UPLOADED_BY, work.access.user)
        if values.get(FILENAME_DISK) is not None:
            _check_location(work, values)

    async def before_update(self, work: WriteContext, row: RowValues, values: RowValues) -> None:
        changed = {field for field, value in values.items() if row[field] != value}
        if FILENAME_DISK in changed or (STORAGE in changed and row[FILENAME_DISK] is not None):
            _check_location(work, values)
        if values.get(FILENAME_DISK) in work.files.stored:
            _mark_orphaned(work, row)
        if changed:
            values |= {MODIFIED_BY: work.access.user, MODIFIED_ON: work.now}

    async def before_delete(self, work: WriteContext, rows: dict[Any, RowValues]) -> None:
        users = work.rows(USERS)
        for user in (await users.fetch_for_update(await users.referencing(AVATAR, rows))).values():
            await work.update_derived(USERS, user, {AVATAR: None})
        for row in rows.values():
            _mark_orphaned(work, row)


def _check_location(work: WriteContext, values: RowValues) -> None:
    if values.get(FILENAME_DISK) not in work.files.stored and not work.caller.system:
        raise InvalidPayload(f'"{STORAGE.name}" and "{FILENAME_DISK.name}" can\'t be changed; upload the file instead')


def _mark_orphaned(work: WriteContext, row: RowValues) -> None:
    if row[FILENAME_DISK] is not None and row[STORAGE] == work.services.storage.location:
        work.files.orphaned.add(row[FILENAME_DISK])
