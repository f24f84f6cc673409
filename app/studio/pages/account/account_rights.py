"""What the signed-in user may do."""

from typing import Any

from app.core.errors import Forbidden
from app.http.response import Response
from app.policy.permission_summary import ACTIONS, Summary
from app.query.collection import PREFIX
from app.studio.page_request import PageRequest
from app.studio.routing import Route

SHOWN_ACTIONS = tuple(action for action in ACTIONS if action != "share")
"""Directus' action `share` has no effect here."""


async def show_rights(request: PageRequest) -> Response:
    """Return the table of collections and actions."""
    access = await request.directory.fresh_access()
    return await request.page(
        "account/rights.html",
        is_admin=access.admin,
        requires_tfa=access.enforce_tfa,
        policies=await _read_policies(request, access.granting),
        ends={policy: access.ends[policy] for policy in access.granting if policy in access.ends},
        collections=_rows(await request.directory.permissions()),
        actions=SHOWN_ACTIONS,
    )


def _rows(summary: Summary) -> list[dict[str, Any]]:
    """Return the collections in which anything is permitted, by name, with their actions."""
    return [
        {"name": name.removeprefix(PREFIX), "actions": {action: actions.get(action, {}) for action in SHOWN_ACTIONS}}
        for name, actions in sorted(summary.items())
        if any(actions.get(action, {}).get("access", "none") != "none" for action in SHOWN_ACTIONS)
    ]


async def _read_policies(request: PageRequest, ids: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return those of the user's policies whose names the user may read."""
    rights = await request.rights()
    if not ids or not {"id", "name"} <= set(rights.fields("read", "policies", ("id", "name"))):
        return []
    document = """query MyPolicies($ids: [ID]) {
  policies(filter: {id: {_in: $ids}}, sort: ["name"], limit: -1) { id name }
}"""
    try:
        policies: list[dict[str, Any]] = (await request.execute(document, {"ids": list(ids)}))["policies"]
    except Forbidden:
        return []
    return policies


ROUTES: tuple[Route, ...] = (Route("GET", "/account/rights", show_rights),)
