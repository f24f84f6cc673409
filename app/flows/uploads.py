"""Uploads: check permissions, store files while they are received, write their rows, and clean up after failures."""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from uuid import uuid4

import structlog

from app.core.errors import (
    ContentTooLarge,
    Forbidden,
    InvalidPayload,
    RollcallError,
    ServiceUnavailable,
    ValueOutOfRange,
)
from app.core.filenames import sanitize_filename, title_from_filename
from app.core.image_size import ImageSize, image_size, late_range
from app.core.media_types import extension_for, matches_media_type, sniff_media_type
from app.policy.validation import references
from app.query.coercion import INTEGER_BOUNDS
from app.query.collection import FILES, Field
from app.query.payload import Payload, parse_key, parse_payload
from app.repositories.commands.uploads import CreateFiles, ReplaceFile, StoredUpload
from app.repositories.directory import Directory
from app.repositories.engine.commands import WriteCommand
from app.repositories.engine.writing import ResultReader, WriteResult
from app.repositories.rules.files import FILENAME_DISK, STORAGE
from app.storage.cleanup import remove_files

T = TypeVar("T")
HEAD_BYTES = 256 * 1024
"""Size of the head from which type and image size are detected; cameras put much metadata before the image size."""
KEY, TITLE, DOWNLOAD, UPLOADED = (FILES.fields[name] for name in ("id", "title", "filename_download", "uploaded_on"))
TYPE, CHARSET, SIZE, WIDTH, HEIGHT = (FILES.fields[name] for name in ("type", "charset", "filesize", "width", "height"))

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class IncomingFile:
    """A file being received, with the values its client sends for its row; `chunks` can be iterated once."""

    filename: str
    type: str
    charset: str | None
    values: Mapping[str, Any]
    chunks: AsyncIterator[bytes]


class UploadSource(Protocol):
    """A request with files, each preceded by the values for its row."""

    @property
    def values(self) -> Mapping[str, Any]:
        """The values received since the last file."""
        ...

    def files(self) -> AsyncIterator[IncomingFile]:
        """Yield the files; each must be consumed before the next one is requested."""
        ...


