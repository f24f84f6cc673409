"""Media types and image sizes from first bytes, and sanitized file names."""

from pathlib import Path
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.filenames import sanitize_filename, title_from_filename
from app.core.image_size import image_size, late_range
from app.core.media_types import extension_for, is_safe_inline, matches_media_type, sniff_media_type
from tests.files.uploaders import png

EXIF = b"\xff\xe1" + pack(">H", 60_002) + b"x" * 60_000
FRAME = b"\xff\xc2" + pack(">HBHH", 17, 8, 480, 640)


def box(kind, content):
    return pack(">I4s", 8 + len(content), kind) + content


def heif(*properties, brands=b"heic\0\0\0\0mif1heic", item=2, is_long=False):
    """Return an image whose item 1 has 8 x 8 pixels, and whose primary item has these properties."""
    container = box(b"ipco", b"".join([box(b"ispe", b"\0" * 4 + pack(">II", 8, 8)), *properties]))
    item_format, index_format = (">I", ">H") if is_long else (">H", ">B")
    essential = 0x8000 if is_long else 0x80
    indexes = [essential | number for number in range(2, len(properties) + 2)]
    entries = [(1, [1]), (item, indexes)]
    associations = pack(">II", 0x0100_0001 if is_long else 0, len(entries)) + b"".join(
        pack(item_format, key) + pack(">B", len(values)) + b"".join(pack(index_format, value) for value in values)
        for key, values in entries
    )
    primary = box(b"pitm", bytes([int(is_long), 0, 0, 0]) + pack(item_format, item))
    meta = box(b"meta", b"\0" * 4 + primary + box(b"iprp", container + box(b"ipma", associations)))
    return box(b"ftyp", brands) + meta + pack(">I4s", 2**31, b"mdat")


EXTENTS, TURN = box(b"ispe", b"\0" * 4 + pack(">II", 640, 480)), box(b"irot", b"\1")
CROP = box(b"clap", pack(">8I", 600, 1, 800, 2, 0, 1, 0, 1))


def tiff(order="<", big=False, directory=None, orientation=1):
    """Return the head of a TIFF file of 640 x 480 pixels, and its directory, which may follow much later."""
    first = 16 if big else 8
    mark, offset = {"<": b"II", ">": b"MM"}[order], directory or first
    head = mark + (pack(order + "HHHQ", 43, 8, 0, offset) if big else pack(order + "HI", 42, offset))
    count, entry = ("Q", "HHQI4x") if big else ("H", "HHII")
    tags = [(0x100, 4, 640), (0x101, 4, 480), (0x112, 4, orientation)]
    entries = [pack(order + entry, tag, type_, 1, value) for tag, type_, value in tags]
    return head, pack(order + count, len(entries)) + b"".join(entries)


def jpeg(orientation, order=">"):
    exif = b"Exif\0\0" + b"".join(tiff(order, orientation=orientation))
    return b"\xff\xd8\xff\xe1" + pack(">H", len(exif) + 2) + exif + FRAME


