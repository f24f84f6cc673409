"""Contents and their rows: what is written along with an upload, and what is cleared away where no row needs it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from app.query.collection import FILES, Field
from app.query.payload import Payload
from app.repositories.engine.unit_of_work import UnitOfWork
from app.repositories.rules.files import NAME

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StoredUpload:
    """A content: what its client says of its row, and what is found out about it."""

    said: Payload
    found: Mapping[Field, Any]

    @property
    def name(self) -> str:
        """Where it lies."""
        name: str = self.found[NAME]
        return name


@dataclass(frozen=True, slots=True)
class CreateFiles:
    """New rows of files, each with its content."""

    uploads: Sequence[StoredUpload]
    action: str = field(default="create", init=False)

    def payloads(self) -> Iterable[Payload]:
        return (upload.said for upload in self.uploads)

    async def apply(self, work: UnitOfWork) -> list[Any]:
        work.files.stored.update(upload.name for upload in self.uploads)
        return [await work.create(upload.said, server_values=upload.found) for upload in self.uploads]


@dataclass(frozen=True, slots=True)
class ReplaceFile:
    """Another content for a file; it takes the right to say where it lies."""

    key: Any
    upload: StoredUpload
    action: str = field(default="update", init=False)

    def payloads(self) -> Iterable[Payload]:
        return (self.upload.said,)

    async def apply(self, work: UnitOfWork) -> list[Any]:
        work.files.stored.add(self.upload.name)
        linked = {NAME: self.upload.name}
        await work.update(FILES, [self.key], self.upload.said, linked, server_values=self.upload.found)
        return [self.key]
