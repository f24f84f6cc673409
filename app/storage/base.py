"""The storage interface and what its implementations share."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from pathlib import PurePosixPath
from secrets import token_hex

STORAGE_UNAVAILABLE_MESSAGE = "The file storage is unavailable; try again later"
CHUNK_SIZE = 256 * 1024
"""Bytes that are read or written at a time."""


class Storage(ABC):
    """Stores files by name. `location` is the name that the rows of files use for the storage.

    A stored file never changes: new content gets a new name.

    Raises:
        ServiceUnavailable: By every method, if the storage fails.
    """

    def __init__(self, location: str) -> None:
        self.location = location

    @abstractmethod
    async def put(self, name: str, chunks: AsyncIterator[bytes]) -> None:
        """Store a file under an unused name, completely or not at all; errors of `chunks` propagate."""

    @abstractmethod
    async def size(self, name: str) -> int | None:
        """Return the size of a file in bytes, or None if it does not exist."""

    @abstractmethod
    def iter_chunks(self, name: str, start: int, length: int) -> AsyncIterator[bytes]:
        """Yield `length` bytes of a file, beginning at the offset `start`."""

    async def check(self) -> None:
        """Look for a file that does not exist, which raises if the storage fails."""
        await self.size(token_hex(16))

    @abstractmethod
    async def remove(self, name: str) -> None:
        """Remove a file if it exists."""


def is_safe_name(name: str) -> bool:
    """Return whether a name stays within the storage and has no hidden parts.

    Names are read from rows, which other programs write as well.
    """
    parts = PurePosixPath(name).parts
    is_unsafe = "\\" in name or "\0" in name or name.startswith("/")
    return bool(parts) and not is_unsafe and not any(part.startswith(".") for part in parts)


async def rechunk(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the same bytes in chunks of at least `CHUNK_SIZE`, except the last, so that each is worth a disk write."""
    pending: list[bytes] = []
    size = 0
    async for chunk in chunks:
        pending.append(chunk)
        size += len(chunk)
        if size >= CHUNK_SIZE:
            yield b"".join(pending)
            pending, size = [], 0
    if pending:
        yield b"".join(pending)
