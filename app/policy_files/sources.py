"""Reads documents from files and folders."""

from collections.abc import Iterator
from pathlib import Path

from app.policy_files.directus_sync import FILES, read_dump
from app.policy_files.document_reader import merge, read_document
from app.policy_files.located import DocumentError
from app.policy_files.policy_document import PolicyDocument
from app.policy_files.yaml_reader import MAX_BYTES, read_yaml

ENDINGS = (".yaml", ".yml")
DUMP_FOLDER = "collections"


def load(path: Path) -> PolicyDocument:
    """Return the document of a file, of all YAML files of a folder together, or of a dump of directus-sync.

    Raises:
        DocumentError: A file cannot be read, is invalid, or there is none.
    """
    if not path.is_dir():
        return read_document(read_yaml(read_bytes(path), str(path)))
    for folder in (path, path / DUMP_FOLDER):
        if any((folder / name).is_file() for name in FILES):
            return read_dump({name: read_bytes(folder / name) for name in FILES if (folder / name).is_file()}, folder)
    files = list(_files_in(path))
    if not files:
        raise DocumentError(f"{path}: the folder has no YAML files and is no dump of directus-sync.")
    return merge(read_document(read_yaml(read_bytes(file), str(file))) for file in files)


def read_bytes(path: Path) -> bytes:
    """Return the content of a file, up to what a document may have and one byte more.

    Raises:
        DocumentError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DocumentError(f"{path}: the file can't be read: {error.strerror}.") from None


def _files_in(folder: Path) -> Iterator[Path]:
    """Yield the YAML files of a folder, not of those below it, in the order of their names."""
    yield from sorted(file for file in folder.iterdir() if file.suffix in ENDINGS and file.is_file())
