"""Measures the processor time of servers."""

import os
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.distributed.cluster import Server

USER_TIME, CHILDREN_TIME = slice(11, 13), slice(13, 15)
"""Fields of `/proc/PID/stat` after the name: user and system time of a process, and of its children that have ended."""


def processor_seconds(server: Server, *pids: int) -> float:
    """Return the processor time that a server, its processes, and other processes have used."""
    postmaster = int((server.folder / "postmaster.pid").read_text().split()[0])
    children = subprocess.run(["pgrep", "-P", str(postmaster)], capture_output=True, text=True, check=False)
    ticks = sum(_fields(postmaster, CHILDREN_TIME))
    for pid in [postmaster, *pids, *map(int, children.stdout.split())]:
        with suppress(FileNotFoundError):
            ticks += sum(_fields(pid, USER_TIME))
    return ticks / os.sysconf("SC_CLK_TCK")


def _fields(pid: int, which: slice) -> list[int]:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return [int(value) for value in fields[which]]
