"""The users that a bulk action concerns: the selected rows, or all users that match a list's search and filters."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from starlette.datastructures import QueryParams

from app.core.errors import InvalidPayload
from app.studio.page_request import Form, PageRequest
from app.studio.pages.users.user_list import max_matching, read_state
from app.studio.pages.users.user_list_state import PAGE_SIZES, UserListState

MAX_SELECTED = PAGE_SIZES[-1]
MATCHING = "matching"
"""The control that selects all matching users instead of single rows."""
CONFIRMED = "confirmed"


@dataclass(frozen=True, slots=True)
class BulkSelection:
    """Users by their ids. `matching` is the list that all of them match, None if they were selected one by one."""

    ids: Sequence[str]
    matching: UserListState | None = None

    @property
    def fingerprint(self) -> str:
        """A text that differs for other users, so that a confirmation counts only for those it was about."""
        return sha256(",".join(sorted(self.ids)).encode()).hexdigest()

    def is_confirmed(self, form: Form) -> bool:
        """Return whether the form confirms the action; only deletions and those of all matching users need that."""
        if self.matching is not None:
            return form.get(CONFIRMED) == self.fingerprint
        return form.get("action") != "delete" or CONFIRMED in form


async def read_selection(request: PageRequest, form: Form, query: QueryParams) -> BulkSelection:
    """Return the selection of a form; `query` is the state of the list that it belongs to.

    Raises:
        InvalidPayload: It contains no users or too many.
    """
    _ = request.translate
    if MATCHING in form:
        selection = await _read_matching(request, query)
    else:
        selection = BulkSelection(form.getlist("ids"))
        if len(selection.ids) > MAX_SELECTED:
            raise InvalidPayload(_("Select fewer users."))
    if not selection.ids:
        raise InvalidPayload(_("Select at least one user."))
    return selection


async def _read_matching(request: PageRequest, query: QueryParams) -> BulkSelection:
    """Return all users that match.

    Raises:
        InvalidPayload: There are too many, or a filter is wrong, without which more users would match.
    """
    _, state, most = request.translate, await read_state(request, query), max_matching(request)
    if state.filter.errors:
        raise InvalidPayload(_("Correct the filters of the list first."))
    document = """query Matching($filter: directus_users_filter, $limit: Int) {
  users(filter: $filter, sort: ["id"], limit: $limit) { id }
  users_aggregated(filter: $filter) { countAll }
}"""
    data = await request.execute(document, {"filter": state.conditions, "limit": most})
    if data["users_aggregated"][0]["countAll"] > most:
        message = _("At most {count} users can be changed at once. Narrow the list with the search or a filter.")
        raise InvalidPayload(message.format(count=most))
    return BulkSelection([user["id"] for user in data["users"] if user["id"]], state)
