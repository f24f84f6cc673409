"""Media types: detecting them from first bytes, whether browsers may show them inline, and their file extensions."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache
from mimetypes import MimeTypes

from app.core.heif import TYPES as HEIF_TYPES
from app.core.heif import heif_type

UNKNOWN_TYPE = "application/octet-stream"
SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBPVP8", "image/webp"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (0, b"II+\0\x08\0\0\0", "image/tiff"),
    (0, b"MM\0+\0\x08\0\0", "image/tiff"),
    (6, b"\0\0\0\0", "image/bmp"),
    (0, b"\0\0\1\0", "image/vnd.microsoft.icon"),
    (0, b"%PDF-", "application/pdf"),
)
"""Offset, bytes at that offset, and the media type they indicate."""
REQUIRED_PREFIXES = {"image/webp": b"RIFF", "image/bmp": b"BM"}
"""Bytes with which files of some types must also begin."""
VERIFIED_PREFIXES = ("image/", "application/pdf")
"""Types that are accepted only if the file has their signature."""
SAFE_INLINE_TYPES = {type_ for *_, type_ in SIGNATURES} | HEIF_TYPES
SAFE_INLINE_PREFIXES = ("audio/", "video/")
SNIFF_BYTES = 4096
"""Number of leading bytes that are searched for markup."""

_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}", re.ASCII)
_TAG = re.compile(rb"<(svg|!doctype\s+html|html|head|body|script|iframe)\b")
_LEADING_BLANKS = b"\xef\xbb\xbf\xff\xfe \t\r\n\f"


def sniff_media_type(head: bytes, claimed: str) -> str:
    """Return the media type of a file from its first bytes and the type that the client claims.

    Images, PDF and markup (which a browser would execute) are recognized by their first bytes, whatever the claim. A
    file that is claimed to be an image or a PDF, but lacks the signature, is of unknown type. Any other claim counts.
    """
    for offset, signature, type_ in SIGNATURES:
        if head.startswith(signature, offset) and head.startswith(REQUIRED_PREFIXES.get(type_, b"")):
            return type_
    if image := heif_type(head):
        return image
    if markup := _sniff_markup(head[:SNIFF_BYTES]):
        return markup
    claim = claimed.partition(";")[0].strip().lower()
    return claim if is_media_type(claim) and not claim.startswith(VERIFIED_PREFIXES) else UNKNOWN_TYPE


def is_media_type(text: str) -> bool:
    """Return whether a text is a media type without parameters."""
    return _TYPE.fullmatch(text) is not None


def is_safe_inline(type_: str) -> bool:
    """Return whether a browser may show a file of this type inline, because it executes none of it."""
    return type_ in SAFE_INLINE_TYPES or type_.startswith(SAFE_INLINE_PREFIXES)


def matches_media_type(type_: str, patterns: Iterable[str]) -> bool:
    """Return whether a type matches one of `patterns`, such as `image/png` or `image/*`."""
    return any(fnmatchcase(type_, pattern.lower()) for pattern in patterns)


def extension_for(type_: str) -> str:
    """Return the file extension of a type, including the dot."""
    return _known_types().guess_extension(type_) or ".bin"


@cache
def _known_types() -> MimeTypes:
    """Return the built-in types only, as stored names must not depend on the machine. They take half a MB."""
    return MimeTypes()


def _sniff_markup(head: bytes) -> str | None:
    # without zero bytes, UTF-16 markup reads like ASCII
    text = head.lstrip(_LEADING_BLANKS).replace(b"\0", b"").lower()
    if not text.startswith(b"<"):
        return None
    if tag := _TAG.search(text):
        return "image/svg+xml" if tag[1] == b"svg" else "text/html"
    return "application/xml" if text.startswith(b"<?xml") else None
