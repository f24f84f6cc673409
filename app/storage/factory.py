"""Creates the configured storage."""

from app.core.config import ConfigurationError, Settings
from app.storage.base import Storage
from app.storage.local import LocalStorage


def open_storage(settings: Settings) -> Storage:
    """Return the storage of the first location, to which Directus' app uploads, without connecting to it.

    Raises:
        ConfigurationError: The S3 driver is not installed, or the bucket is not set.
    """
    location = settings.storage_location
    if settings.storage_local_driver == "local":
        return LocalStorage(location, settings.storage_local_root)
    try:
        from app.storage.s3 import S3Storage  # noqa: PLC0415  # an optional dependency
    except ImportError:
        raise ConfigurationError(
            f"STORAGE_{location.upper()}_DRIVER: s3 requires rollcall[s3] to be installed"
        ) from None
    if not settings.storage_local_bucket:
        raise ConfigurationError(f"STORAGE_{location.upper()}_BUCKET: s3 needs the name of a bucket")
    return S3Storage(location, settings)
