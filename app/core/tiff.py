"""Reads tags of the first directory of a TIFF file, and of EXIF metadata, which are in the same format."""

from collections.abc import Mapping
from struct import error, unpack_from
from typing import NamedTuple

WIDTH_TAG, HEIGHT_TAG, ORIENTATION_TAG = 0x100, 0x101, 0x112
MAX_DIRECTORY_BYTES = 16 * 1024
"""Length of a directory that is read; it has room for more than 800 tags."""
CLASSIC_MAGIC, BIG_MAGIC = 42, 43
INTEGER_FORMATS = {3: "H", 4: "I", 16: "Q"}
"""Formats of the types of integers: SHORT, LONG and, in big TIFF files, LONG8."""
UPRIGHT, TRANSPOSED = 1, range(5, 9)
"""The orientation that needs no rotation, and those that exchange width and height."""


class TiffHeader(NamedTuple):
    """The byte order of a file (`<` or `>`), whether its offsets have 64 bits, and where its first directory begins."""

    order: str
    is_big: bool
    directory: int


def read_header(data: bytes) -> TiffHeader | None:
    """Return the header of a file, or None if it is no TIFF file.

    Raises:
        struct.error: The data end within the header.
    """
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        return None
    (magic,) = unpack_from(f"{order}H", data, 2)
    if magic not in {CLASSIC_MAGIC, BIG_MAGIC}:
        return None
    is_big = magic == BIG_MAGIC
    (directory,) = unpack_from(f"{order}Q" if is_big else f"{order}I", data, 8 if is_big else 4)
    return TiffHeader(order, is_big, directory)


def read_tags(header: TiffHeader, directory: bytes) -> Mapping[int, int]:
    """Return the integers in a directory by their tags, as far as it is complete."""
    order = header.order
    count_format, first, length, value_offset = ("Q", 8, 20, 12) if header.is_big else ("H", 2, 12, 8)
    directory, tags = directory[:MAX_DIRECTORY_BYTES], {}
    try:
        (count,) = unpack_from(order + count_format, directory)
        for offset in range(first, min(first + count * length, len(directory)), length):
            tag, type_ = unpack_from(f"{order}HH", directory, offset)
            if format_ := INTEGER_FORMATS.get(type_):
                tags[tag] = unpack_from(order + format_, directory, offset + value_offset)[0]
    except error:  # the directory is incomplete
        pass
    return tags


def exif_orientation(exif: bytes) -> int:
    """Return the orientation in EXIF metadata, `UPRIGHT` if there is none."""
    try:
        header = read_header(exif)
    except error:
        return UPRIGHT
    return read_tags(header, exif[header.directory :]).get(ORIENTATION_TAG, UPRIGHT) if header else UPRIGHT


def oriented(width: int, height: int, orientation: int) -> tuple[int, int]:
    """Return the width and height of an image that is shown in this orientation."""
    return (height, width) if orientation in TRANSPOSED else (width, height)
