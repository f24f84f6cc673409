"""Assets: the contents of files, and what is told of them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

import orjson

from app.core.bindings import slot
from app.core.caller import SYSTEM
from app.core.errors import UnprocessableContent
from app.core.media_types import UNKNOWN_TYPE, is_media_type
from app.core.values import parse_date
from app.query.collection import FILES
from app.query.filter import compare
from app.query.payload import parse_key
from app.query.read import FieldSelection, Read
from app.query.results import Row
from app.repositories.plans.plan import QueryPlan, make_plan
from app.repositories.rules.files import MODIFIED_ON, NAME, STORAGE
from app.repositories.services import Services
from app.storage.base import Storage

KEY_SLOT = "key"
ASSET_FIELDS = (STORAGE, NAME, MODIFIED_ON, *(FILES.fields[name] for name in ("filename_download", "type", "charset")))


@dataclass(frozen=True, slots=True)
class Asset:
    """A content, and what is told of it: `tag` is another for any other content, `modified` when its row was."""

    name: str
    filename: str
    type: str
    charset: str | None
    size: int
    modified: datetime
    tag: str
    storage: Storage

    def iter_chunks(self, start: int, length: int) -> AsyncIterator[bytes]:
        """So many of its bytes, from one of them on; raises ServiceUnavailable where the storage doesn't work."""
        return self.storage.iter_chunks(self.name, start, length)


class AssetService:
    """The contents of files, whoever asks; what is stored of one is asked for in the same words each time."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._plan: QueryPlan | None = None

    async def find(self, key: Any) -> Asset | None:
        """The content of the file with a key, whose reader has been judged; None where that has none.

        Raises UnprocessableContent where its content lies in another storage than ours, ServiceUnavailable where ours,
        or the database, doesn't work.
        """
        row, storage = await self._row(parse_key(FILES, key)), self._services.storage
        if row is None or row[NAME.name] is None:
            return None
        if row[STORAGE.name] != storage.location:
            raise UnprocessableContent(
                f'The file lies in the storage "{row[STORAGE.name]}", and only "{storage.location}" is set up here'
            )
        size = await storage.size(row[NAME.name])
        if size is None:
            return None
        identity = repr((row[STORAGE.name], row[NAME.name], row[MODIFIED_ON.name], size))
        return Asset(
            row[NAME.name],
            row["filename_download"],
            row["type"] if row["type"] and is_media_type(row["type"].lower()) else UNKNOWN_TYPE,
            row["charset"],
            size,
            parse_date(row[MODIFIED_ON.name]),
            blake2b(identity.encode(), digest_size=16).hexdigest(),
            storage,
        )

    async def _row(self, key: str) -> Row | None:
        """What is stored of a file."""
        services = self._services
        if self._plan is None:
            wanted = compare(FILES.key, None, "_in", slot([key], KEY_SLOT))
            asked = Read(FILES, tuple(FieldSelection(field.name, field) for field in ASSET_FIELDS)).restricted_to(
                wanted
            )
            self._plan = make_plan(asked, SYSTEM, await services.access_cache.access(SYSTEM), services)
        given = {KEY_SLOT: [key], "now": services.clock()}
        text = (await services.reader.fetch_one(self._plan.statement, given))[-1]
        rows = (self._plan.shape or orjson.loads)(text)
        return rows[0] if rows else None
