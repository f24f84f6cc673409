"""The slow work that one request may cause."""

from dataclasses import dataclass

from app.core.errors import InvalidPayload

REGEX_SECONDS = 0.5
"""Time for all regular expressions of one request, which may hold the directory's lock meanwhile."""


@dataclass(slots=True)
class RequestBudget:
    """What one request may still spend on slow work; all its writes share one."""

    regex_seconds: float = REGEX_SECONDS

    def check_regex_seconds(self) -> None:
        """Raise InvalidPayload if no time is left for regular expressions."""
        if self.regex_seconds <= 0:
            raise InvalidPayload(
                f"The regular expressions of this request take longer than {REGEX_SECONDS * 1000:.0f} ms in all; "
                "send fewer or shorter values"
            )