IMAGES = {
    "image/png": (png(640, 480), (640, 480)),
    "image/gif": (b"GIF87a" + pack("<HH", 640, 480), (640, 480)),
    "image/jpeg": (b"\xff\xd8" + EXIF + b"\xff" + EXIF + b"\xff\xc4\0\4ab" + FRAME, (640, 480)),
    "image/webp VP8 ": (b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a" + pack("<HH", 640, 480 | 0x4000), (640, 480)),
    "image/webp VP8L": (b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0/" + pack("<I", 639 | 479 << 14), (640, 480)),
    "image/webp VP8X": (b"RIFF\0\0\0\0WEBPVP8X\0\0\0\0\0\0\0\0" + b"\x7f\2\0\xdf\1\0", (640, 480)),
    "image/heic": (heif(EXTENTS), (640, 480)),
    "image/heic of a generic major brand": (heif(EXTENTS, brands=b"mif1\0\0\0\0heic"), (640, 480)),
    "image/heic with long ids": (heif(EXTENTS, item=70_000, is_long=True), (640, 480)),
    "image/avif": (heif(EXTENTS, brands=b"avif\0\0\0\0mif1"), (640, 480)),
    "image/heif": (heif(EXTENTS, brands=b"mif1\0\0\0\0miaf"), (640, 480)),
    "image/tiff II": (b"".join(tiff()), (640, 480)),
    "image/tiff MM": (b"".join(tiff(">")), (640, 480)),
    "image/tiff big": (b"".join(tiff(big=True)), (640, 480)),
    "image/tiff MM big": (b"".join(tiff(">", big=True)), (640, 480)),
}
TURNED = {
    **{f"image/jpeg {number}": (jpeg(number), number in range(5, 9)) for number in range(10)},
    "image/jpeg II": (jpeg(6, "<"), True),
    "image/jpeg without a tag": (b"\xff\xd8\xff\xe1\0\x08Exif\0\0" + FRAME, False),
    "image/tiff 5": (b"".join(tiff(orientation=5)), True),
    "image/tiff 3": (b"".join(tiff(orientation=3)), False),
    "image/heic 90": (heif(EXTENTS, TURN), True),
    "image/heic 180": (heif(EXTENTS, box(b"irot", b"\2")), False),
    "image/avif 270": (heif(EXTENTS, box(b"irot", b"\3"), brands=b"avif\0\0\0\0"), True),
}
IMAGES_FOLDER = Path(__file__).parent / "images"
FILES = {  # as Pillow and libheif write them; they have 64 x 48 pixels before they are turned
    "turned.jpg": ("image/jpeg", (48, 64)),
    "turned.tif": ("image/tiff", (48, 64)),
    "turned.avif": ("image/avif", (48, 64)),
    "cropped.heic": ("image/heic", (64, 48)),
}


@pytest.mark.parametrize("kind", IMAGES)
def test_an_image_is_recognized_with_its_size(kind):
    head, size = IMAGES[kind]
    type_ = kind.split(" ", maxsplit=1)[0]

    assert sniff_media_type(head, "text/html") == type_
    assert image_size(head, type_) == size


@pytest.mark.parametrize("kind", TURNED)
def test_an_image_that_is_shown_turned_has_the_size_in_which_it_is_shown(kind):
    head, is_turned = TURNED[kind]

    assert image_size(head, kind.split(" ", maxsplit=1)[0]) == ((480, 640) if is_turned else (640, 480))


@pytest.mark.parametrize(
    ("properties", "size"),
    [((EXTENTS, CROP), (600, 400)), ((EXTENTS, CROP, TURN), (400, 600)), ((TURN,), None), ((), None)],
)
def test_transformations_of_an_image_apply_in_their_order(properties, size):
    assert image_size(heif(*properties), "image/heic") == size


@pytest.mark.parametrize("name", FILES)
def test_a_real_image_is_recognized_with_its_size(name):
    content = (IMAGES_FOLDER / name).read_bytes()
    type_, size = FILES[name]

    assert (sniff_media_type(content, "x/y"), image_size(content, type_)) == (type_, size)


@pytest.mark.parametrize("big", [False, True])
def test_the_size_of_a_tiff_image_may_follow_its_pixels(big):
    head, directory = tiff(big=big, directory=900_000)
    late = late_range(head + b"x" * 1000, "image/tiff")

    assert image_size(head, "image/tiff") is None
    assert late is not None
    assert late.start == 900_000
    assert image_size(head, "image/tiff", directory + b"x" * 1000) == (640, 480)
    assert image_size(head, "image/tiff", directory[:20]) is None
    assert late_range(head, "image/png") is late_range(b"", "image/tiff") is late_range(b"II*\0", "image/tiff") is None


@given(st.sampled_from(sorted(IMAGES)), st.integers(0, 120), st.binary(max_size=80))
def test_no_content_makes_the_reader_fail(kind, length, rest):
    head, type_ = IMAGES[kind][0][:length] + rest, kind.split(" ", maxsplit=1)[0]
    size = image_size(head, type_, rest)

    assert size is None or min(size) > 0
    assert sniff_media_type(head, type_)


@pytest.mark.parametrize("kind", IMAGES)
def test_a_truncated_image_has_no_size(kind):
    head, size = IMAGES[kind]
    type_ = kind.split(" ", maxsplit=1)[0]

    assert {image_size(head[:length], type_) for length in range(8, min(len(head), 200))} <= {None, size}


@pytest.mark.parametrize(
    ("head", "type_"),
    [
        (b"\xff\xd8\xff\xda\0\2", "image/jpeg"),
        (b"\xff\xd8\xff\xe0\0\0" * 3, "image/jpeg"),
        (b"\xff\xd8" + b"\xff" * 300_000 + FRAME, "image/jpeg"),
        (b"\xff\xd8" + b"\xff\xe0\0\0" * 60_000 + FRAME, "image/jpeg"),
        (b"GIF87a\0\0\0\0", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8?" + b"\0" * 20, "image/webp"),
        (png(), "application/pdf"),
        (box(b"ftyp", b"heic\0\0\0\0") + box(b"free", b"") * 30_000 + heif(EXTENTS), "image/heic"),
        (box(b"ftyp", b"heic\0\0\0\0") + box(b"meta", b"\0" * 4), "image/heic"),
        (b"\0\0\0\0", "image/heic"),
        (b"MM\0*\xff\xff\xff\xff", "image/tiff"),
        (b"XX\0*\0\0\0\x08", "image/tiff"),
        (b"MM\0\x07\0\0\0\x08", "image/tiff"),
    ],
)
def test_a_head_without_a_size_gives_none(head, type_):
    assert image_size(head, type_) is None


@pytest.mark.parametrize(
    ("head", "claimed", "type_"),
    [
        (b"<svg/>", "text/plain", "image/svg+xml"),
        (b"<!-- a --><SVG>", "image/png", "image/svg+xml"),
        ("\ufeff<html>".encode("utf-16"), "text/plain", "text/html"),
        (b" \r\n<!doctype  html>", "", "text/html"),
        (b"<html><svg/></html>", "image/svg+xml", "text/html"),
        (b"<?xml version='1.0'?><feed/>", "text/plain", "application/xml"),
        (b"<3 you", "text/plain", "text/plain"),
        (b"hello", "text/html", "text/html"),
        (b"hello", "image/svg+xml", "application/octet-stream"),
        (b"BM" + b"\0" * 12, "", "image/bmp"),
        (b"BMW is a car", "text/plain", "text/plain"),
        (b"????\0\0\0\0WEBPVP8 ", "", "application/octet-stream"),
        (b"\0\0\0\x1cftypavif", "", "image/avif"),
        (b"\0\0\0\x1cftypisom\0\0\0\0mp41heic", "video/mp4", "video/mp4"),
        (b"\0\0\0\x14ftypmif1\0\0\0\0miafheic", "", "image/heif"),
        (b"hello", "Text/Plain ; charset=x", "text/plain"),
        (b"hello", "text", "application/octet-stream"),
    ],
)
def test_the_signature_decides_the_type_before_the_claim(head, claimed, type_):
    assert sniff_media_type(head, claimed) == type_


def test_no_type_that_a_browser_executes_is_safe_inline():
    executable = ("image/svg+xml", "text/html", "application/xhtml+xml", "text/xml", "application/xml")
    unsafe = (*executable, "text/javascript", "text/css", "text/plain", "application/octet-stream", "multipart/mixed")

    assert not any(map(is_safe_inline, unsafe))


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [(("*/*",), True), (("image/*",), True), (("IMAGE/PNG",), True), (("text/*", "image/gif"), False), ((), False)],
)
def test_a_type_matches_its_name_or_a_wildcard(patterns, expected):
    assert matches_media_type("image/png", patterns) == expected


def test_the_extension_follows_from_the_type():
    types = ("image/png", "image/jpeg", "application/pdf", "x/y", "x/../../y")

    assert [extension_for(type_) for type_ in types] == [".png", ".jpg", ".pdf", ".bin", ".bin"]


@pytest.mark.parametrize(
    ("filename", "sanitized", "title"),
    [
        ("team-photo_2.png", "team-photo_2.png", "Team Photo 2"),
        ("C:\\Me\\a.png", "a.png", "A"),
        ("../../etc/passwd", "passwd", "Passwd"),
        ("a\r\nb\0\ud800.png", "ab.png", "Ab"),
        ("photo_\u202egpj.exe", "photo_gpj.exe", "Photo Gpj"),
        ("\ufeffa\u200b\u2066b\u2069\u00ad\x85\u2028.png", "ab.png", "Ab"),
        ("\u200b\u200e", "file", "File"),
        ("Foto 1\u202f\u00e9.png", "Foto 1\u202f\u00e9.png", "Foto 1 \u00c9"),
        ("ünï cödé.tar.gz", "ünï cödé.tar.gz", "Ünï Cödé.tar"),
        (".env", ".env", ".env"),
        ("-.png", "-.png", "-.png"),
        ("/", "file", "File"),
        ("x" * 300, "x" * 255, "X" + "x" * 254),
    ],
)
def test_a_filename_is_sanitized_and_gives_a_title(filename, sanitized, title):
    assert sanitize_filename(filename) == sanitized
    assert title_from_filename(sanitized) == title
