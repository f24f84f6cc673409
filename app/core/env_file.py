"""Checks `.env`: pydantic-settings ignores a file or line that it cannot read, so a setting could silently be lost."""

from collections.abc import Collection
from difflib import get_close_matches
from io import StringIO
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from app.core.errors import OperatorError

ENV_FILE = Path(".env")
ENCODING = "utf-8-sig"
"""UTF-8; the byte order mark that some editors write is not part of the first name."""
MIN_SIMILARITY = 0.89
"""Ratio of `difflib`; between Directus' other settings and those of Rollcall it is at most 0.88."""


class EnvFileError(OperatorError):
    """`.env` cannot be read. The message names the line, and no value."""


def read_names(file: Path = ENV_FILE) -> list[str]:
    """Return the names that a file sets; none if it does not exist.

    Raises:
        EnvFileError: It is not a readable UTF-8 file, or a line does not have the form NAME=VALUE.
    """
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return []
    except IsADirectoryError:
        raise EnvFileError(f"{file} is a directory, but must be a file of lines NAME=VALUE") from None
    except OSError as error:
        raise EnvFileError(f"{file} cannot be read: {error.strerror}") from None
    names = []
    for binding in parse_stream(StringIO(_decode(content, file))):
        if binding.error or (binding.key is not None and binding.value is None):
            raise EnvFileError(f"{file}, line {_line(binding)}: must have the form NAME=VALUE, with quotes in pairs")
        names += [binding.key] if binding.key else []
    return names


def find_misspelled(names: Collection[str], settings: Collection[str]) -> dict[str, str]:
    """Return the names that are no setting but resemble one, each with that setting; case is ignored."""
    nearest = {name: get_close_matches(name.upper(), settings, 1, MIN_SIMILARITY) for name in names}
    return {name: match[0] for name, match in nearest.items() if match and _may_mean(name.upper(), match[0])}


def _may_mean(name: str, setting: str) -> bool:
    """Whether a name may be a misspelled setting; TEST_DATABASE_URL, for one, belongs to another program."""
    return name != setting and not name.endswith(f"_{setting}")


def _decode(content: bytes, file: Path) -> str:
    try:
        return content.decode(ENCODING)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise EnvFileError(f"{file}, line {line}: is not UTF-8") from None


def _line(binding: Binding) -> int:
    """Return the number of a statement's first line, counted from 1; the parser counts the blank lines before it."""
    text = binding.original.string
    return binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")
