"""Names of uploaded files: sanitizing them, and deriving titles from them."""

import re
from unicodedata import category

MAX_FILENAME_LENGTH = 255
DEFAULT_FILENAME = "file"

INVISIBLE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of control characters, of invisible ones (among them those that change the direction of writing,
which can make `exe.png` of `gnp.exe`), of surrogates and of line separators."""

_PATH_SEPARATOR, _WORD_SEPARATOR = re.compile(r"[/\\]"), re.compile(r"[\s_-]+")


def sanitize_filename(filename: str) -> str:
    """Return a file name without directories and invisible characters, truncated and never empty."""
    name = _PATH_SEPARATOR.split(remove_invisible(filename))[-1]
    return name.strip()[:MAX_FILENAME_LENGTH] or DEFAULT_FILENAME


def remove_invisible(text: str) -> str:
    """Return a text without characters that are not seen, but may change how the others are read."""
    return "".join(char for char in text if category(char) not in INVISIBLE_CATEGORIES)


def title_from_filename(filename: str) -> str:
    """Return a title as Directus derives it: `Team Photo 2` for `team-photo_2.png`."""
    words = _WORD_SEPARATOR.split(filename.rpartition(".")[0] or filename)
    return " ".join(word[:1].upper() + word[1:] for word in words).strip() or filename
