"""Conditional requests and ranges (RFC 9110): whether a client has a content already, or wants a part of it."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

from app.core.errors import RangeNotSatisfiable
from app.flows.assets import Asset
from app.http.request_head import RequestHead

_RANGE = re.compile(rb"bytes=[ \t]*(\d{0,19})-(\d{0,19})[ \t]*", re.ASCII)


def etag_of(asset: Asset) -> bytes:
    """The name of exactly this content."""
    return b'"%b"' % asset.tag.encode()


def last_modified(asset: Asset) -> bytes:
    """When its row was changed last, to the second."""
    return format_datetime(asset.modified.astimezone(UTC), usegmt=True).encode()


def is_not_modified(head: RequestHead, asset: Asset) -> bool:
    """Whether the client has it already."""
    if names := head.header(b"if-none-match"):
        known = [name.strip().removeprefix(b"W/") for name in names.split(b",")]
        return etag_of(asset) in known or known == [b"*"]
    since = _date(head.header(b"if-modified-since"))
    return since is not None and asset.modified.replace(microsecond=0) <= since


def wanted_range(head: RequestHead, asset: Asset) -> tuple[int, int] | None:
    """The first byte that is wanted, and how many; None for all of them, also where several parts are.

    Raises RangeNotSatisfiable for a part that isn't there.
    """
    found = _RANGE.fullmatch(head.header(b"range"))
    if not found or found[1] == found[2] == b"" or not _still_holds(head.header(b"if-range"), asset):
        return None
    first, last = (int(number) if number else None for number in found.groups())
    if first is None:
        first, last = max(asset.size - (last or 0), 0), asset.size - 1
    elif last is not None and last < first:
        return None
    if first >= asset.size:
        raise RangeNotSatisfiable(asset.size)
    return first, min(asset.size - 1 if last is None else last, asset.size - 1) - first + 1


def _still_holds(condition: bytes, asset: Asset) -> bool:
    return not condition or condition in (etag_of(asset), last_modified(asset))


def _date(text: bytes) -> datetime | None:
    try:
        date = parsedate_to_datetime(text.decode("latin-1"))
    except (ValueError, OverflowError):
        return None
    return date if date.utcoffset() == timedelta(0) else None
