"""A view: what a live query has shown so far, and the changes from that to what it shows now."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from time import monotonic
from typing import Any, NamedTuple, Protocol, TypeVar

from app.core.errors import LimitExceeded, RollcallError
from app.flows.realtime.row_budget import KeyTable
from app.policy.resolver import ROW_KEY
from app.query.results import Row
from app.repositories.live_query import LiveQuery

CREATE, UPDATE, DELETE = "create", "update", "delete"
MIN_REFRESH_SECONDS = 1.0
"""Shortest pause between two refreshes of a view; a slow one is refreshed less often."""
REFRESH_SHARE = 0.1
"""The part of the time that the refreshes of one view may take."""
DIGEST_BITS = 2**60 - 1
"""The bits of a digest: an integer that has more takes 48 bytes instead of 32."""

T = TypeVar("T")


class ViewChange(NamedTuple):
    """A row that entered a view, changed in it, or left it; a row that left it has no data."""

    action: str
    key: Any
    data: Row | None


class ChangeList(list[ViewChange]):
    """Changes that many subscribers receive, and their encodings, which are made for the first one."""

    def __init__(self, changes: Iterable[ViewChange]) -> None:
        super().__init__(changes)
        self._cached: dict[Any, Any] = {}

    def cached(self, key: Any, make: Callable[[], T]) -> T:
        """Return what `make` has made for this key, the same for all subscribers."""
        if key not in self._cached:
            self._cached[key] = make()
        value: T = self._cached[key]
        return value


class ChangeSink(Protocol):
    """Receives the changes of one subscription. No method may wait or fail."""

    def send(self, changes: ChangeList) -> None:
        """Take changes, which others receive as well."""
        ...

    def end(self, error: RollcallError) -> None:
        """Take the reason why the subscription has ended."""
        ...


class View:
    """The rows that a live query shows, by key with a digest of what it shows of them.

    An open view, of a caller who sees everything, has no rows: there the action of an event says what has changed.
    """

    def __init__(self, query: LiveQuery, max_rows: int, keys: KeyTable) -> None:
        self.query, self._max_rows, self._keys = query, max_rows, keys
        self.is_open = query.shape.shows_everything
        self.rows: dict[str, int] = {}
        self.needs_refresh = False
        self._next_refresh = 0.0

    @property
    def may_refresh(self) -> bool:
        """Whether a refresh that the view needs is due."""
        return self.needs_refresh and monotonic() >= self._next_refresh

    def load(self, rows: Iterable[Row]) -> None:
        """Remember what the query shows, without changes.

        Raises:
            LimitExceeded: It shows too many rows.
        """
        self.rows = {self._keys.shared(str(row.pop(ROW_KEY))): digest(row) for row in rows}
        self._check_size(len(self.rows))

    def may_have_shown(self, keys: Collection[str]) -> bool:
        """Return whether the view has shown one of these rows, as far as it knows."""
        return self.is_open or not self.rows.keys().isdisjoint(keys)

    def apply(self, actions: Mapping[str, str], rows: Iterable[Row]) -> list[ViewChange]:
        """Return the changes of the rows with these keys, of which the query now shows `rows`.

        Raises:
            LimitExceeded: It shows too many rows.
        """
        changes, found = [], {str(row[ROW_KEY]): row for row in rows}
        for key, action in actions.items():
            row = found.get(key)
            was_shown = action != CREATE if self.is_open else key in self.rows
            if change := self._change(key, row, was_shown=was_shown):
                changes.append(change)
        self._check_size(len(self.rows))
        return changes

    def refresh(self, rows: Sequence[Row], started: float) -> list[ViewChange]:
        """Return all changes, given everything that the query now shows; `started` is when it was read.

        Raises:
            LimitExceeded: It shows too many rows.
        """
        self._check_size(len(rows))
        keys = dict.fromkeys((*self.rows, *(str(row[ROW_KEY]) for row in rows)), UPDATE)
        changes = self.apply(keys, rows)
        now = monotonic()
        self.needs_refresh = False
        self._next_refresh = now + max(MIN_REFRESH_SECONDS, (now - started) / REFRESH_SHARE)
        return changes

    def _check_size(self, rows: int) -> None:
        if rows > self._max_rows:
            most = f"{self._max_rows:,}"
            raise LimitExceeded(
                "Rows of a subscription",
                f"It shows more than {most} rows, the most that WEBSOCKETS_MAX_ROWS allows; narrow its filter",
            )

    def _change(self, key: str, row: Row | None, *, was_shown: bool) -> ViewChange | None:
        if row is None:
            self.rows.pop(key, None)
            return ViewChange(DELETE, key, None) if was_shown else None
        data = {name: value for name, value in row.items() if name != ROW_KEY}
        if not self.is_open:
            before, after = self.rows.get(key), digest(data)
            if before == after:
                return None
            self.rows[self._keys.shared(key)] = after
        return ViewChange(UPDATE if was_shown else CREATE, row[ROW_KEY], data)


def digest(row: Row) -> int:
    """Return a digest of what is shown of a row; it differs from process to process."""
    return hash(repr(row)) & DIGEST_BITS
