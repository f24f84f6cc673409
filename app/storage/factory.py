"""Which storage is in use, as the settings say."""

from app.core.config import ConfigurationError, Settings
from app.storage.base import Storage
from app.storage.local import LocalStorage


def open_storage(settings: Settings) -> Storage:
    """The storage of these settings, not yet connected to; BadSettings where that can't be.

    Of several locations it is the first, where Directus' app uploads to.
    """
    location = settings.storage_location
    if settings.storage_local_driver == "local":
        return LocalStorage(location, settings.storage_local_root)
    try:
        from app.storage.s3 import S3Storage  # noqa: PLC0415  # most can do without
    except ImportError:
        raise ConfigurationError(f"STORAGE_{location.upper()}_DRIVER: s3 needs rollcall[s3] to be installed") from None
    if not settings.storage_local_bucket:
        raise ConfigurationError(f"STORAGE_{location.upper()}_BUCKET: s3 needs a bucket")
    return S3Storage(location, settings)
