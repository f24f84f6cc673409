"""Media types and image sizes from first bytes, and sanitized file names."""

from struct import pack

import pytest

from app.core.filenames import sanitize_filename, title_from_filename
from app.core.image_size import image_size
from app.core.media_types import extension_for, is_safe_inline, matches_media_type, sniff_media_type
from tests.files.uploaders import png

EXIF = b"\xff\xe1" + pack(">H", 60_002) + b"x" * 60_000
FRAME = b"\xff\xc2" + pack(">HBHH", 17, 8, 480, 640)
IMAGES = {
    "image/png": (png(640, 480), (640, 480)),
    "image/gif": (b"GIF87a" + pack("<HH", 640, 480), (640, 480)),
    "image/jpeg": (b"\xff\xd8" + EXIF + b"\xff" + EXIF + b"\xff\xc4\0\4ab" + FRAME, (640, 480)),
    "image/webp VP8 ": (b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a" + pack("<HH", 640, 480 | 0x4000), (640, 480)),
    "image/webp VP8L": (b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0/" + pack("<I", 639 | 479 << 14), (640, 480)),
    "image/webp VP8X": (b"RIFF\0\0\0\0WEBPVP8X\0\0\0\0\0\0\0\0" + b"\x7f\2\0\xdf\1\0", (640, 480)),
}


@pytest.mark.parametrize("kind", IMAGES)
def test_an_image_is_recognized_with_its_size(kind):
    head, size = IMAGES[kind]
    type_ = kind.split(" ", maxsplit=1)[0]

    assert sniff_media_type(head, "text/html") == type_
    assert image_size(head, type_) == size


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
