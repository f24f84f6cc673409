"""Names of uploaded files: sanitizing them, and deriving titles from them."""

import re

MAX_FILENAME_LENGTH = 255
DEFAULT_FILENAME = "file"

_UNPRINTABLE = re.compile(r"[\0-\x1f\x7f\ud800-\udfff]")
_PATH_SEPARATOR, _WORD_SEPARATOR = re.compile(r"[/\\]"), re.compile(r"[\s_-]+")


def sanitize_filename(filename: str) -> str:
    """Return a file name without directories and control characters, truncated and never empty."""
    return _PATH_SEPARATOR.split(_UNPRINTABLE.sub("", filename))[-1].strip()[:MAX_FILENAME_LENGTH] or DEFAULT_FILENAME


def title_from_filename(filename: str) -> str:
    """Return a title as Directus derives it: `Team Photo 2` for `team-photo_2.png`."""
    words = _WORD_SEPARATOR.split(filename.rpartition(".")[0] or filename)
    return " ".join(word[:1].upper() + word[1:] for word in words).strip() or filename
