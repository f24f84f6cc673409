"""The priority of threads."""

import os
import sys
from contextlib import suppress

NICENESS = 10
"""Niceness added to threads that compute, so that they yield to request handling."""


def lower_thread_priority() -> None:
    """Lower the priority of the calling thread for good, on Linux only. Repeated calls change nothing."""
    if sys.platform == "linux":  # threads have their own priority there, and pass it on to those they start
        process_niceness = os.getpriority(os.PRIO_PROCESS, os.getpid())
        with suppress(PermissionError):  # the process' priority has been raised in the meantime
            os.setpriority(os.PRIO_PROCESS, 0, process_niceness + NICENESS)
