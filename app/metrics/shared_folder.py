"""The folder through which the processes of one server share their metrics: a file with a snapshot from each.

Prometheus asks one process for the metrics of all. Every value it has read is in a file, so that the next answer, from
another process, is never smaller: Prometheus would take that for a restart.
"""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from app.metrics.snapshot import Snapshot, combine

FOLDER_VARIABLE = "ROLLCALL_METRICS_FOLDER"
"""The environment variable with which the parent process names the folder to the processes that it starts."""
WRITE_INTERVAL_SECONDS = 1.0
"""How often each process writes its snapshot."""
STALE_SECONDS = 5.0
"""The age from which on a file is that of a process that has ended, or no longer responds: its gauges don't count."""


class SharedFolder:
    """The folder as one process sees it, which writes its own file and reads those of all."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.file = path / f"{os.getpid()}-{token_hex(8)}.json"

    @classmethod
    def from_environment(cls) -> "SharedFolder | None":
        """Return the folder that the parent process has named, if any."""
        path = os.environ.get(FOLDER_VARIABLE)
        return cls(Path(path)) if path else None

    def write(self, snapshot: Snapshot) -> None:
        """Replace the snapshot of this process.

        Raises:
            OSError: The file can't be written.
        """
        draft = self.file.with_suffix(".draft")
        draft.write_bytes(snapshot.encode())
        draft.replace(self.file)

    def read(self) -> Snapshot:
        """Return the metrics of all processes together.

        Raises:
            OSError: The folder can't be read.
        """
        return combine(self._snapshots())

    def _snapshots(self) -> Iterator[Snapshot]:
        now = time.time()
        for file in sorted(self._path.glob("*.json")):
            with suppress(FileNotFoundError):
                snapshot, is_stale = Snapshot.decode(file.read_bytes()), now - file.stat().st_mtime > STALE_SECONDS
                yield snapshot.without_gauges() if is_stale else snapshot
