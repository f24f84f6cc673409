"""What the errors of a database's driver mean, and the errors that are raised instead of them."""

from abc import ABC, abstractmethod
from typing import ClassVar

from app.core.errors import ServiceUnavailable

DATABASE_UNAVAILABLE = "The database is unavailable; try again later"
OUTCOME_UNKNOWN = (
    "The connection to the database broke while the write was being saved, so it may or may not be saved: "
    "read what you wrote before you try again"
)
STATEMENT_TOO_LARGE = "The database can't run a statement of this size or depth; request or write less at once"
INVALID_VALUE = "A value doesn't fit its field or its operator"

# The server shut down, the connection broke or was idle in a transaction for too long, or another program altered a
# table under a prepared statement.
STALE_SQLSTATES = ("57P", "08", "25P03", "25P04", "0A000")
READ_ONLY_SQLSTATE = "25006"
"""A write reached a standby: the primary that was at this address is no longer one."""


class DriverErrors(ABC):
    """The exceptions that a driver raises, and what each of them means; `app.db.drivers` has those of a database."""

    own: ClassVar[tuple[type[Exception], ...]]
    """The driver's own exceptions."""
    reported: ClassVar[tuple[type[Exception], ...]]
    """Those of them in which the database itself reports an error."""
    unreachable: ClassVar[tuple[type[Exception], ...]]
    """What connecting raises when the database is unreachable."""
    unusable: ClassVar[tuple[type[Exception], ...]]
    """What the driver raises on a connection that is closed or unusable."""

    @property
    def raised(self) -> tuple[type[Exception], ...]:
        """What running a statement raises."""
        return (*self.own, OSError, OverflowError)

    @abstractmethod
    def is_timeout(self, error: BaseException) -> bool:
        """Return whether the database stopped a statement because of its time limit."""

    @abstractmethod
    def is_missing_column(self, error: BaseException) -> bool:
        """Return whether a statement names a column that does not exist: a custom field was dropped a moment ago."""

    @abstractmethod
    def rejection_reason(self, error: BaseException) -> str | None:
        """Return why the driver or the database rejects a statement that a request caused; None for any other error.

        The connection stays usable. The reason does not quote the driver's message, which may hold a value.
        """

    def is_stale(self, error: BaseException) -> bool:
        """Return whether a connection is dead, or older than a change of the tables, so that a new one may work."""
        code = getattr(error, "sqlstate", None) or ""
        return code.startswith(STALE_SQLSTATES) or (
            isinstance(error, self.unusable) and not self.rejection_reason(error)
        )

    @abstractmethod
    def found_no_primary(self, error: BaseException) -> bool:
        """Return whether none of several hosts accepts writes."""

    @abstractmethod
    def redact(self, error: BaseException) -> None:
        """Remove stored and sent values from an error, whose text may end up in the log."""


class StaleConnection(ServiceUnavailable):
    """The connection was dead, or older than a change of the tables; a new one may work."""

    def __init__(self) -> None:
        super().__init__(DATABASE_UNAVAILABLE)


class OutcomeUnknown(StaleConnection):
    """The connection broke during the commit, so that the write must not be run again: it may be saved."""

    may_retry = False

    def __init__(self) -> None:
        ServiceUnavailable.__init__(self, OUTCOME_UNKNOWN)


class StatementTimeout(ServiceUnavailable):
    """The database stopped a statement after `seconds`; its connection is still usable."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The query took longer than the {seconds:g} s allowed; request less data")
