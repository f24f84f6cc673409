"""How large a picture is, read from its first bytes."""

from collections.abc import Callable, Mapping
from struct import error, unpack_from

ImageSize = tuple[int, int]
"""Pixels across and down."""

JPEG_FRAME_MARKERS = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""JPEG's segments that tell the size."""
JPEG_SCAN_MARKER = 0xDA
MAX_JPEG_SEGMENTS = 1000
"""Segments that are looked at; no camera writes as many."""


def image_size(head: bytes, type_: str) -> ImageSize | None:
    """The size of a picture of this type that begins so; None where that doesn't tell."""
    read = READERS.get(type_)
    try:
        size = read(head) if read else None
    except error:  # it ends before it has told
        return None
    return size if size and all(size) else None


def _png(head: bytes) -> ImageSize:
    return _pair(">II", head, 16)


def _gif(head: bytes) -> ImageSize:
    return _pair("<HH", head, 6)


def _jpeg(head: bytes) -> ImageSize | None:
    at = 2
    for _ in range(MAX_JPEG_SEGMENTS):
        mark, kind, length = unpack_from(">BBH", head, at)
        if mark != 0xFF or kind == JPEG_SCAN_MARKER:
            return None
        if kind == 0xFF:  # padding
            at += 1
            continue
        if kind in JPEG_FRAME_MARKERS:
            height, width = _pair(">HH", head, at + 5)
            return width, height
        at += 2 + length
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
            low, high, low_down, high_down = unpack_from("<HBHB", head, 24)
            return low + (high << 16) + 1, low_down + (high_down << 16) + 1
    return None


def _pair(form: str, head: bytes, at: int) -> ImageSize:
    first, second = unpack_from(form, head, at)
    return first, second


READERS: Mapping[str, Callable[[bytes], ImageSize | None]] = {
    "image/png": _png,
    "image/gif": _gif,
    "image/jpeg": _jpeg,
    "image/webp": _webp,
}
