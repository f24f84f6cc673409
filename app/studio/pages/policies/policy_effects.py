"""What saving the page of a policy, or of one of its permissions, would do to everyone's access."""

from app.core.errors import Forbidden, RollcallError
from app.http.response import Response
from app.studio.form_errors import form_errors
from app.studio.page_request import PageRequest
from app.studio.pages.policies.permission_editor import (
    PATH,
    changed_values,
    checked_form,
    editor_page,
    new_row,
)
from app.studio.pages.policies.permissions import cell_writes, changed_cells, chosen_states
from app.studio.policy_editor.change_effects import change_effects, permission_changes, policy_changes
from app.studio.policy_editor.open_permission import open_permission
from app.studio.policy_editor.permission_grid import ALL_VALUES
from app.studio.policy_editor.policy_form import EDITED, PolicyForm
from app.studio.policy_editor.policy_page import policy_page, read_grid, read_policy
from app.studio.routing import Route


async def preview_policy_effects(request: PageRequest) -> Response:
    """Return the page of a policy with the effects of what is submitted, unsaved.

    Raises:
        Forbidden: The caller is no admin.
    """
    key, submitted = request.parameters["policy"], await request.form()
    await _require_admin(request)
    stored, grid = await read_policy(request, key), await read_grid(request, key)
    form = PolicyForm.of_submitted(submitted, list(EDITED), request.translate)
    cells = changed_cells(grid, submitted) if grid else []
    effects, status = None, 200
    if not form.errors:
        created, widened, removed = cell_writes(key, cells)
        changes = [
            *policy_changes(key, form.changed(stored)),
            *permission_changes(created, widened, ALL_VALUES, removed),
        ]
        try:
            effects = await change_effects(request, changes)
        except RollcallError as error:
            form.errors.update(form_errors(error, request.translate))
    if form.errors:
        status = 422
    chosen = chosen_states(grid, submitted) if grid else None
    values = {**stored, **form.values}
    return await policy_page(
        request, key, errors=form.errors, status=status, values=values, chosen=chosen, effects=effects
    )


async def preview_permission_effects(request: PageRequest) -> Response:
    """Return the form of a permission with the effects of what is submitted, unsaved.

    Raises:
        Forbidden: The caller is no admin.
    """
    permission = await open_permission(request)
    await _require_admin(request)
    form = await checked_form(request, permission)
    effects = None
    if not form.errors:
        changed = changed_values(permission, form)
        created = [] if permission.stored else [new_row(permission, form)]
        updated = [permission.stored["id"]] if permission.stored and changed else []
        try:
            effects = await change_effects(request, list(permission_changes(created, updated, changed, ())))
        except RollcallError as error:
            form.errors.update(form_errors(error, request.translate))
    return await editor_page(request, permission, form, status=422 if form.errors else 200, effects=effects)


async def _require_admin(request: PageRequest) -> None:
    if not (await request.rights()).admin:
        raise Forbidden


ROUTES: tuple[Route, ...] = (
    Route("POST", "/policies/{policy}/effects", preview_policy_effects),
    Route("POST", f"{PATH}/effects", preview_permission_effects),
)
