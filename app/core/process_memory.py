"""Keeps the memory of the process small."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""Parameters of the C library's `mallopt` (malloc.h of glibc)."""
OPTIONS = {M_ARENA_MAX: 1, M_MMAP_THRESHOLD: 64 * 1024, M_TRIM_THRESHOLD: 64 * 1024}
"""One arena for all threads: the interpreter runs one at a time, and an arena for each would spread what they free over
more memory. Blocks from the second value on, in bytes, go back to the system when they are freed."""


def limit_malloc() -> None:
    """Let the C library keep less free memory, where it is glibc; before most threads start."""
    if sys.platform == "linux" and (set_option := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        for option, value in OPTIONS.items():
            set_option(option, value)
