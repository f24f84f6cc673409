"""Types of contents: what their first bytes give away, which may be shown in a browser, and how their names end."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from mimetypes import MimeTypes

UNKNOWN_TYPE = "application/octet-stream"
SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBPVP8", "image/webp"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypavis", "image/avif"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypheix", "image/heic"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (6, b"\0\0\0\0", "image/bmp"),
    (0, b"\0\0\1\0", "image/vnd.microsoft.icon"),
    (0, b"%PDF-", "application/pdf"),
)
"""Where in a content which bytes stand, and what it is then."""
REQUIRED_PREFIXES = {"image/webp": b"RIFF", "image/bmp": b"BM"}
"""What the contents of some types begin with besides."""
VERIFIED_PREFIXES = ("image/", "application/pdf")
"""Types that are believed only of contents that begin like them."""
SAFE_INLINE_TYPES = {type_ for *_, type_ in SIGNATURES}
SAFE_INLINE_PREFIXES = ("audio/", "video/")
SNIFF_BYTES = 4096
"""Bytes at the beginning in which markup is looked for."""

_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}", re.ASCII)
_TAG = re.compile(rb"<(svg|!doctype\s+html|html|head|body|script|iframe)\b")
_LEADING_BLANKS = b"\xef\xbb\xbf\xff\xfe \t\r\n\f"
_EXTENSIONS = MimeTypes()  # the built-in ones: what a machine adds to them is no business of a stored name


def sniff_media_type(head: bytes, claimed: str) -> str:
    """The type of a content that begins so, which its client claims to be another.

    Pictures and PDF are what their bytes say, whatever is claimed, and so is markup, which a browser would run. What is
    claimed to be a picture or a PDF and doesn't begin like one is of no known type. Otherwise the claim counts.
    """
    for at, magic, found in SIGNATURES:
        if head.startswith(magic, at) and head.startswith(REQUIRED_PREFIXES.get(found, b"")):
            return found
    if markup := _sniff_markup(head[:SNIFF_BYTES]):
        return markup
    type_ = claimed.partition(";")[0].strip().lower()
    return type_ if is_media_type(type_) and not type_.startswith(VERIFIED_PREFIXES) else UNKNOWN_TYPE


def is_media_type(text: str) -> bool:
    """Whether a text is the name of a type, and nothing else."""
    return _TYPE.fullmatch(text) is not None


def is_safe_inline(type_: str) -> bool:
    """Whether a browser may show a content of this type where it is: it runs nothing of it."""
    return type_ in SAFE_INLINE_TYPES or type_.startswith(SAFE_INLINE_PREFIXES)


def matches_media_type(type_: str, patterns: Iterable[str]) -> bool:
    """Whether a type is one of those listed, such as `image/png` or `image/*`."""
    return any(fnmatchcase(type_, pattern.lower()) for pattern in patterns)


def extension_for(type_: str) -> str:
    """What the names of contents of a type end with, its dot included."""
    return _EXTENSIONS.guess_extension(type_) or ".bin"


def _sniff_markup(head: bytes) -> str | None:
    text = (
        head.lstrip(_LEADING_BLANKS).replace(b"\0", b"").lower()
    )  # UTF-16 is the same letters with zeros between them
    if not text.startswith(b"<"):
        return None
    if tag := _TAG.search(text):
        return "image/svg+xml" if tag[1] == b"svg" else "text/html"
    return "application/xml" if text.startswith(b"<?xml") else None
