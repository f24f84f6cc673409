"""Contents and their rows: what is written along with an upload, and what is cleared away where no row needs it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from app.query.collection import FILES, Field
from app.query.payload import Payload
from app.repositories.engine.unit_of_work import UnitOfWork
from app.repositories.rules.files import FILENAME_DISK

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StoredUpload:
    """A content: what its client says of its row, and what is found out about it."""

    payload: Payload
    metadata: Mapping[Field, Any]

    @property
    def filename_disk(self) -> str:
        """Where it lies."""
        name: str = self.metadata[FILENAME_DISK]
        return name


@dataclass(frozen=True, slots=True)
class CreateFiles:
    """New rows of files, each with its content."""

    uploads: Sequence[StoredUpload]
    action: str = field(default="create", init=False)

    def payloads(self) -> Iterable[Payload]:
        return (upload.payload for upload in self.uploads)

    async def apply(self, work: UnitOfWork) -> list[Any]:
        work.files.stored.update(upload.filename_disk for upload in self.uploads)
        return [await work.create(upload.payload, server_values=upload.metadata) for upload in self.uploads]


@dataclass(frozen=True, slots=True)
class ReplaceFile:
    """Another content for a file; it takes the right to say where it lies."""

    key: Any
    upload: StoredUpload
    action: str = field(default="update", init=False)

    def payloads(self) -> Iterable[Payload]:
        return (self.upload.payload,)

    async def apply(self, work: UnitOfWork) -> list[Any]:
        work.files.stored.add(self.upload.filename_disk)
        linked = {FILENAME_DISK: self.upload.filename_disk}
        await work.update(FILES, [self.key], self.upload.payload, linked, server_values=self.upload.metadata)
        return [self.key]
