"""The worker process that hashes passwords for a server until its standard input closes.

Passwords exist only in the pipe and in the worker's memory, and no error about them is written anywhere.
"""

import json
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from app.core.hash_parameters import HashCost
from app.core.hashing import hash_password, verify_password
from app.passwords.worker_protocol import READY

LOWEST_PRIORITY = 19


def main() -> None:
    """Run all requests concurrently until the parent has closed the pipe; then drop the pending ones."""
    _configure_process()
    limit_cpu_affinity()
    with ThreadPoolExecutor() as threads:
        _respond(READY, True)
        for line in sys.stdin.buffer:
            threads.submit(_handle, line)
        os._exit(0)


def _configure_process() -> None:
    """Take the lowest priority, ignore the signals that stop the server, and disable core dumps."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if sys.platform != "win32":
        import resource  # noqa: PLC0415  # exists on some platforms only

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.nice(LOWEST_PRIORITY)


def limit_cpu_affinity() -> None:
    """Use only half of the CPUs, if the platform allows it, so that the server never waits on the other half.

    A low priority alone does not achieve that: a computing thread is preempted only every few milliseconds.
    """
    if sys.platform == "linux":
        usable = sorted(os.sched_getaffinity(0))
        with suppress(OSError):  # not permitted
            os.sched_setaffinity(0, usable[len(usable) // 2 :])


def _handle(line: bytes) -> None:
    request_id, password, argument = json.loads(line)
    try:
        if isinstance(argument, str):
            _respond(request_id, verify_password(password, argument))
        else:
            _respond(request_id, hash_password(password, HashCost(*argument)))
    except ValueError:
        _respond(request_id, None)


def _respond(request_id: int, result: str | bool | None) -> None:
    """Write a response in one piece, because several threads write at once."""
    os.write(sys.stdout.fileno(), json.dumps([request_id, result]).encode() + b"\n")


if __name__ == "__main__":
    main()
