"""The audit log: a list with filters, and each entry with what it changed."""

from typing import Any

from app.core.errors import Forbidden
from app.http.response import Response
from app.studio.page_request import PageRequest
from app.studio.pages.activity.activity_filter import ACTIONS, NAMES, Condition, read_filter
from app.studio.pages.activity.activity_items import read_items
from app.studio.pages.activity.revision_changes import read_changes, references
from app.studio.rights import Rights
from app.studio.routing import Route

PAGE_SIZE = 50
LIST_FIELDS = ("id", "action", "timestamp", "collection", "item", "ip")
ENTRY_FIELDS = (*LIST_FIELDS, "user_agent", "origin")
USER_FIELDS = ("id", "first_name", "last_name", "email")
BEFORE, AFTER = "before", "after"
"""Parameters of the address: a page contains the entries older, or newer, than the one with this id."""


async def list_activity(request: PageRequest) -> Response:
    """Return a page of the audit log.

    Pages begin at an id instead of an offset, and nothing is counted, so that they are as fast in a large table.
    """
    rights = await request.rights()
    _require_key(rights)
    chosen = await read_filter(request, rights)
    cursor = {name: request.query[name] for name in (BEFORE, AFTER) if request.query.get(name, "").isdecimal()}
    rows: list[dict[str, Any]] = []
    has_more = False
    if not chosen.errors:
        rows, has_more = await _read_page(request, rights, chosen.conditions, cursor)
    is_forward = AFTER in cursor
    return await request.page(
        "activity/list.html",
        status=400 if chosen.errors else 200,
        errors=chosen.errors,
        entries=rows,
        items=await read_items(request, rights, rows),
        filters={name: chosen.values.get(name, "") for name in NAMES},
        offered=chosen.offered,
        actions=ACTIONS,
        collections=list(request.services.registry),
        older=rows[-1]["id"] if rows and (has_more or is_forward) else None,
        newer=rows[0]["id"] if rows and (has_more if is_forward else BEFORE in cursor) else None,
        is_first=not cursor,
    )


async def show_entry(request: PageRequest) -> Response:
    """Return an entry of the audit log and what it changed."""
    rights = await request.rights()
    _require_key(rights)
    fields = _selection(rights, ENTRY_FIELDS)
    document = f"query Entry($id: ID!) {{\n  activity_by_id(id: $id) {{ {fields} }}\n}}"
    entry = (await request.execute(document, {"id": request.parameters["entry"]}))["activity_by_id"]
    if entry is None:
        raise Forbidden
    changes = await read_changes(request, rights, entry)
    return await request.page(
        "activity/entry.html",
        entry=entry,
        items=await read_items(request, rights, [entry, *references(changes or ())]),
        changes=changes,
    )


async def _read_page(
    request: PageRequest, rights: Rights, conditions: list[Condition], cursor: dict[str, str]
) -> tuple[list[dict[str, Any]], bool]:
    """Return the entries of a page, the newest first, and whether there are more in its direction."""
    is_forward = AFTER in cursor
    bounds: list[Condition] = [{"id": {"_gt" if name == AFTER else "_lt": key}} for name, key in cursor.items()]
    document = f"""query Activity($filter: directus_activity_filter) {{
  activity(filter: $filter, sort: ["{"id" if is_forward else "-id"}"], limit: {PAGE_SIZE + 1}) {{
    {_selection(rights, LIST_FIELDS)}
  }}
}}"""
    data = await request.execute(document, {"filter": {"_and": [*conditions, *bounds]}})
    rows: list[dict[str, Any]] = data["activity"]
    page = rows[:PAGE_SIZE]
    return page[::-1] if is_forward else page, len(rows) > PAGE_SIZE


def _selection(rights: Rights, fields: tuple[str, ...]) -> str:
    names = rights.fields("read", "activity", fields)
    user = rights.fields("read", "users", USER_FIELDS)
    if "id" in user and rights.may_field("read", "activity", "user"):
        names.append(f"user {{ {' '.join(user)} }}")
    return " ".join(names)


def _require_key(rights: Rights) -> None:
    """Raise Forbidden unless the caller may read the keys of entries, which pages need to refer to them."""
    if not rights.may_field("read", "activity", "id"):
        raise Forbidden


ROUTES: tuple[Route, ...] = (
    Route("GET", "/activity", list_activity),
    Route("GET", "/activity/{entry}", show_entry),
)
