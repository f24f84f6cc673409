"""How many rows the views of a process remember, in total and for each user."""

from collections import Counter
from collections.abc import Hashable, Mapping

from app.core.errors import LimitExceeded

OWNER_PARTS = 10
"""One owner may use this part of all rows: a tenth."""
SPARE_KEYS = 1_000
"""How many more keys than rows a `KeyTable` may have."""


class KeyTable:
    """Returns the same string for equal keys, so that views that show the same rows share their keys."""

    def __init__(self) -> None:
        self._keys: dict[str, str] = {}

    def shared(self, key: str) -> str:
        """Return the string that stands for this key."""
        return self._keys.setdefault(key, key)

    def prune(self, rows: int) -> None:
        """Forget the keys if some of them are of no view, because there are more than remembered rows."""
        if len(self._keys) > rows + SPARE_KEYS:
            self._keys.clear()


class _Holding:
    """The number of rows of a holder, and how many of its subscriptions each owner has."""

    __slots__ = ("owners", "rows")

    def __init__(self, rows: int) -> None:
        self.rows, self.owners = rows, Counter[str]()


class RowBudget:
    """Counts the rows that are remembered, and limits them.

    A holder remembers rows: a view, or a paused subscription. Its rows count once in total, and once for each owner of
    a subscription to it, however many that owner has. An owner is a user, or an IP address without one. It may use a
    part of all rows, and always as many as one subscription may show.
    """

    def __init__(self, max_rows: int, max_view_rows: int) -> None:
        self.total, self.keys = 0, KeyTable()
        self._max_rows = max_rows
        self._max_owner_rows = min(max_rows, max(max_rows // OWNER_PARTS, max_view_rows))
        self._by_owner, self._holdings = Counter[str](), dict[Hashable, _Holding]()

    def attach(self, holder: Hashable, owner: str, rows: int) -> None:
        """Count a subscription of an owner to a holder, which remembers this number of rows.

        Raises:
            LimitExceeded: There would be too many rows, in total or of the owner.
        """
        holding = self._holdings.get(holder)
        if holding is None and self.total + rows > self._max_rows:
            raise self._total_exceeded(rows)
        is_new_owner = holding is None or owner not in holding.owners
        if is_new_owner and self._by_owner[owner] + rows > self._max_owner_rows:
            raise self._owner_exceeded(self._by_owner[owner] + rows)
        if holding is None:
            holding = self._holdings[holder] = _Holding(rows)
            self.total += rows
        if is_new_owner:
            self._add_to_owner(owner, rows)
        holding.owners[owner] += 1

    def detach(self, holder: Hashable, owner: str) -> None:
        """Stop counting a subscription of an owner to a holder."""
        holding = self._holdings[holder]
        holding.owners[owner] -= 1
        if holding.owners[owner]:
            return
        del holding.owners[owner]
        self._add_to_owner(owner, -holding.rows)
        if not holding.owners:
            del self._holdings[holder]
            self.total -= holding.rows
            self.keys.prune(self.total)

    def resize(self, holder: Hashable, rows: int) -> Mapping[str, LimitExceeded]:
        """Count the present rows of a holder; return the owners who have to leave it because of that, and why."""
        holding = self._holdings.get(holder)
        if holding is None or holding.rows == rows:
            return {}
        added, holding.rows = rows - holding.rows, rows
        self.total += added
        for owner in holding.owners:
            self._add_to_owner(owner, added)
        if added < 0:
            return {}
        if self.total > self._max_rows:
            return dict.fromkeys(holding.owners, self._total_exceeded(rows))
        counts = {owner: self._by_owner[owner] for owner in holding.owners}
        return {owner: self._owner_exceeded(count) for owner, count in counts.items() if count > self._max_owner_rows}

    def _add_to_owner(self, owner: str, rows: int) -> None:
        self._by_owner[owner] += rows
        if not self._by_owner[owner]:
            del self._by_owner[owner]

    def _owner_exceeded(self, rows: int) -> LimitExceeded:
        return LimitExceeded(
            "Rows of a user's subscriptions",
            f"With this one, they show {rows:,} rows, and {self._max_owner_rows:,} are allowed; end others or narrow "
            "their filters",
        )

    def _total_exceeded(self, rows: int) -> LimitExceeded:
        return LimitExceeded(
            "Rows of all subscriptions",
            f"This one shows {rows:,} rows, for which the {self._max_rows:,} of WEBSOCKETS_MAX_TOTAL_ROWS leave no "
            "room; narrow its filter or try again later",
        )
