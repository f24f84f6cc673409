"""The adapter to the engine of regular expressions: ECMA-262 as JavaScript's `new RegExp(source)` reads it, no flags.

No other module imports the engine; `docs/adr/0001-ecmascript-regular-expressions.md` says why it was chosen.
"""

import re

MAX_SOURCE_LENGTH = 4096
"""In characters: compiling has no time limit, and takes up to 0.2 s for the most expensive source of this length."""
MIN_SECONDS = 0.0005
"""The engine takes 0 for no limit, also if a shorter time is rounded to it."""

_UNPAIRED_SURROGATE = re.compile("[\ud800-\udfff]")


class InvalidRegex(ValueError):
    """The text is not a regular expression; the message says why, and may quote parts of it."""


class MatchLimitExceeded(Exception):
    """A match was stopped: it took too long, or too much memory. It is unknown whether the text matches."""


class Regex:
    """A compiled regular expression. Its methods block the calling thread without holding the interpreter's lock."""

    __slots__ = ("_engine", "_regex")

    def __init__(self, source: str) -> None:
        """Compile the source.

        Raises:
            InvalidRegex: The source is invalid or has more than `MAX_SOURCE_LENGTH` characters.
        """
        if len(source) > MAX_SOURCE_LENGTH:
            raise InvalidRegex(f"it has more than {MAX_SOURCE_LENGTH} characters")
        if _UNPAIRED_SURROGATE.search(source):  # the engine would take it for U+FFFD
            raise InvalidRegex("it contains an unpaired surrogate")
        import corvus_regex_ecma262 as engine  # noqa: PLC0415  # takes a MB that few servers need

        self._engine = engine
        try:
            self._regex = engine.compile(source, timeout=MIN_SECONDS)
        except engine.error as error:
            raise InvalidRegex(_reason(error)) from None

    def test(self, text: str, seconds: float) -> bool:
        """Return whether some part of the text matches; `seconds` is the time limit, at least `MIN_SECONDS`.

        Raises:
            MatchLimitExceeded: The limit was reached.
        """
        try:
            return self._regex.test(text, timeout=max(seconds, MIN_SECONDS))
        except self._engine.MatchLimitError:
            raise MatchLimitExceeded from None


def unwrap(pattern: str) -> str:
    """Return the source of a stored pattern, as Directus does: without a `/` at both ends; flags are not supported."""
    return pattern[1:-1] if pattern.startswith("/") and pattern.endswith("/") else pattern


def _reason(error: Exception) -> str:
    """Return the engine's message without its prefix and without the source."""
    return str(error).removeprefix("ecmaregex: ").partition(' in "')[0]
