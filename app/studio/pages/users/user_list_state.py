"""The state of the list of users, all of which is in its address."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.datastructures import QueryParams

from app.studio.form_errors import Translate
from app.studio.page_numbers import page_number
from app.studio.pages.users.user_columns import DEFAULT_COLUMNS, Column
from app.studio.pages.users.user_fields import UserField
from app.studio.pages.users.user_filters import SEARCHED, UserFilter, parse_filter, search_conditions

PAGE_SIZES = (25, 50, 100)


@dataclass(frozen=True, slots=True)
class UserListState:
    """What an address asks for: search, filters, order, columns and page. `available` are the columns by name."""

    available: Mapping[str, Column]
    search: str
    filter: UserFilter
    searched: tuple[str, ...]
    sort: str
    columns: tuple[str, ...]
    page: int
    size: int

    def parameters(self, **changes: Any) -> dict[str, Any]:
        """Return the parameters of an address with this state, except for the changes; defaults are left out."""
        return {
            "search": self.search,
            **self.filter.parameters,
            "sort": self.sort if self.sort != default_sort(self.available) else None,
            "columns": self.columns if self.columns != default_columns(self.available) else None,
            "size": self.size if self.size != PAGE_SIZES[0] else None,
            "page": self.page if self.page > 1 else None,
            **changes,
        }

    @property
    def chosen_columns(self) -> list[Column]:
        """The chosen columns."""
        return [self.available[name] for name in self.columns]

    @property
    def is_filtered(self) -> bool:
        """Whether the list may be shorter than the directory."""
        return bool(self.search or self.filter.parameters)

    @property
    def conditions(self) -> dict[str, Any] | None:
        """The filter of the API for the search and the filters; None if every user matches."""
        conditions = [*search_conditions(self.search, list(self.searched)), *self.filter.conditions]
        return {"_and": conditions} if conditions else None

    @property
    def sort_fields(self) -> list[str]:
        """The sort parameter of the API; the key, if it is readable, orders equal rows the same on all pages."""
        descending, column = self.sort.startswith("-"), self.available.get(self.sort.removeprefix("-"))
        fields = [f"-{field}" if descending else field for field in (column.sort if column else ())]
        has_key = "id" in self.available["name"].selection.split()
        return [*fields, "id"] if has_key else fields

    def sort_after(self, column: Column) -> str:
        """Return the sort order to which the header of a column leads: ascending first, then descending."""
        return f"-{column.name}" if self.sort == column.name else column.name

    def order_of(self, column: Column) -> str:
        """Return the value of `aria-sort` of a column; empty if the list is not sorted by it."""
        return {column.name: "ascending", f"-{column.name}": "descending"}.get(self.sort, "")

    def export_parameters(self, format_: str) -> dict[str, Any]:
        """Return the parameters of the API's export of this list, all pages of it."""
        conditions = self.conditions
        return {
            "export": format_,
            "fields": ",".join(dict.fromkeys(field for column in self.chosen_columns for field in column.fields)),
            "filter": orjson.dumps(conditions).decode() if conditions else None,
            "sort": ",".join(self.sort_fields) or None,
            "limit": -1,
        }


def default_columns(available: Mapping[str, Column]) -> tuple[str, ...]:
    """Return the names of the columns that a list has unless its address says otherwise."""
    return tuple(name for name in available if name in DEFAULT_COLUMNS)


def default_sort(available: Mapping[str, Column]) -> str:
    """Return the column that the list is sorted by at first.

    Emails have an index, so that the first page of a large directory is found at once.
    """
    return "email" if "email" in available else next(iter(available))


def parse_state(
    query: QueryParams,
    available: Mapping[str, Column],
    filters: Mapping[str, UserField],
    translate: Translate,
    keys: Mapping[str, str],
) -> UserListState:
    """Return the state of an address; what it asks for in vain is ignored.

    `keys` are the ids of the rows that filters on relations name.
    """
    sort = query.get("sort", "")
    column = available.get(sort.removeprefix("-"))
    chosen = query.getlist("columns") or DEFAULT_COLUMNS
    columns = tuple(name for name in available if name in chosen or name == "name")
    selected = {name for each in available.values() if not each.target for name in each.selection.split()}
    return UserListState(
        available,
        " ".join(query.get("search", "").split()),
        parse_filter(dict(query), filters, translate, keys),
        tuple(name for name in SEARCHED if name in selected),
        sort if column and column.sort else default_sort(available),
        columns,
        page_number(query.get("page")),
        next((size for size in PAGE_SIZES if query.get("size") == str(size)), PAGE_SIZES[0]),
    )
