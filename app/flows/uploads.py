"""An upload: judged, laid into the storage while it comes in, and written down; of what goes wrong nothing is left."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from uuid import uuid4

import structlog

from app.core.errors import ContentTooLarge, Forbidden, InvalidPayload, RollcallError, ServiceUnavailable
from app.core.filenames import sanitize_filename, title_from_filename
from app.core.image_size import image_size
from app.core.media_types import extension_for, matches_media_type, sniff_media_type
from app.policy.validation import references
from app.query.collection import FILES, Field
from app.query.payload import Payload, parse_key, parse_payload
from app.repositories.commands.uploads import CreateFiles, ReplaceFile, StoredUpload
from app.repositories.directory import Directory
from app.repositories.engine.commands import WriteCommand
from app.repositories.engine.writing import ResultReader, WriteResult
from app.repositories.rules.files import NAME, STORAGE
from app.storage.cleanup import remove_files

T = TypeVar("T")
HEAD_BYTES = 256 * 1024
"""Bytes at the beginning that tell what a content is; a camera may put a lot before a picture's size."""
KEY, TITLE, DOWNLOAD, UPLOADED = (FILES.fields[name] for name in ("id", "title", "filename_download", "uploaded_on"))
TYPE, CHARSET, SIZE, WIDTH, HEIGHT = (FILES.fields[name] for name in ("type", "charset", "filesize", "width", "height"))

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class IncomingFile:
    """A file as it comes in: its name and type, and what else its client says of it; its bytes are to be had once."""

    filename: str
    type: str
    charset: str | None
    values: Mapping[str, Any]
    chunks: AsyncIterator[bytes]


class UploadSource(Protocol):
    """What a client sends: files, each after what is said of it."""

    @property
    def values(self) -> Mapping[str, Any]:
        """What has been said since the last file."""
        ...

    def files(self) -> AsyncIterator[IncomingFile]:
        """The files, one after the other; the next comes when the bytes of one have been taken."""
        ...


class UploadService:
    """One upload of one caller's: new files, or another content for a file where its `key` is given.

    It raises what writing such rows does; InvalidPayload for a type that isn't allowed, ContentTooLarge for too many
    bytes, ServiceUnavailable where the storage doesn't work, and what asking for the bytes does.
    """

    def __init__(self, directory: Directory, key: Any = None) -> None:
        self._directory, self._services = directory, directory.services
        self._files = directory[FILES.name]
        self._key = None if key is None else parse_key(FILES, key)
        self._laid: list[StoredUpload] = []

    async def receive(self, form: UploadSource, answer: ResultReader[T]) -> WriteResult[T]:
        """Takes a form in, all of it or nothing; one without a file says something else of the file with the key."""
        if not await self._files.may("create" if self._key is None else "update", self._key):
            raise Forbidden  # before a byte of it was read
        try:
            await self._lay(form)
        except BaseException:
            await self._clear()
            raise
        if self._laid:
            return await self._write(answer)
        if self._key is None:
            raise InvalidPayload("The form holds no file")
        return await self._files.write(self._files.update_command([self._key], form.values), answer)

    async def _lay(self, form: UploadSource) -> None:
        """Has every file of a form lie in the storage."""
        async for incoming in form.files():
            if self._laid and self._key is not None:
                raise InvalidPayload("A file has one content, and the form holds several")
            self._laid.append(await self._lay_one(incoming))
        if self._laid and form.values:
            raise InvalidPayload(f'"{next(iter(form.values))}" comes after the file that it is said of: put it before')

    async def _lay_one(self, incoming: IncomingFile) -> StoredUpload:
        """Looks at how a file begins, has its row judged by that, and lays it into the storage."""
        said = parse_payload(FILES, incoming.values, self._services.limits.max_depth)
        head, pieces = await _beginning(incoming.chunks)
        found = self._found(incoming, said, head)
        allowed = self._services.settings.files_mime_type_allow_list
        if not matches_media_type(found[TYPE], allowed):
            raise InvalidPayload(f"Files of the type {found[TYPE]} can't be uploaded here, only {', '.join(allowed)}")
        await self._rehearse(self._change(StoredUpload(said, found)))
        counted = SizeLimitedStream(pieces, self._services.settings.files_max_upload_size)
        await self._services.storage.put(found[NAME], counted.pieces())
        return StoredUpload(said, {**found, SIZE: counted.size})

    def _found(self, incoming: IncomingFile, said: Payload, head: bytes) -> dict[Field, Any]:
        """What is found out about a file by how it begins, and what nobody has to say of it."""
        type_ = sniff_media_type(head, said.values.get(TYPE) or incoming.type)
        width, height = image_size(head, type_) or (None, None)
        filename, key = sanitize_filename(incoming.filename), str(uuid4())
        found = {
            STORAGE: self._services.storage.location,
            NAME: f"{key}{extension_for(type_)}",  # a new name each time: the old content may still be needed
            TYPE: type_,
            CHARSET: incoming.charset if type_.startswith("text/") else None,
            WIDTH: width,
            HEIGHT: height,
            UPLOADED: self._services.clock(),
        }
        unless_said = {DOWNLOAD: filename}
        if self._key is None:
            unless_said |= {KEY: key, TITLE: title_from_filename(filename)}
        return {**{member: value for member, value in unless_said.items() if member not in said.values}, **found}

    def _change(self, *uploads: StoredUpload) -> WriteCommand:
        return CreateFiles(uploads) if self._key is None else ReplaceFile(self._key, *uploads)

    async def _rehearse(self, change: WriteCommand) -> None:
        """Raises what writing a row would, unless that depends on how many bytes there are to come."""
        access = await self._directory.access()
        if not any(references(rule.filter, SIZE) for rule in access.granted(change.action, FILES)):
            await self._files.dry_run(change)

    async def _write(self, answer: ResultReader[T]) -> WriteResult[T]:
        try:
            return await self._files.write(self._change(*self._laid), answer)
        except BaseException as error:
            if isinstance(error, RollcallError) and not isinstance(error, ServiceUnavailable):
                await self._clear()
            else:  # nobody knows whether the rows are there, and no row may be without its content
                log.warning("orphaned_file", names=[upload.name for upload in self._laid])
            raise

    async def _clear(self) -> None:
        await remove_files(self._services.storage, [upload.name for upload in self._laid])


class SizeLimitedStream:
    """Bytes that are counted as they are taken; ContentTooLarge where there are more than `most`."""

    def __init__(self, pieces: AsyncIterator[bytes], most: int) -> None:
        self._pieces, self._most, self.size = pieces, most, 0

    async def pieces(self) -> AsyncIterator[bytes]:
        """The same bytes."""
        async for piece in self._pieces:
            self.size += len(piece)
            if self.size > self._most:
                raise ContentTooLarge(f"A file may have {self._most} bytes")
            yield piece


async def _beginning(pieces: AsyncIterator[bytes]) -> tuple[bytes, AsyncIterator[bytes]]:
    """How some bytes begin, and all of them."""
    head = bytearray()
    async for piece in pieces:
        head += piece
        if len(head) >= HEAD_BYTES:
            break
    begun = bytes(head)

    async def all_of_them() -> AsyncIterator[bytes]:
        if begun:
            yield begun
        async for piece in pieces:
            yield piece

    return begun, all_of_them()
