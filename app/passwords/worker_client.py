"""The server's end of the pipe to the worker process that hashes passwords."""

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
from app.passwords.worker_protocol import READY, WORKER_MODULE

STARTUP_TIMEOUT_SECONDS = 20.0
REQUEST_TIMEOUT_SECONDS = 60.0
EXIT_TIMEOUT_SECONDS = 1.0
INHERITED_PREFIXES = ("PYTHON", "LD_", "DYLD_")
"""Prefixes of the environment variables that Python may need. Hashing needs none of the secrets in the others."""

log = structlog.get_logger(__name__)


class WorkerExited(Exception):
    """The worker exited before it responded."""


class HashWorker:
    """A worker process. It exits when this process does, for whatever reason, because its pipe is closed then.

    Raises:
        OSError: The process cannot be started.
    """

    def __init__(self) -> None:
        command = [sys.executable, "-S", "-P", "-m", WORKER_MODULE]
        self._process = subprocess.Popen(  # noqa: S603  # no part of the command is input
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=_environment()
        )
        self._stdin: IO[bytes] = self._process.stdin  # type: ignore[assignment]  # not None: it is a pipe
        self._stdout: IO[bytes] = self._process.stdout  # type: ignore[assignment]
        self._ids, self._lock = count(READY + 1), Lock()
        self._ready: Future[Any] = Future()
        self._pending = {READY: self._ready}
        self._exited = self._killed = False
        self._listener = Thread(target=self._listen, name="hashing", daemon=True)
        self._listener.start()

    @property
    def exited(self) -> bool:
        """Whether the worker no longer responds."""
        return self._exited

    def wait_until_ready(self) -> None:
        """Wait until the worker is ready.

        Raises:
            WorkerExited: The worker failed to start.
        """
        self._result_of(self._ready, STARTUP_TIMEOUT_SECONDS)

    def request(self, password: str, argument: str | Sequence[int]) -> Any:
        """Return the result for a password and either a hash to verify or a cost to hash it with.

        Raises:
            WorkerExited: The worker exited, or did not respond in time.
        """
        request_id, response = next(self._ids), Future[Any]()
        with self._lock:
            if self._exited:
                raise WorkerExited
            self._pending[request_id] = response
            self._write(json.dumps([request_id, password, argument]).encode() + b"\n")
        return self._result_of(response, REQUEST_TIMEOUT_SECONDS)

    def kill(self) -> None:
        """Kill the worker; pending requests raise WorkerExited."""
        self._killed = True
        self._process.kill()
        self._listener.join(EXIT_TIMEOUT_SECONDS)

    def _write(self, line: bytes) -> None:
        with suppress(OSError):  # the listener notices that the worker exited, and fails the pending requests
            self._stdin.write(line)
            self._stdin.flush()

    def _result_of(self, response: Future[Any], seconds: float) -> Any:
        try:
            return response.result(seconds)
        except TimeoutError:
            self._exited = True  # at once, so that no request is sent before the listener notices
            self._process.kill()
            raise WorkerExited(f"no response within {seconds:.0f} s") from None

    def _listen(self) -> None:
        try:
            for line in self._stdout:
                request_id, result = json.loads(line)
                self._pending.pop(request_id).set_result(result)
        finally:
            status = self._wait_for_exit()
            with self._lock:
                self._exited = True
                pending, self._pending = self._pending, {}
                self._close()
            if self._ready.done() and not self._killed:
                log.warning("hasher_process_exited", status=status, pending=len(pending))
            for response in pending.values():
                response.set_exception(WorkerExited(f"exited with status {status}"))

    def _wait_for_exit(self) -> int:
        """Return the exit status of the worker, which has closed its output and so has exited or is about to."""
        try:
            return self._process.wait(EXIT_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def _close(self) -> None:
        for stream in (self._stdin, self._stdout):
            with suppress(OSError):  # buffered data may not reach the worker any more
                stream.close()


def _environment() -> dict[str, str]:
    """Return the worker's environment, in which it finds the same modules as this process."""
    inherited = {name: value for name, value in os.environ.items() if name.startswith(INHERITED_PREFIXES)}
    root = str(Path(app.__file__).parents[1])
    return inherited | {"PYTHONPATH": os.pathsep.join([root, *filter(None, sys.path)])}
