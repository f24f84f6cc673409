"""The size of one query: its fields, filters, sort keys and lists are counted while they are parsed."""

from collections.abc import Iterable, Mapping, Sized
from typing import Any, NamedTuple

from app.core.errors import InvalidQuery

LIST_OPERATORS = frozenset({"_in", "_nin", "_between", "_nbetween"})
"""The operators whose value may be a list as comma-separated text."""


class SizeLimits(NamedTuple):
    """The maximum size of one query, its nested lists included; `SizeCounter` says what counts."""

    fields: int = 1_500
    filter_parts: int = 500
    filter_depth: int = 32
    sort_keys: int = 50
    list_items: int = 10_000


DEFAULT_SIZE_LIMITS = SizeLimits()


class SizeCounter:
    """Counts what one query contains, and rejects it at the first count over its limit, before anything is planned.

    Every method raises InvalidQuery if there is too much of something.
    """

    __slots__ = ("_fields", "_filter_parts", "_limits", "_list_items", "_sort_keys")

    def __init__(self, limits: SizeLimits) -> None:
        self._limits = limits
        self._fields = self._filter_parts = self._sort_keys = self._list_items = 0

    def add_fields(self, count: int) -> None:
        """Count selected fields, relations and aggregates, after the expansion of wildcards."""
        self._fields += count
        if self._fields > self._limits.fields:
            raise InvalidQuery(f"More than {self._limits.fields} fields are selected")

    def check_entries(self, name: str, entries: Sized) -> None:
        """Check the number of entries of a parameter that describes selected fields, such as `alias`."""
        if len(entries) > self._limits.fields:
            raise InvalidQuery(f'"{name}" has {len(entries)} entries; at most {self._limits.fields} are allowed')

    def split_names(self, value: Any, parameter: str) -> list[str]:
        """Return the distinct names in a list, in a comma-separated text, or in a list of such texts."""
        if value is None:
            return []
        items = value if isinstance(value, list | tuple) else (value,)
        if not all(isinstance(item, str | int | float) for item in items):
            raise InvalidQuery("Names must be strings or lists of strings")
        texts = [str(item) for item in items]
        self._add_items(parameter, len(texts) + sum(text.count(",") for text in texts))
        names = (name.strip() for text in texts for name in text.split(","))
        return list(dict.fromkeys(filter(None, names)))

    def distinct_sort_keys(self, keys: Iterable[str]) -> Iterable[str]:
        """Count sort keys and return them without those that cannot change the order, as one before sorts by the same.

        The direction is a minus sign before the key.
        """
        distinct: dict[str, str] = {}
        for key in keys:
            distinct.setdefault(key.removeprefix("-"), key)
        self._sort_keys += len(distinct)
        if self._sort_keys > self._limits.sort_keys:
            raise InvalidQuery(
                f"The query has {self._sort_keys} sort keys; at most {self._limits.sort_keys} are allowed"
            )
        return distinct.values()

    def add_filter(self, raw: Any) -> None:
        """Count the parts of an unparsed filter, the items of its lists, and its levels of nested objects.

        Its parts are comparisons, relations, lists of conditions (`_and` and `_or`), and empty objects.
        """
        level = [raw] if isinstance(raw, Mapping) else []
        for _ in range(self._limits.filter_depth):
            if not level:
                return
            level = [inner for condition in level for inner in self._add_condition(condition)]
        if level:
            raise InvalidQuery(f"The filter is nested more than {self._limits.filter_depth} levels deep")

    def _add_condition(self, condition: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Count one object of a filter and return the objects in it."""
        nested: list[Mapping[str, Any]] = []
        for name, value in condition.items() if condition else [("", None)]:
            if isinstance(value, Mapping):
                nested.append(value)
            elif isinstance(value, list | tuple):
                self._add_items(name, len(value))
                nested += [item for item in value if isinstance(item, Mapping)]
            elif name in LIST_OPERATORS and isinstance(value, str):
                self._add_items(name, value.count(",") + 1)
            if not isinstance(value, Mapping) or any(isinstance(inner, Mapping) for inner in value.values()):
                self._add_part()
        return nested

    def _add_part(self) -> None:
        self._filter_parts += 1
        if self._filter_parts > self._limits.filter_parts:
            raise InvalidQuery(f"The filter has more than {self._limits.filter_parts} parts")

    def _add_items(self, name: str, count: int) -> None:
        self._list_items += count
        if self._list_items > self._limits.list_items:
            raise InvalidQuery(
                f'"{name}" has {count} items; at most {self._limits.list_items} are allowed in all lists of a query'
            )
