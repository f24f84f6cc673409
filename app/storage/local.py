"""Storage in a local directory."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from io import FileIO
from pathlib import Path
from secrets import token_hex
from stat import S_ISREG
from typing import TypeVar

import structlog

from app.core.cancellation import finish
from app.core.errors import ServiceUnavailable
from app.storage.base import CHUNK_SIZE, STORAGE_UNAVAILABLE_MESSAGE, Storage, is_safe_name, rechunk

T = TypeVar("T")
CREATE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL
READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW

log = structlog.get_logger(__name__)


class LocalStorage(Storage):
    """A directory, created at the first write; only its owner can read it."""

    def __init__(self, location: str, root: Path) -> None:
        super().__init__(location)
        self._root = root

    async def put(self, name: str, chunks: AsyncIterator[bytes]) -> None:
        path = self._path(name)
        draft = path.with_name(f".{path.name}.{token_hex(8)}")
        file = await _run_in_thread(partial(_create_draft, draft))
        try:
            async for chunk in rechunk(chunks):
                await _run_in_thread(partial(_write, file, chunk))
            await finish(_run_in_thread(partial(_publish, file, draft, path)))
        finally:
            file.close()
            with suppress(OSError):
                draft.unlink(missing_ok=True)

    async def check(self) -> None:
        await _run_in_thread(partial(_check_folder, self._root))

    async def size(self, name: str) -> int | None:
        return await _run_in_thread(partial(_file_size, self._path(name))) if is_safe_name(name) else None

    async def iter_chunks(self, name: str, start: int, length: int) -> AsyncIterator[bytes]:
        fd = await _run_in_thread(partial(os.open, self._path(name), READ_FLAGS))
        try:
            while length > 0:
                chunk = await _run_in_thread(partial(os.pread, fd, min(CHUNK_SIZE, length), start))
                if not chunk:
                    raise ServiceUnavailable(STORAGE_UNAVAILABLE_MESSAGE)
                yield chunk
                start, length = start + len(chunk), length - len(chunk)
        finally:
            os.close(fd)

    async def remove(self, name: str) -> None:
        if is_safe_name(name):
            await _run_in_thread(partial(self._path(name).unlink, missing_ok=True))

    def _path(self, name: str) -> Path:
        if not is_safe_name(name):
            raise ServiceUnavailable(STORAGE_UNAVAILABLE_MESSAGE)
        return self._root / name


def _file_size(path: Path) -> int | None:
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_size if S_ISREG(status.st_mode) else None


def _create_draft(draft: Path) -> FileIO:
    draft.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return FileIO(os.open(draft, CREATE_FLAGS, 0o600), "wb")


def _write(file: FileIO, chunk: bytes) -> None:
    remaining = memoryview(chunk)
    while remaining:
        remaining = remaining[file.write(remaining) :]


def _publish(file: FileIO, draft: Path, path: Path) -> None:
    """Move the draft to its final path; afterwards it survives a crash of the machine."""
    os.fsync(file.fileno())
    draft.rename(path)
    directory_fd = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory_fd)
    finally:
        os.close(directory_fd)


async def _run_in_thread(work: Callable[[], T]) -> T:
    with _translated_errors():
        return await asyncio.to_thread(work)


@contextmanager
def _translated_errors() -> Iterator[None]:
    """Log errors of the disk and raise ServiceUnavailable without their text."""
    try:
        yield
    except OSError as error:
        log.error("storage_failed", error=error.strerror)  # noqa: TRY400  # a traceback would add nothing
        raise ServiceUnavailable(STORAGE_UNAVAILABLE_MESSAGE) from None


def _check_folder(folder: Path) -> None:
    """Raise an OSError if a folder exists in which no file can be created."""
    if folder.exists() and not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        raise NotADirectoryError