class UploadService:
    """Receives one upload: new files or, with a `key`, a new content for that file.

    Its methods raise what writing the rows raises, and what iterating over the received bytes raises.

    Raises:
        InvalidPayload: A file's type is not allowed.
        ContentTooLarge: A file is too large.
        ServiceUnavailable: The storage is unavailable.
    """

    def __init__(self, directory: Directory, key: Any = None) -> None:
        self._directory, self._services = directory, directory.services
        self._files = directory[FILES.name]
        self._key = None if key is None else parse_key(FILES, key)
        self._stored: list[StoredUpload] = []

    async def receive(self, source: UploadSource, read_result: ResultReader[T]) -> WriteResult[T]:
        """Receive all files or none; without a file, update the row of `key` with the values."""
        if not await self._files.may("create" if self._key is None else "update", self._key):
            raise Forbidden  # before any byte is read
        try:
            await self._store_all(source)
        except BaseException:
            await self._remove_stored()
            raise
        if self._stored:
            return await self._write(read_result)
        if self._key is None:
            raise InvalidPayload("The form contains no file")
        return await self._files.write(self._files.update_command([self._key], source.values), read_result)

    async def _store_all(self, source: UploadSource) -> None:
        async for incoming in source.files():
            if self._stored and self._key is not None:
                raise InvalidPayload("The form contains several files, but replaces a single one")
            self._stored.append(await self._store(incoming))
        if self._stored and source.values:
            name = next(iter(source.values))
            raise InvalidPayload(f'"{name}" follows the file it belongs to; send it before the file')

    async def _store(self, incoming: IncomingFile) -> StoredUpload:
        """Detect a file's type, check that its row may be written, and store its content."""
        payload = parse_payload(
            self._services.registry.own(FILES), self._values(incoming), self._services.limits.max_depth
        )
        head, chunks = await _read_head(incoming.chunks)
        detected = self._detect(incoming, payload, head)
        allowed = self._services.settings.files_mime_type_allow_list
        if not matches_media_type(detected[TYPE], allowed):
            raise InvalidPayload(f"Files of type {detected[TYPE]} can't be uploaded, only {', '.join(allowed)}")
        size = image_size(head, detected[TYPE])
        late = None if size else late_range(head, detected[TYPE])
        if not late:
            detected |= _size_values(size)
        await self._dry_run(self._command(StoredUpload(payload, detected)), (SIZE, WIDTH, HEIGHT) if late else (SIZE,))
        stream = SizeLimitedStream(chunks, self._services.settings.files_max_upload_size, late)
        try:
            await self._services.storage.put(detected[FILENAME_DISK], stream.chunks())
            if late:
                detected |= _size_values(image_size(head, detected[TYPE], stream.captured))
        except BaseException:  # also if the client has left while the storage was completing the file
            await remove_files(self._services.storage, [detected[FILENAME_DISK]])
            raise
        return StoredUpload(payload, {**detected, SIZE: stream.size})

    def _values(self, incoming: IncomingFile) -> Mapping[str, Any]:
        """Return the client's values for the row, without empty ones that have a default, as in Directus."""
        defaulted = {field.name for field in ((TYPE, DOWNLOAD, KEY, TITLE) if self._key is None else (TYPE, DOWNLOAD))}
        return {name: value for name, value in incoming.values.items() if value or name not in defaulted}

    def _detect(self, incoming: IncomingFile, payload: Payload, head: bytes) -> dict[Field, Any]:
        """Return the column values that follow from the file itself, and defaults for those the client omitted."""
        type_ = sniff_media_type(head, payload.values.get(TYPE) or incoming.type)
        filename, key = sanitize_filename(incoming.filename), str(uuid4())
        detected = {
            STORAGE: self._services.storage.location,
            FILENAME_DISK: f"{key}{extension_for(type_)}",  # always a new name: the old content may still be needed
            TYPE: type_,
            CHARSET: incoming.charset if type_.startswith("text/") else None,
            UPLOADED: self._services.clock(),
        }
        defaults = {DOWNLOAD: filename}
        if self._key is None:
            defaults |= {KEY: key, TITLE: title_from_filename(filename)}
        return {**{field: value for field, value in defaults.items() if field not in payload.values}, **detected}

    def _command(self, *uploads: StoredUpload) -> WriteCommand:
        return CreateFiles(uploads) if self._key is None else ReplaceFile(self._key, *uploads)

    async def _dry_run(self, command: WriteCommand, unknown: Iterable[Field]) -> None:
        """Raise what writing the row would raise, unless that depends on fields that are not known yet."""
        rules = (await self._directory.access()).granted(command.action, FILES)
        if not any(references(rule.filter, field) for rule in rules for field in unknown):
            await self._files.dry_run(command)

    async def _write(self, read_result: ResultReader[T]) -> WriteResult[T]:
        try:
            return await self._files.write(self._command(*self._stored), read_result)
        except BaseException as error:
            if isinstance(error, RollcallError) and not isinstance(error, ServiceUnavailable):
                await self._remove_stored()
            else:  # the rows may exist, and no row may lose its content
                log.warning("orphaned_file", names=[upload.filename_disk for upload in self._stored])
            raise

    async def _remove_stored(self) -> None:
        await remove_files(self._services.storage, [upload.filename_disk for upload in self._stored])


class SizeLimitedStream:
    """A byte stream with a maximum size; `size` is the number of bytes consumed so far.

    `captured` are the bytes of the range `capture` among them.
    """

    def __init__(self, chunks: AsyncIterator[bytes], max_bytes: int, capture: range | None = None) -> None:
        self._chunks, self._max_bytes, self.size = chunks, max_bytes, 0
        self._capture, self.captured = capture or range(0), b""

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the chunks of the stream.

        Raises:
            ContentTooLarge: The stream exceeds its maximum size.
        """
        async for chunk in self._chunks:
            start, stop = (max(0, position - self.size) for position in (self._capture.start, self._capture.stop))
            self.captured += chunk[start:stop]
            self.size += len(chunk)
            if self.size > self._max_bytes:
                raise ContentTooLarge(f"A file may have at most {self._max_bytes} bytes")
            yield chunk


def _size_values(size: ImageSize | None) -> dict[Field, int | None]:
    """Return the size of an image as column values.

    Raises:
        ValueOutOfRange: The image claims more pixels in a row or a column than the database can store.
    """
    values = dict(zip((WIDTH, HEIGHT), size or (None, None), strict=True))
    for field, value in values.items():
        if value is not None and value >= INTEGER_BOUNDS[field.kind]:
            raise ValueOutOfRange(FILES.name, field.name, value)
    return values


async def _read_head(chunks: AsyncIterator[bytes]) -> tuple[bytes, AsyncIterator[bytes]]:
    """Return the first bytes of a stream, at least `HEAD_BYTES` if it has as many, and the whole stream."""
    buffer = bytearray()
    async for chunk in chunks:
        buffer += chunk
        if len(buffer) >= HEAD_BYTES:
            break
    head = bytes(buffer)

    async def whole() -> AsyncIterator[bytes]:
        if head:
            yield head
        async for chunk in chunks:
            yield chunk

    return head, whole()
