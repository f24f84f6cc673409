"""The process that hashes passwords for one that serves: a line of JSON asks, a line answers, until there are no more.

It is asked `[number, password, [memory, time, parallelism]]` for a hash, or `[number, password, hash]` whether that is
the password's, and answers `[number, answer]` as soon as it knows, null where there is none. The first line says that
it is ready. Passwords are nowhere but in its pipe and its memory, and of what goes wrong with them it says nothing.
"""

import json
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from app.core.hashing import HashCost, hash_password, verify_password

READY = 0
"""The number of the first line, which nobody asked for."""
LOWEST_PRIORITY = 19


def main() -> None:
    """Hashes as many at once as are asked for, until whoever asks is gone: then nobody waits for what isn't done."""
    _stand_back()
    limit_cpu_affinity()
    with ThreadPoolExecutor() as lanes:
        _tell(READY, True)
        for line in sys.stdin.buffer:
            lanes.submit(_answer, line)
        os._exit(0)


def _stand_back() -> None:
    """Everybody else goes first. What asks its parent to end leaves it alone, and its memory is never written down."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if sys.platform != "win32":
        import resource  # noqa: PLC0415  # not there on every platform

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.nice(LOWEST_PRIORITY)


def limit_cpu_affinity() -> None:
    """Keeps to one half of the processors, where that can be said: on the other half whoever asks never has to wait.

    A low priority alone isn't enough for that: a thread that computes is sent away only every few milliseconds.
    """
    if sys.platform == "linux":
        usable = sorted(os.sched_getaffinity(0))
        with suppress(OSError):  # where that is nobody's to choose
            os.sched_setaffinity(0, usable[len(usable) // 2 :])


def _answer(line: bytes) -> None:
    number, password, given = json.loads(line)
    try:
        if isinstance(given, str):
            _tell(number, verify_password(password, given))
        else:
            _tell(number, hash_password(password, HashCost(*given)))
    except ValueError:
        _tell(number, None)


def _tell(number: int, answer: str | bool | None) -> None:
    """One line, in one piece: several may be told at once."""
    os.write(sys.stdout.fileno(), json.dumps([number, answer]).encode() + b"\n")


if __name__ == "__main__":
    main()
