"""Reads an image's width and height from its first bytes, as it is shown: after the rotation that its metadata ask for.

For the reasons why no library does it, see `app.core.heif`.
"""

from collections.abc import Callable, Mapping
from struct import error, unpack_from

from app.core.heif import TYPES as HEIF_TYPES
from app.core.heif import heif_size
from app.core.tiff import (
    HEIGHT_TAG,
    MAX_DIRECTORY_BYTES,
    ORIENTATION_TAG,
    UPRIGHT,
    WIDTH_TAG,
    exif_orientation,
    oriented,
    read_header,
    read_tags,
)

ImageSize = tuple[int, int]
"""Width and height in pixels."""

JPEG_FRAME_MARKERS = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""Markers of the JPEG segments that contain the size."""
JPEG_SCAN_MARKER = 0xDA
"""Marker of the segment after which no size follows."""
JPEG_EXIF_MARKER, EXIF_PREFIX = 0xE1, b"Exif\0\0"
TIFF = "image/tiff"
MAX_JPEG_SEGMENTS = 1000
"""Segments that are searched; no camera writes as many."""


def image_size(head: bytes, type_: str, late_bytes: bytes = b"") -> ImageSize | None:
    """Return the size of an image of this media type from its first bytes, or None if they do not contain it.

    `late_bytes` are those of `late_range`.
    """
    reader = READERS.get(type_)
    try:
        size = _tiff(head, late_bytes) if type_ == TIFF else reader(head) if reader else None
    except error:  # the head ends before the size
        return None
    return size if size and all(size) else None


def late_range(head: bytes, type_: str) -> range | None:
    """Return the bytes of a file that contain the size of its image, if they follow the head, as in many TIFF files."""
    try:
        header = read_header(head) if type_ == TIFF else None
    except error:
        return None
    is_late = header is not None and header.directory + MAX_DIRECTORY_BYTES > len(head)
    return range(header.directory, header.directory + MAX_DIRECTORY_BYTES) if header and is_late else None


def _png(head: bytes) -> ImageSize:
    return _pair(">II", head, 16)


def _gif(head: bytes) -> ImageSize:
    return _pair("<HH", head, 6)


def _jpeg(head: bytes) -> ImageSize | None:
    offset, orientation = 2, UPRIGHT
    for _ in range(MAX_JPEG_SEGMENTS):
        prefix, marker, length = unpack_from(">BBH", head, offset)
        if prefix != 0xFF or marker == JPEG_SCAN_MARKER:
            return None
        if marker == 0xFF:  # padding
            offset += 1
            continue
        if marker in JPEG_FRAME_MARKERS:
            height, width = _pair(">HH", head, offset + 5)
            return oriented(width, height, orientation)
        content = offset + 4
        if marker == JPEG_EXIF_MARKER and orientation == UPRIGHT and head.startswith(EXIF_PREFIX, content):
            orientation = exif_orientation(head[content + len(EXIF_PREFIX) : offset + 2 + length])
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


def _tiff(head: bytes, late_bytes: bytes) -> ImageSize | None:
    header = read_header(head)
    tags = read_tags(header, late_bytes or head[header.directory :]) if header else {}
    if WIDTH_TAG not in tags or HEIGHT_TAG not in tags:
        return None
    return oriented(tags[WIDTH_TAG], tags[HEIGHT_TAG], tags.get(ORIENTATION_TAG, UPRIGHT))


def _pair(format_: str, head: bytes, offset: int) -> ImageSize:
    first, second = unpack_from(format_, head, offset)
    return first, second


READERS: Mapping[str, Callable[[bytes], ImageSize | None]] = {
    "image/png": _png,
    "image/gif": _gif,
    "image/jpeg": _jpeg,
    "image/webp": _webp,
    **dict.fromkeys(HEIF_TYPES, heif_size),
}
