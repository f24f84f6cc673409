"""The slow work that one request may cause."""

from app.core.errors import InvalidPayload

REGEX_SECONDS = 0.5
"""Time for all regular expressions of one request, which may hold the directory's lock meanwhile."""

MAX_COMPARISONS = 100
"""Comparisons of a new password with former ones by one request; each takes as long as hashing one."""


class RequestBudget:
    """What one request may still spend on slow work; all its writes share one."""

    __slots__ = ("_comparisons", "_hashes", "_max_hashes", "regex_seconds")

    def __init__(self, max_hashes: int, regex_seconds: float = REGEX_SECONDS) -> None:
        self._hashes = self._max_hashes = max_hashes
        self._comparisons = MAX_COMPARISONS
        self.regex_seconds = regex_seconds

    def check_regex_seconds(self) -> None:
        """Raise InvalidPayload if no time is left for regular expressions."""
        if self.regex_seconds <= 0:
            raise InvalidPayload(
                f"The regular expressions of this request take longer than {REGEX_SECONDS * 1000:.0f} ms in all; "
                "send fewer or shorter values"
            )

    def spend_comparisons(self, count: int) -> None:
        """Count comparisons with former passwords; raise InvalidPayload if they are too many."""
        self._comparisons -= count
        if self._comparisons < 0:
            raise InvalidPayload("The request changes the own password too often; use several requests")

    def spend_hashes(self, count: int) -> None:
        """Count passwords that are going to be hashed; raise InvalidPayload if they are too many."""
        self._hashes -= count
        if self._hashes < 0:
            raise InvalidPayload(
                f"The request sets {self._max_hashes - self._hashes} passwords, and may set at most {self._max_hashes} "
                "(MAX_PASSWORDS_PER_REQUEST); use several requests"
            )
