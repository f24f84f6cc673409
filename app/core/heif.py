"""Reads the media type and the size of HEIF images, among them AVIF and HEIC, from the first bytes of a file.

Pillow takes 50 MB on disk and decodes with native code to know as much, and imagesize 2.0.1 takes minutes for some
small files; here the work is bounded by the length of the input. The format is that of ISO/IEC 14496-12 and 23008-12.
"""

from collections.abc import Iterator
from struct import unpack_from
from typing import NamedTuple

TYPE_BY_BRAND = {
    **dict.fromkeys((b"avif", b"avis"), "image/avif"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis"), "image/heic"),
}
GENERIC_BRANDS, GENERIC_TYPE = frozenset({b"mif1", b"msf1", b"miaf"}), "image/heif"
"""Major brands of images whose other brands say how they are encoded; the type if those are none of the above."""
TYPES = frozenset({*TYPE_BY_BRAND.values(), GENERIC_TYPE})
MAX_BRANDS, MAX_BOXES = 64, 1000
"""Brands, and boxes within a box, that are read; no encoder writes as many."""


class Box(NamedTuple):
    """A box of a file: its type, and where its content begins and ends."""

    type: bytes
    start: int
    end: int


def heif_type(head: bytes) -> str | None:
    """Return the media type of a HEIF image, or None if the file is none."""
    major = head[8:12] if head[4:8] == b"ftyp" else b""
    if major not in GENERIC_BRANDS:
        return TYPE_BY_BRAND.get(major)
    end = min(int.from_bytes(head[:4], "big"), len(head), 16 + 4 * MAX_BRANDS)
    brands = (head[offset : offset + 4] for offset in range(16, end, 4))
    return next((TYPE_BY_BRAND[brand] for brand in brands if brand in TYPE_BY_BRAND), GENERIC_TYPE)


def heif_size(head: bytes) -> tuple[int, int] | None:
    """Return the width and height in pixels of the primary image, after its rotation, or None if they are not found.

    Raises:
        struct.error: The head ends before the size.
    """
    meta = _find(_boxes(head, 0, len(head)), b"meta")
    if meta is None:
        return None
    children = list(_boxes(head, meta.start + 4, meta.end))
    primary, properties = _find(children, b"pitm"), _find(children, b"iprp")
    if primary is None or properties is None:
        return None
    parts = list(_boxes(head, properties.start, properties.end))
    container, associations = _find(parts, b"ipco"), _find(parts, b"ipma")
    if container is None or associations is None:
        return None
    stored = list(_boxes(head, container.start, container.end))
    indexes = _property_indexes(head, associations, _read_item_id(head, primary))
    return _shown_size(head, [stored[index - 1] for index in indexes if 0 < index <= len(stored)])


def _boxes(head: bytes, start: int, end: int) -> Iterator[Box]:
    for _ in range(MAX_BOXES):
        if start + 8 > min(end, len(head)):
            return
        size, type_ = unpack_from(">I4s", head, start)
        header = 8
        if size == 1:
            (size,), header = unpack_from(">Q", head, start + 8), 16
        box_end = start + size if size else end
        if box_end < start + header:
            return
        yield Box(type_, start + header, min(box_end, end))
        start = box_end


def _find(boxes: Iterator[Box] | list[Box], type_: bytes) -> Box | None:
    return next((box for box in boxes if box.type == type_), None)


def _read_item_id(head: bytes, box: Box) -> int:
    version = unpack_from(">B", head, box.start)[0]
    item: int = unpack_from(">I" if version else ">H", head, box.start + 4)[0]
    return item


def _property_indexes(head: bytes, box: Box, item: int) -> list[int]:
    """Return the indexes, from 1 on, of the properties of an item."""
    version_and_flags, count = unpack_from(">II", head, box.start)
    has_long_ids, has_long_indexes = version_and_flags >> 24 > 0, bool(version_and_flags & 1)
    id_format, index_format = ">IB" if has_long_ids else ">HB", ">H" if has_long_indexes else ">B"
    offset, index_size = box.start + 8, 2 if has_long_indexes else 1
    for _ in range(min(count, len(head))):
        current, property_count = unpack_from(id_format, head, offset)
        offset += 5 if has_long_ids else 3
        if current == item:
            # the highest bit says whether the property is essential
            mask = 0x7FFF if has_long_indexes else 0x7F
            return [
                unpack_from(index_format, head, offset + position * index_size)[0] & mask
                for position in range(property_count)
            ]
        offset += property_count * index_size
    return []


def _shown_size(head: bytes, properties: list[Box]) -> tuple[int, int] | None:
    """Return the size of an image after its transformations, which crop and turn it in their order."""
    size: tuple[int, int] | None = None
    for property_ in properties:
        match property_.type:
            case b"ispe":
                size = unpack_from(">II", head, property_.start + 4)
            case b"clap":
                width, width_divisor, height, height_divisor = unpack_from(">IIII", head, property_.start)
                if width_divisor and height_divisor:
                    size = width // width_divisor, height // height_divisor
            case b"irot" if size and unpack_from(">B", head, property_.start)[0] & 1:
                size = size[1], size[0]
    return size
