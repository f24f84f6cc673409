"""Removes stored files that no row refers to."""

from collections.abc import Iterable

import structlog

from app.core.errors import ServiceUnavailable
from app.storage.base import Storage

log = structlog.get_logger()


async def remove_files(storage: Storage, names: Iterable[str]) -> None:
    """Remove stored files by name; log those that cannot be removed, which only waste space."""
    for name in names:
        try:
            await storage.remove(name)
        except ServiceUnavailable:
            log.warning("orphaned_file", names=[name])
