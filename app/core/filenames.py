"""Names of files as their owners give them: what of one may be told again, and the title it makes."""

import re

LONGEST = 255
NAMELESS = "file"

_UNTOLD = re.compile(r"[\0-\x1f\x7f\ud800-\udfff]")
_STEP, _BETWEEN = re.compile(r"[/\\]"), re.compile(r"[\s_-]+")


def sanitize_filename(given: str) -> str:
    """A name without the folders it may come with and without what can't be written in a line; never empty."""
    return _STEP.split(_UNTOLD.sub("", given))[-1].strip()[:LONGEST] or NAMELESS


def title_from_filename(name: str) -> str:
    """`team-photo_2.png` as Directus titles it: `Team Photo 2`."""
    words = _BETWEEN.split(name.rpartition(".")[0] or name)
    return " ".join(word[:1].upper() + word[1:] for word in words).strip() or name
