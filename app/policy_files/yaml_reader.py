"""Reads YAML. The parser is imported with the first file: it takes 2 MB that a server without files does not need."""

from app.policy_files.located import DocumentError, Located

MAX_BYTES = 8 * 1024 * 1024
"""Maximum size of a file."""


def read_yaml(content: bytes, file: str) -> Located:
    """Return the only document of a file.

    Raises:
        DocumentError: The content is empty, too large, not UTF-8, not YAML, or uses what is not allowed.
    """
    from app.policy_files.yaml_events import read_document  # noqa: PLC0415  # see above

    if len(content) > MAX_BYTES:
        raise DocumentError(f"{file}: the file has more than {MAX_BYTES} bytes.")
    return read_document(content, file)
