"""Commands that write the rows of uploaded files."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.query.collection import FILES, Field
from app.query.payload import Payload
from app.repositories.engine.unit_of_work import UnitOfWork
from app.repositories.rules.files import FILENAME_DISK


@dataclass(frozen=True, slots=True)
class StoredUpload:
    """A file in the storage: the `payload` from the client and the `metadata` that the server determined."""

    payload: Payload
    metadata: Mapping[Field, Any]

    @property
    def filename_disk(self) -> str:
        """The file's name in the storage."""
        name: str = self.metadata[FILENAME_DISK]
        return name


@dataclass(frozen=True, slots=True)
class CreateFiles:
    """Creates the rows of uploaded files."""

    uploads: Sequence[StoredUpload]
    action: str = field(default="create", init=False)

    def payloads(self) -> Iterable[Payload]:
        return (upload.payload for upload in self.uploads)

    async def apply(self, work: UnitOfWork) -> list[Any]:
        work.files.stored.update(upload.filename_disk for upload in self.uploads)
        return [await work.create(upload.payload, server_values=upload.metadata) for upload in self.uploads]


@dataclass(frozen=True, slots=True)
class ReplaceFile:
    """Replaces a file's content; requires the permission to update `filename_disk`."""

    key: Any
    upload: StoredUpload
    action: str = field(default="update", init=False)

    def payloads(self) -> Iterable[Payload]:
        return (self.upload.payload,)

    async def apply(self, work: UnitOfWork) -> list[Any]:
        work.files.stored.add(self.upload.filename_disk)
        link_values = {FILENAME_DISK: self.upload.filename_disk}
        await work.update(FILES, [self.key], self.upload.payload, link_values, server_values=self.upload.metadata)
        return [self.key]
