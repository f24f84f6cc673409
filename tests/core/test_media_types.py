"""What the first bytes of a content tell, and what becomes of names."""

from struct import pack

import pytest

from app.core.filenames import sanitize_filename, title_from_filename
from app.core.image_size import image_size
from app.core.media_types import extension_for, is_safe_inline, matches_media_type, sniff_media_type
from tests.files.uploaders import png

EXIF = b"\xff\xe1" + pack(">H", 60_002) + b"x" * 60_000
FRAME = b"\xff\xc2" + pack(">HBHH", 17, 8, 480, 640)
PICTURES = {
    "image/png": (png(640, 480), (640, 480)),
    "image/gif": (b"GIF87a" + pack("<HH", 640, 480), (640, 480)),
    "image/jpeg": (b"\xff\xd8" + EXIF + b"\xff" + EXIF + b"\xff\xc4\0\4ab" + FRAME, (640, 480)),
    "image/webp VP8 ": (b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a" + pack("<HH", 640, 480 | 0x4000), (640, 480)),
    "image/webp VP8L": (b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0/" + pack("<I", 639 | 479 << 14), (640, 480)),
    "image/webp VP8X": (b"RIFF\0\0\0\0WEBPVP8X\0\0\0\0\0\0\0\0" + b"\x7f\2\0\xdf\1\0", (640, 480)),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture_is_known_and_its_size(kind):
    head, size = PICTURES[kind]
    type_ = kind.split(" ", maxsplit=1)[0]

    assert sniff_media_type(head, "text/html") == type_
    assert image_size(head, type_) == size


@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture_that_breaks_off_has_no_size(kind):
    head, size = PICTURES[kind]
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
def test_what_tells_no_size_has_none(head, type_):
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
def test_a_content_is_what_it_begins_like_and_else_what_it_is_called(head, claimed, type_):
    assert sniff_media_type(head, claimed) == type_


def test_nothing_that_a_browser_would_run_is_harmless():
    runs = ("image/svg+xml", "text/html", "application/xhtml+xml", "text/xml", "application/xml", "text/javascript")

    assert not any(
        map(is_safe_inline, (*runs, "text/css", "text/plain", "application/octet-stream", "multipart/mixed"))
    )


@pytest.mark.parametrize(
    ("listed", "holds"),
    [(("*/*",), True), (("image/*",), True), (("IMAGE/PNG",), True), (("text/*", "image/gif"), False), ((), False)],
)
def test_a_type_is_listed_by_its_name_or_its_kind(listed, holds):
    assert matches_media_type("image/png", listed) == holds


def test_a_name_ends_as_its_type_does_and_as_nothing_else():
    types = ("image/png", "image/jpeg", "application/pdf", "x/y", "x/../../y")

    assert [extension_for(type_) for type_ in types] == [".png", ".jpg", ".pdf", ".bin", ".bin"]


@pytest.mark.parametrize(
    ("given", "name", "title"),
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
def test_a_name_is_told_without_what_harms_and_makes_a_title(given, name, title):
    assert sanitize_filename(given) == name
    assert title_from_filename(name) == title
