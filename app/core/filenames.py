"""Names of files as their owners give them: what of one may be told again, and the title it makes."""

import re

MAX_FILENAME_LENGTH = 255
DEFAULT_FILENAME = "file"

_UNPRINTABLE = re.compile(r"[\0-\x1f\x7f\ud800-\udfff]")
_PATH_SEPARATOR, _WORD_SEPARATOR = re.compile(r"[/\\]"), re.compile(r"[\s_-]+")


def sanitize_filename(filename: str) -> str:
    """A name without the folders it may come with and without what can't be written in a line; never empty."""
    return _PATH_SEPARATOR.split(_UNPRINTABLE.sub("", filename))[-1].strip()[:MAX_FILENAME_LENGTH] or DEFAULT_FILENAME


def title_from_filename(filename: str) -> str:
    """`team-photo_2.png` as Directus titles it: `Team Photo 2`."""
    words = _WORD_SEPARATOR.split(filename.rpartition(".")[0] or filename)
    return " ".join(word[:1].upper() + word[1:] for word in words).strip() or filename
