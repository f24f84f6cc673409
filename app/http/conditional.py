"""Conditional and range requests (RFC 9110) for assets."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

from app.core.errors import RangeNotSatisfiable
from app.flows.assets import Asset
from app.http.request_head import RequestHead

_RANGE = re.compile(rb"bytes=[ \t]*(\d{0,19})-(\d{0,19})[ \t]*", re.ASCII)


def etag_of(asset: Asset) -> bytes:
    """Return the strong ETag of the content."""
    return b'"%b"' % asset.tag.encode()


def last_modified(asset: Asset) -> bytes | None:
    """Return when the file's row was last changed, to the second; None if that is no HTTP date."""
    return format_datetime(asset.modified.astimezone(UTC), usegmt=True).encode() if asset.modified else None


def is_not_modified(head: RequestHead, asset: Asset) -> bool:
    """Return whether the client already has this content."""
    if header := head.header(b"if-none-match"):
        etags = [etag.strip().removeprefix(b"W/") for etag in header.split(b",")]
        return etag_of(asset) in etags or etags == [b"*"]
    since = _parse_date(head.header(b"if-modified-since"))
    return since is not None and asset.modified is not None and asset.modified.replace(microsecond=0) <= since


def wanted_range(head: RequestHead, asset: Asset) -> tuple[int, int] | None:
    """Return the first byte and the length of the requested range; None for the whole content.

    A request for several ranges gets the whole content too.

    Raises:
        RangeNotSatisfiable: The range starts behind the end of the content.
    """
    match = _RANGE.fullmatch(head.header(b"range"))
    if not match or match[1] == match[2] == b"" or not _matches_if_range(head.header(b"if-range"), asset):
        return None
    first, last = (int(number) if number else None for number in match.groups())
    if first is None:
        first, last = max(asset.size - (last or 0), 0), asset.size - 1
    elif last is not None and last < first:
        return None
    if first >= asset.size:
        raise RangeNotSatisfiable(asset.size)
    return first, min(asset.size - 1 if last is None else last, asset.size - 1) - first + 1


def _matches_if_range(condition: bytes, asset: Asset) -> bool:
    return not condition or condition in (etag_of(asset), last_modified(asset))


def _parse_date(text: bytes) -> datetime | None:
    """Return an HTTP date, None if the text isn't one in GMT."""
    try:
        date = parsedate_to_datetime(text.decode("latin-1"))
    except (ValueError, OverflowError):
        return None
    return date if date.utcoffset() == timedelta(0) else None
