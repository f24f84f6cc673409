"""The list of users: search, filters, columns, order and pages, all in the address."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson
from starlette.datastructures import QueryParams

from app.http.response import Response
from app.query.operators import ORDERED_KINDS
from app.studio.form_errors import FormErrors
from app.studio.page_request import PageRequest
from app.studio.pages.tools.row_reference import reference_text
from app.studio.pages.users.user_columns import (
    Column,
    may_list_roles,
    may_see_avatars,
    readable_columns,
    shows_field,
)
from app.studio.pages.users.user_fields import UserField, described_custom_fields, field_labels, status_labels
from app.studio.pages.users.user_filters import NO_ROLE, last_access_choices
from app.studio.pages.users.user_list_state import PAGE_SIZES, UserListState, default_columns, parse_state
from app.studio.pages.users.user_relations import is_plain_or_reference, reference_keys
from app.studio.pages.users.user_roles import role_text, with_role_key
from app.studio.rights import Rights
from app.studio.role_choice import are_too_many, readable_roles
from app.studio.routing import Route

RESULTS = "results"
"""The id of the part of the page that the live search replaces."""
EXPORT_FORMATS = ("csv", "json")
MAX_MATCHING = 5_000
"""Users that one action may change: their write takes some seconds, for which others wait."""
FILTERABLE_KINDS = ORDERED_KINDS | {"string", "boolean", "uuid"}


@dataclass(frozen=True, slots=True)
class SelectedUsers:
    """The selected rows of a list whose bulk action was rejected, and why."""

    ids: frozenset[str] = frozenset()
    errors: FormErrors | None = None
    status: int = 200


NOTHING_SELECTED = SelectedUsers()


async def list_users(request: PageRequest) -> Response:
    """Return a page of the users that the caller may see."""
    return await users_page(request, request.query)


async def users_page(request: PageRequest, query: QueryParams, selection: SelectedUsers = NOTHING_SELECTED) -> Response:
    """Return the list with the state of a query string, or only its results if a script asks for them.

    Raises:
        Forbidden: The caller may read no users.
    """
    rights, filters = await request.rights(), await _filter_fields(request)
    columns = readable_columns(request, rights)
    state = await _parse(request, query, columns, filters)
    users, total = await _read_users(request, state)
    only_results = request.fragment == RESULTS
    context: dict[str, Any] = {
        "state": state,
        "users": users,
        "total": total,
        "pages": -(-total // state.size),
        "selected": selection.ids,
        "may_select": rights.may_field("read", "users", "id") and any(bulk_actions(rights).values()),
        "with_avatars": may_see_avatars(rights),
        "max_matching": max_matching(request),
        "exports": {name: _export_address(request, state, name) for name in EXPORT_FORMATS},
        "query": urlencode({k: v for k, v in state.parameters().items() if v}, doseq=True),
        "reference_text": reference_text,
        "shows": lambda field, user: shows_field(rights, field, user.get("id")),
        "status_labels": status_labels(request.translate),
    }
    if only_results:
        return await request.page("users/results.html", **context)
    context |= {
        "filters": filters,
        "custom_filters": [field for field in filters.values() if field.name not in ("status", "role", "last_access")],
        "roles": (roles := await readable_roles(request, rights)),
        "has_too_many_roles": are_too_many(roles),
        "role_text": await role_text(request, roles, state.filter.parameters.get("role", "")),
        "last_access_choices": last_access_choices(request.translate, with_never=shows_field(rights, "last_access")),
        "bulk": bulk_actions(rights),
        "sizes": PAGE_SIZES,
        "defaults": orjson.dumps({"columns": ",".join(default_columns(columns)), "size": str(PAGE_SIZES[0])}).decode(),
        "no_role": NO_ROLE,
    }
    errors = {**state.filter.errors, **(selection.errors or {})}
    return await request.page("users/list.html", status=selection.status, errors=errors, **context)


async def read_state(request: PageRequest, query: QueryParams) -> UserListState:
    """Return the state of a query string, as the list applies it.

    Raises:
        Forbidden: The caller may read no users.
    """
    columns = readable_columns(request, await request.rights())
    return await _parse(request, query, columns, await _filter_fields(request))


async def _parse(
    request: PageRequest, query: QueryParams, columns: Mapping[str, Column], filters: Mapping[str, UserField]
) -> UserListState:
    keys = await reference_keys(request, query, filters)
    return parse_state(await with_role_key(request, query), columns, filters, request.translate, keys)


def max_matching(request: PageRequest) -> int:
    """Return how many matching users one action may change: the limits of the API apply as well."""
    limits = request.services.limits
    return min(limit for limit in (MAX_MATCHING, limits.max_rows, limits.max_batch_size) if limit is not None)


def bulk_actions(rights: Rights) -> dict[str, bool]:
    """Return what the caller may do with several users at once."""
    return {
        "status": rights.may_field("update", "users", "status"),
        "role": rights.may_field("update", "users", "role"),
        "sessions": rights.admin,
        "delete": rights.may("delete", "users"),
    }


async def _read_users(request: PageRequest, state: UserListState) -> tuple[list[dict[str, Any]], int]:
    """Return the rows of the page, and how many rows all pages have.

    One row more than shown is read: without it, this page is the last one and the rows need not be counted. Counting
    the matches of a search means reading every user, so that a search with few matches does that only once.
    """
    offset = (state.page - 1) * state.size
    selections = dict.fromkeys(column.selection for column in (state.available["name"], *state.chosen_columns))
    document = f"""query Users($filter: directus_users_filter, $sort: [String], $limit: Int, $offset: Int) {{
  users(filter: $filter, sort: $sort, limit: $limit, offset: $offset) {{ {" ".join(selections)} }}
}}"""
    window = {"limit": state.size + 1, "offset": offset}
    data = await request.execute(document, {"filter": state.conditions, "sort": state.sort_fields, **window})
    users = data["users"]
    if len(users) <= state.size and (users or state.page == 1):
        return users, offset + len(users)
    count = "query Count($filter: directus_users_filter) { users_aggregated(filter: $filter) { countAll } }"
    counted = await request.execute(count, {"filter": state.conditions})
    return users[: state.size], counted["users_aggregated"][0]["countAll"]


async def _filter_fields(request: PageRequest) -> Mapping[str, UserField]:
    """Return the fields that the caller may filter by, by name."""
    labels, rights = field_labels(request.translate), await request.rights()
    names = [*rights.listed_fields(["status"]), *(["role"] if may_list_roles(rights) else [])]
    names += rights.listed_fields(["last_access"])
    built_in = {name: UserField(name, labels[name], name, shows_null=shows_field(rights, name)) for name in names}
    custom = await described_custom_fields(
        request,
        lambda field: (
            is_plain_or_reference(rights, field, FILTERABLE_KINDS) and bool(rights.listed_fields([field.name]))
        ),
    )
    return built_in | {field.name: field for field in custom}


def _export_address(request: PageRequest, state: UserListState, format_: str) -> str:
    parameters = {name: value for name, value in state.export_parameters(format_).items() if value is not None}
    return f"{request.addresses.server}/users?{urlencode(parameters)}"


ROUTES: tuple[Route, ...] = (Route("GET", "/users", list_users),)
