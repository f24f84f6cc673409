"""What no answer may be, whatever was asked: a fault of ours, in words that nobody but us should read, or late."""

import re
import sys
from collections import Counter
from collections.abc import Callable

import pytest
from schemathesis.core.transport import Response

WORDS = re.compile(
    rb"Traceback|File \"|INTERNAL_SERVER_ERROR|(?i:sqlite3?\.|sqlalchemy|asyncpg|psycopg|graphql\.error|orjson)"
    rb"|syntax error at|constraint failed|violates|UndefinedColumn|OperationalError|DatatypeMismatch"
)
"""A stack trace's words, and the drivers'."""
LATE, AGAIN = 1.0, 5
"""Seconds after which an answer is late, and how often it is asked for again before that is believed."""
PATIENCE = 60
"""Seconds after which an answer isn't waited for any more."""
TOO_LONG = b"Invalid HTTP request received."
"""What uvicorn itself says to an address of 64 KiB and more, before anybody here is asked."""


class Faults:
    """Looks at answers, and keeps what was wrong with each kind of request, once; `statuses` counts them all."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self.statuses = Counter[int]()

    def look(self, asked: str, ask: Callable[[], Response]) -> Response:
        """Asks, and takes note of the answer.

        What is late is asked again: it may have been the machine that was busy, and then it isn't late each time.
        """
        response = ask()
        if response.content == TOO_LONG:
            return response
        if response.elapsed > LATE and all(ask().elapsed > LATE for _ in range(AGAIN)):
            self.add(asked, f"took {response.elapsed:.1f} seconds")
        self.statuses[response.status_code] += 1
        if response.status_code >= 500:
            self.add(asked, f"status {response.status_code}: {response.content[:500]!r}")
        if words := WORDS.search(response.content):
            self.add(asked, f"tells of {words[0]!r}: {response.content[:500]!r}")
        return response

    def add(self, asked: str, wrong: str) -> None:
        """One more thing that is wrong."""
        self.found.setdefault(f"{asked}: {wrong[:40]}", wrong)

    def told(self) -> str:
        """All of it, to be read; empty where there is nothing."""
        return "\n\n".join(f"{asked}\n{wrong}" for asked, wrong in self.found.items())

    def say(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Prints how often each status was the answer, whether it went well or not."""
        with capsys.disabled():
            sys.stdout.write(f"\n{sum(self.statuses.values())} answers: {dict(sorted(self.statuses.items()))}\n")
