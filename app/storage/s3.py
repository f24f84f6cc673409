"""Storage in a bucket of Amazon S3 or a compatible server."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta

import structlog
from obstore.exceptions import BaseError
from obstore.store import S3Store

from app.core.config import Settings
from app.core.errors import ServiceUnavailable
from app.storage.base import CHUNK_SIZE, STORAGE_UNAVAILABLE_MESSAGE, Storage, is_safe_name

PART_BYTES = 5 * 1024**2
"""Size of an upload's parts, the minimum of S3; each upload holds one part in memory, plus the one being sent."""

log = structlog.get_logger(__name__)


class S3Storage(Storage):
    """A bucket. An aborted upload stores nothing, and its parts are removed."""

    def __init__(self, location: str, settings: Settings) -> None:
        super().__init__(location)
        key, secret = settings.storage_local_key, settings.storage_local_secret
        self._store = S3Store(
            settings.storage_local_bucket or "",
            prefix=settings.storage_local_root.as_posix()
            if "storage_local_root" in settings.model_fields_set
            else None,
            region=settings.storage_local_region,
            endpoint=settings.storage_local_endpoint,
            access_key_id=key.get_secret_value() if key else None,
            secret_access_key=secret.get_secret_value() if secret else None,
            virtual_hosted_style_request=not settings.storage_local_force_path_style,
            client_options={"allow_http": True},  # if the endpoint is an http URL
            retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=20)},
        )

    async def put(self, name: str, chunks: AsyncIterator[bytes]) -> None:
        with _translated_errors():
            await self._store.put_async(name, chunks, chunk_size=PART_BYTES, max_concurrency=1)

    async def size(self, name: str) -> int | None:
        if not is_safe_name(name):
            return None
        with _translated_errors():
            try:
                return (await self._store.head_async(name))["size"]
            except FileNotFoundError:
                return None

    async def iter_chunks(self, name: str, start: int, length: int) -> AsyncIterator[bytes]:
        if length == 0:
            return
        with _translated_errors():
            result = await self._store.get_async(name, options={"range": (start, start + length)})
            async for chunk in result.stream(min_chunk_size=CHUNK_SIZE):
                yield bytes(chunk)

    async def remove(self, name: str) -> None:
        if is_safe_name(name):
            with _translated_errors():
                await self._store.delete_async(name)


@contextmanager
def _translated_errors() -> Iterator[None]:
    """Log the type of S3 errors, without their URL, which may be signed, and raise ServiceUnavailable."""
    try:
        yield
    except (BaseError, OSError) as error:
        log.error("storage_failed", error=type(error).__name__)  # noqa: TRY400  # a traceback would add nothing
        raise ServiceUnavailable(STORAGE_UNAVAILABLE_MESSAGE) from None
