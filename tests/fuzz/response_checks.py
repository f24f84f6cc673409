"""What no response may be: an internal error, a response that discloses internals, or a slow one."""

import re
import sys
from collections import Counter
from collections.abc import Callable

import pytest
from schemathesis.core.transport import Response

LEAK_PATTERN = re.compile(
    rb"Traceback|File \"|INTERNAL_SERVER_ERROR|(?i:sqlite3?\.|sqlalchemy|asyncpg|psycopg|graphql\.error|orjson)"
    rb"|syntax error at|constraint failed|violates|UndefinedColumn|OperationalError|DatatypeMismatch"
)
"""Words of stack traces, of database drivers and of libraries."""
MAX_RESPONSE_SECONDS, RETRIES = 1.0, 5
"""The duration above which a response is slow, and how many repetitions must all be slow to confirm it."""
REQUEST_TIMEOUT_SECONDS = 60
"""The timeout of a request."""
UVICORN_BAD_REQUEST = b"Invalid HTTP request received."
"""uvicorn's own response to a URL of 64 KiB or more, which never reaches the application."""


class ResponseChecker:
    """Checks responses and records each kind of failure once per operation; `statuses` counts all of them."""

    def __init__(self) -> None:
        self.failures: dict[str, str] = {}
        self.statuses = Counter[int]()

    def check(self, operation: str, send: Callable[[], Response]) -> Response:
        """Send a request and check its response.

        A slow request is repeated, because the machine may have been busy.
        """
        response = send()
        if response.content == UVICORN_BAD_REQUEST:
            return response
        if response.elapsed > MAX_RESPONSE_SECONDS and all(
            send().elapsed > MAX_RESPONSE_SECONDS for _ in range(RETRIES)
        ):
            self.add_failure(operation, f"took {response.elapsed:.1f} seconds")
        self.statuses[response.status_code] += 1
        if response.status_code >= 500:
            self.add_failure(operation, f"status {response.status_code}: {response.content[:500]!r}")
        if match := LEAK_PATTERN.search(response.content):
            self.add_failure(operation, f"discloses {match[0]!r}: {response.content[:500]!r}")
        return response

    def add_failure(self, operation: str, failure: str) -> None:
        """Record a failure, unless the operation already has one of its kind."""
        self.failures.setdefault(f"{operation}: {failure[:40]}", failure)

    def report(self) -> str:
        """Return all failures as text; empty if there are none."""
        return "\n\n".join(f"{operation}\n{failure}" for operation, failure in self.failures.items())

    def print_statuses(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Print how often each status was returned."""
        with capsys.disabled():
            sys.stdout.write(f"\n{sum(self.statuses.values())} responses: {dict(sorted(self.statuses.items()))}\n")
