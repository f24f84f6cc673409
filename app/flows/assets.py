"""Assets: stored files and their metadata, for download."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

import orjson

from app.core.bindings import slot
from app.core.caller import SYSTEM
from app.core.errors import UnprocessableContent
from app.core.filenames import remove_invisible
from app.core.media_types import UNKNOWN_TYPE, is_media_type
from app.core.timestamps import parse_stored_time
from app.query.collection import FILES
from app.query.filter import compare
from app.query.payload import parse_key
from app.query.read import FieldSelection, Read
from app.query.results import Row
from app.repositories.plans.plan import QueryPlan, make_plan
from app.repositories.rules.files import FILENAME_DISK, MODIFIED_ON, STORAGE
from app.repositories.services import Services
from app.storage.base import Storage

KEY_SLOT = "key"
"""Name of the bind parameter for a file's key."""
ASSET_FIELDS = (
    STORAGE,
    FILENAME_DISK,
    MODIFIED_ON,
    *(FILES.fields[name] for name in ("filename_download", "type", "charset")),
)


@dataclass(frozen=True, slots=True)
class Asset:
    """A stored file: `tag` identifies its content, `modified` is when its row last changed.

    `modified` is None if there is no datetime for that time.
    """

    name: str
    filename: str
    type: str
    charset: str | None
    size: int
    modified: datetime | None
    tag: str
    storage: Storage

    def iter_chunks(self, start: int, length: int) -> AsyncIterator[bytes]:
        """Yield `length` bytes from `start` on.

        Raises:
            ServiceUnavailable: The storage is unavailable.
        """
        return self.storage.iter_chunks(self.name, start, length)


class AssetService:
    """Finds stored files, regardless of the caller's permissions, with one query plan for all of them."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._plan: QueryPlan | None = None

    async def find(self, key: Any) -> Asset | None:
        """Return the stored file of a row that the caller may read; None if the row has none, or it is missing.

        Raises:
            UnprocessableContent: The file is in another storage than the configured one.
            ServiceUnavailable: The storage or the database is unavailable.
        """
        row, storage = await self._row(parse_key(FILES, key)), self._services.storage
        if row is None or row[FILENAME_DISK.name] is None:
            return None
        if row[STORAGE.name] != storage.location:
            raise UnprocessableContent(
                f'The file is in the storage "{row[STORAGE.name]}", but only "{storage.location}" is configured'
            )
        size = await storage.size(row[FILENAME_DISK.name])
        if size is None:
            return None
        identity = repr((row[STORAGE.name], row[FILENAME_DISK.name], row[MODIFIED_ON.name], size))
        return Asset(
            row[FILENAME_DISK.name],
            remove_invisible(row["filename_download"]),  # it may have been set without an upload
            row["type"] if row["type"] and is_media_type(row["type"].lower()) else UNKNOWN_TYPE,
            row["charset"],
            size,
            _datetime_or_none(row[MODIFIED_ON.name]),
            blake2b(identity.encode(), digest_size=16).hexdigest(),
            storage,
        )

    async def _row(self, key: str) -> Row | None:
        services = self._services
        if self._plan is None:
            has_key = compare(FILES.key, None, "_in", slot([key], KEY_SLOT))
            selections = tuple(FieldSelection(field.name, field) for field in ASSET_FIELDS)
            read = Read(FILES, selections).restricted_to(has_key)
            self._plan = make_plan(read, SYSTEM, await services.access_cache.access(SYSTEM), services)
        bindings = {KEY_SLOT: [key], "now": services.clock()}
        text = (await services.reader.fetch_one(self._plan.statement, bindings))[-1]
        rows = (self._plan.decode_rows or orjson.loads)(text)
        return rows[0] if rows else None


def _datetime_or_none(text: str | None) -> datetime | None:
    moment = parse_stored_time(text) if text else None
    return moment if isinstance(moment, datetime) else None
