"""Measures the processor time of servers."""

import os
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.distributed.cluster import Server

ENDED_CHILDREN = slice(13, 15)
"""Fields of `/proc/PID/stat` after the name: user and system time of children that have ended, in clock ticks."""


def processor_seconds(server: Server, *pids: int) -> float:
    """Return the processor time that a server, its processes, and other processes have used."""
    postmaster = int((server.folder / "postmaster.pid").read_text().split()[0])
    return tree_seconds(postmaster) + sum(map(tree_seconds, pids))


def tree_seconds(pid: int) -> float:
    """Return the processor time that a process and its children have used, also those that have ended."""
    children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[ENDED_CHILDREN]
    ended = sum(map(int, fields)) / os.sysconf("SC_CLK_TCK")
    return ended + sum(_nanoseconds(each) for each in [pid, *map(int, children.stdout.split())]) / 1e9


def _nanoseconds(pid: int) -> int:
    """Return the time of all threads of a process: the kernel counts it to the nanosecond, unlike that in `stat`."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            total += int(thread.read_text().split()[0])
    return total
