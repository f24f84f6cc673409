"""What every storage can do, wherever it is."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from pathlib import PurePosixPath

STORAGE_UNAVAILABLE_MESSAGE = "The storage is away"
CHUNK_SIZE = 256 * 1024
"""Bytes that are read or written at once."""


class Storage(ABC):
    """Contents by their names, at one `location`, as the rows of files call it.

    A content never changes: another one has another name. All raise ServiceUnavailable where the storage doesn't work.
    """

    def __init__(self, location: str) -> None:
        self.location = location

    @abstractmethod
    async def put(self, name: str, chunks: AsyncIterator[bytes]) -> None:
        """Keeps a content under a name that is free, all of it or nothing; raises what asking for its pieces does."""

    @abstractmethod
    async def size(self, name: str) -> int | None:
        """How many bytes a content has; None where there is none of that name."""

    @abstractmethod
    def iter_chunks(self, name: str, start: int, length: int) -> AsyncIterator[bytes]:
        """So many bytes of a content, from one of them on."""

    @abstractmethod
    async def remove(self, name: str) -> None:
        """Takes a content away; it may be gone already."""


def is_safe_name(name: str) -> bool:
    """Whether a name stays within the storage, and below what it names it for: others write rows too."""
    steps = PurePosixPath(name).parts
    odd = "\\" in name or "\0" in name or name.startswith("/")
    return bool(steps) and not odd and not any(step.startswith(".") for step in steps)


async def rechunk(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in pieces of a size that is worth the way to a disk."""
    waiting: list[bytes] = []
    size = 0
    async for piece in chunks:
        waiting.append(piece)
        size += len(piece)
        if size >= CHUNK_SIZE:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)
