"""The grid of a policy's permissions."""

from collections.abc import Mapping
from typing import Any

from app.core.errors import Forbidden, RollcallError
from app.http.response import Response
from app.studio.form_errors import form_errors
from app.studio.page_request import Form, PageRequest
from app.studio.policy_editor.permission_grid import ALL_VALUES, Cell, Grid
from app.studio.policy_editor.policy_form import EDITED, PolicyForm
from app.studio.policy_editor.policy_page import policy_page, read_grid
from app.studio.routing import Route

CREATE = """mutation Create($data: [create_directus_permissions_input!]) {
  create_permissions_items(data: $data) { id }
}"""
UPDATE = """mutation Update($ids: [ID]!, $data: update_directus_permissions_input!) {
  update_permissions_items(ids: $ids, data: $data) { id }
}"""
DELETE = """mutation Delete($ids: [ID]!) {
  delete_permissions_items(ids: $ids) { ids }
}"""


async def save_grid(request: PageRequest) -> Response:
    """Save the changed cells of the grid, or fill in a row or a column of it without saving anything."""
    key, form = request.parameters["policy"], await request.form()
    grid = await read_grid(request, key)
    if grid is None:
        raise Forbidden
    chosen = chosen_states(grid, form)
    if "fill" in form:
        filled = _fill(grid, chosen, form["fill"])
        return await policy_page(request, key, chosen=filled, values=await _policy_values(request, form))
    try:
        await save_cells(request, key, changed_cells(grid, form))
    except RollcallError as error:
        errors = form_errors(error, request.translate)
        return await policy_page(request, key, errors=errors, status=error.status, chosen=chosen)
    return request.redirect(f"/policies/{key}", notice="permissions-saved")


def chosen_states(grid: Grid, form: Form) -> dict[str, str]:
    """Return the submitted state of each cell, or the stored one of those that the form does not contain."""
    return {name: form.get(name, cell.state) for name, cell in grid.cells.items()}


async def _policy_values(request: PageRequest, form: Form) -> dict[str, Any] | None:
    """Return the policy's own fields as they were submitted with the grid; None if they were not."""
    if "name" not in form:
        return None
    fields = (await request.rights()).fields("update", "policies", EDITED)
    return PolicyForm.of_submitted(form, fields, request.translate).values


def changed_cells(grid: Grid, form: Form) -> list[tuple[Cell, str]]:
    """Return the cells that the form changes, each with its new state.

    The form contains the states it was rendered with, so it does not undo what another user has saved meanwhile.
    """
    return [
        (cell, state)
        for name, cell in grid.cells.items()
        if (state := form.get(name)) in ("none", "all")
        and state in cell.options
        and state not in (cell.state, form.get(f"was:{name}", cell.state))
    ]


def cell_writes(policy: str, changes: list[tuple[Cell, str]]) -> tuple[list[dict[str, Any]], list[Any], list[Any]]:
    """Return the permissions that changed cells create, and the ids of those that they widen and remove."""
    created = [_new_row(policy, cell) for cell, state in changes if state == "all" and not cell.ids]
    widened = [cell.ids[0] for cell, state in changes if state == "all" and cell.ids]
    removed = [key for cell, state in changes for key in (cell.ids if state == "none" else cell.ids[1:])]
    return created, widened, removed


async def save_cells(request: PageRequest, policy: str, changes: list[tuple[Cell, str]]) -> None:
    """Write the changed cells: removed permissions last, so that an error before leaves no policy with less."""
    created, widened, removed = cell_writes(policy, changes)
    if created:
        await request.execute(CREATE, {"data": created})
    if widened:
        await request.execute(UPDATE, {"ids": widened, "data": dict(ALL_VALUES)})
    if removed:
        await request.execute(DELETE, {"ids": removed})


def _new_row(policy: str, cell: Cell) -> dict[str, Any]:
    target = {"policy": {"id": policy}, "collection": cell.collection, "action": cell.action}
    return {**target, "fields": ALL_VALUES["fields"], "permissions": {}}


def _fill(grid: Grid, chosen: Mapping[str, str], fill: str) -> dict[str, str]:
    """Return the chosen states with those of a row or a column replaced, as `COLLECTION:all` or `ACTION:none` says."""
    target, _, state = fill.partition(":")
    return {
        name: state if target in (cell.collection, cell.action) and state in cell.options else chosen[name]
        for name, cell in grid.cells.items()
    }


ROUTES: tuple[Route, ...] = (Route("POST", "/policies/{policy}/permissions", save_grid),)
