"""The pipe to the process that hashes, as it looks from this end of it."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from itertools import count
from pathlib import Path
from threading import Lock, Thread
from typing import IO, Any

import structlog

import app
from app.passwords import worker
from app.passwords.worker import READY

STARTING, PATIENCE, LEAVING = 20.0, 60.0, 1.0
"""Seconds until it is ready, until it has hashed one password, and until it is gone, at most."""
NEEDED = ("PYTHON", "LD_", "DYLD_")
"""How names begin of what any Python may need of the environment; of the secrets in the rest, hashing needs none."""

log = structlog.get_logger(__name__)


class WorkerExited(Exception):
    """The process has ended before it answered."""


class HashWorker:
    """A process that hashes. It ends when this one does, however that comes about: its pipe is at its end then.

    Raises OSError where there can't be one.
    """

    def __init__(self) -> None:
        command = [sys.executable, "-S", "-P", "-m", worker.__name__]
        pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
        self._process = subprocess.Popen(  # noqa: S603  # nothing in it is anybody else's
            command, stdin=pipe, stdout=pipe, stderr=nowhere, env=_environment()
        )
        self._stdin: IO[bytes] = self._process.stdin  # type: ignore[assignment]  # none only where there is no pipe
        self._stdout: IO[bytes] = self._process.stdout  # type: ignore[assignment]
        self._numbers, self._lock = count(READY + 1), Lock()
        self._ready: Future[Any] = Future()
        self._asked = {READY: self._ready}
        self._over = self._meant = False
        self._listener = Thread(target=self._listen, name="hashing", daemon=True)
        self._listener.start()

    @property
    def over(self) -> bool:
        """Whether it answers no more."""
        return self._over

    def wait(self) -> None:
        """Until it is ready; raises Ended where it never will be."""
        self._answer_to(self._ready, STARTING)

    def ask(self, password: str, given: str | Sequence[int]) -> Any:
        """What it answers to a password and a hash, or a cost; raises Ended."""
        number, answer = next(self._numbers), Future[Any]()
        with self._lock:
            if self._over:
                raise WorkerExited
            self._asked[number] = answer
            self._write(json.dumps([number, password, given]).encode() + b"\n")
        return self._answer_to(answer, PATIENCE)

    def end(self) -> None:
        """Ends it, whatever is under way."""
        self._meant = True
        self._process.kill()
        self._listener.join(LEAVING)

    def _write(self, line: bytes) -> None:
        with suppress(OSError):  # whoever listens learns that it has ended, and tells those who wait
            self._stdin.write(line)
            self._stdin.flush()

    def _answer_to(self, answer: Future[Any], seconds: float) -> Any:
        try:
            return answer.result(seconds)
        except TimeoutError:
            self._over = True  # at once, so that nobody asks it again before that is noticed
            self._process.kill()
            raise WorkerExited(f"no answer within {seconds:.0f} s") from None

    def _listen(self) -> None:
        try:
            for line in self._stdout:
                number, answer = json.loads(line)
                self._asked.pop(number).set_result(answer)
        finally:
            status = self._status()
            with self._lock:
                self._over = True
                left, self._asked = self._asked, {}
                self._close()
            if self._ready.done() and not self._meant:
                log.warning("hashing_ended", status=status, under_way=len(left))
            for waiting in left.values():
                waiting.set_exception(WorkerExited(f"it ended with status {status}"))

    def _status(self) -> int:
        """How it ended; by now it has, or is about to."""
        try:
            return self._process.wait(LEAVING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def _close(self) -> None:
        for end in (self._stdin, self._stdout):
            with suppress(OSError):  # what was written last may have reached nobody
                end.close()


def _environment() -> dict[str, str]:
    """It finds its modules where this process does."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(NEEDED)}
    home = str(Path(app.__file__).parents[1])
    return kept | {"PYTHONPATH": os.pathsep.join([home, *filter(None, sys.path)])}
