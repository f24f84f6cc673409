"""Reads an image's width and height from its first bytes."""

from collections.abc import Callable, Mapping
from struct import error, unpack_from

ImageSize = tuple[int, int]
"""Width and height in pixels."""

JPEG_FRAME_MARKERS = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""Markers of the JPEG segments that contain the size."""
JPEG_SCAN_MARKER = 0xDA
"""Marker of the segment after which no size follows."""
MAX_JPEG_SEGMENTS = 1000
"""Segments that are searched; no camera writes as many."""


def image_size(head: bytes, type_: str) -> ImageSize | None:
    """Return the size of an image of this media type from its first bytes, or None if they do not contain it."""
    reader = READERS.get(type_)
    try:
        size = reader(head) if reader else None
    except error:  # the head ends before the size
        return None
    return size if size and all(size) else None


def _png(head: bytes) -> ImageSize:
    return _pair(">II", head, 16)


def _gif(head: bytes) -> ImageSize:
    return _pair("<HH", head, 6)


def _jpeg(head: bytes) -> ImageSize | None:
    offset = 2
    for _ in range(MAX_JPEG_SEGMENTS):
        prefix, marker, length = unpack_from(">BBH", head, offset)
        if prefix != 0xFF or marker == JPEG_SCAN_MARKER:
            return None
        if marker == 0xFF:  # padding
            offset += 1
            continue
        if marker in JPEG_FRAME_MARKERS:
            height, width = _pair(">HH", head, offset + 5)
            return width, height
        offset += 2 + length
    return None


def _webp(head: bytes) -> ImageSize | None:
    match head[12:16]:
        case b"VP8 ":
            width, height = _pair("<HH", head, 26)
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            (bits,) = unpack_from("<I", head, 21)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            width_low, width_high, height_low, height_high = unpack_from("<HBHB", head, 24)
            return width_low + (width_high << 16) + 1, height_low + (height_high << 16) + 1
    return None


def _pair(format_: str, head: bytes, offset: int) -> ImageSize:
    first, second = unpack_from(format_, head, offset)
    return first, second


READERS: Mapping[str, Callable[[bytes], ImageSize | None]] = {
    "image/png": _png,
    "image/gif": _gif,
    "image/jpeg": _jpeg,
    "image/webp": _webp,
}
