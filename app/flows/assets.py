"""Assets: the contents of files, for those who may read their rows."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

from app.core.caller import SYSTEM
from app.core.errors import Forbidden, UnprocessableContent
from app.core.media import UNKNOWN, is_type
from app.core.values import parse_date
from app.query.filter import compare
from app.query.payload import as_key
from app.query.read import Leaf, Read
from app.repositories.directory import Directory
from app.repositories.files import FILES, MODIFIED_ON, NAME, STORAGE
from app.storage.store import Storage

TOLD = (STORAGE, NAME, MODIFIED_ON, *(FILES.fields[name] for name in ("filename_download", "type", "charset")))


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

    def pieces(self, start: int, length: int) -> AsyncIterator[bytes]:
        """So many of its bytes, from one of them on; raises ServiceUnavailable where the storage doesn't work."""
        return self.storage.pieces(self.name, start, length)


async def find_asset(directory: Directory, key: Any) -> Asset | None:
    """The content of the file with a key; None where that has none.

    Raises Forbidden where there is no such file that the caller may read, and as reading does; UnprocessableContent
    where its content lies in another storage than ours, ServiceUnavailable where ours doesn't work.
    """
    if not await directory[FILES.name].may("read", key):
        raise Forbidden
    row, storage = await _row(directory, key), directory.services.storage
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
        row["type"] if row["type"] and is_type(row["type"].lower()) else UNKNOWN,
        row["charset"],
        size,
        parse_date(row[MODIFIED_ON.name]),
        blake2b(identity.encode(), digest_size=16).hexdigest(),
        storage,
    )


async def _row(directory: Directory, key: Any) -> dict[str, Any] | None:
    """What is stored of a file, whatever of that its caller may see."""
    wanted = compare(FILES.key, None, "_eq", as_key(FILES, key))
    asked = Read(FILES, tuple(Leaf(field.name, field) for field in TOLD), limit=1).among(wanted)
    rows = await directory.services.reading(FILES, SYSTEM).read(asked)
    return rows[0] if rows else None
