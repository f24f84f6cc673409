"""The page of one permission: its fields, its rule, and the checks and the values of written rows."""

from typing import Any

import orjson

from app.core.errors import Forbidden, RollcallError
from app.http.response import Response
from app.policy.rules import EVERY_FIELD
from app.studio.form_errors import form_errors
from app.studio.page_request import PageRequest
from app.studio.pages.policies.permissions import CREATE, DELETE, UPDATE
from app.studio.pages.users.user_fields import field_labels
from app.studio.policy_editor.change_effects import ChangeEffects
from app.studio.policy_editor.open_permission import OpenPermission, open_permission
from app.studio.policy_editor.permission_form import PermissionForm, PermissionParser
from app.studio.policy_editor.permission_grid import state_of
from app.studio.policy_editor.rule_preview import Preview, preview_rows
from app.studio.policy_editor.visible_registry import visible_registry
from app.studio.policy_editor.vocabulary import vocabulary
from app.studio.routing import Route

PATH = "/policies/{policy}/{collection}/{action}"
VOCABULARY = "/policies/vocabulary"


async def show_permission(request: PageRequest) -> Response:
    """Return the form of a permission; errors of a stored one say why it grants nothing."""
    permission = await open_permission(request)
    form = PermissionForm.of_stored(permission.stored, permission.parts)
    _parser(request, permission).parse(form)
    return await editor_page(request, permission, form)


async def save_permission(request: PageRequest) -> Response:
    """Create a permission, or save its changed parts."""
    permission = await open_permission(request)
    form = await checked_form(request, permission)
    (await request.rights()).require("update" if permission.stored else "create", "permissions")
    if not form.errors:
        try:
            await _save(request, permission, form)
        except RollcallError as error:
            form.errors.update(form_errors(error, request.translate))
    if form.errors:
        return await editor_page(request, permission, form, status=422)
    return request.redirect(f"/policies/{permission.policy['id']}", notice="permission-saved")


async def preview_permission(request: PageRequest) -> Response:
    """Return the rows that the submitted rule matches: the part of the page for a script, or the whole page."""
    permission = await open_permission(request)
    form = await _submitted(request, permission)
    preview = None
    if "permissions" in form.values:
        preview = await preview_rows(request, permission.collection, form.values["permissions"])
    if request.fragment:
        preview = preview or _unreadable(form)
        return await request.page("policies/preview.html", preview=preview, collection=permission.collection)
    return await editor_page(request, permission, form, status=422 if form.errors else 200, preview=preview)


def _unreadable(form: PermissionForm) -> Preview:
    """Return the preview of a rule that has none; one whose values are still missing is not wrong."""
    if "permissions" in form.incomplete:
        return Preview(is_incomplete=True)
    return Preview(error=form.errors.get("permissions", ""))


async def delete_permission(request: PageRequest) -> Response:
    """Delete a permission."""
    permission = await open_permission(request)
    await request.form()
    (await request.rights()).require("delete", "permissions")
    try:
        await request.execute(DELETE, {"ids": [permission.stored.get("id", "")]})
    except RollcallError as error:
        form = PermissionForm.of_stored(permission.stored, permission.parts)
        form.errors = form_errors(error, request.translate)
        return await editor_page(request, permission, form, status=error.status)
    return request.redirect(f"/policies/{permission.policy['id']}", notice="permission-deleted")


def _parser(request: PageRequest, permission: OpenPermission) -> PermissionParser:
    return PermissionParser(permission.collection, request.services.limits, request.translate)


async def _submitted(request: PageRequest, permission: OpenPermission) -> PermissionForm:
    form = PermissionForm.of_submitted(await request.form(), permission.stored, permission.parts)
    _parser(request, permission).parse(form)
    return form


async def checked_form(request: PageRequest, permission: OpenPermission) -> PermissionForm:
    """Return the submitted form, with errors if it cannot be saved."""
    form = await _submitted(request, permission)
    _parser(request, permission).check_choices(form, permission.stored, permission.parts)
    return form


async def _save(request: PageRequest, permission: OpenPermission, form: PermissionForm) -> None:
    if not permission.stored:
        await request.execute(CREATE, {"data": [new_row(permission, form)]})
    elif changed := changed_values(permission, form):
        await request.execute(UPDATE, {"ids": [permission.stored["id"]], "data": changed})


def new_row(permission: OpenPermission, form: PermissionForm) -> dict[str, Any]:
    """Return the row of a permission that does not exist yet."""
    target = {"policy": {"id": permission.policy["id"]}, "collection": permission.collection.name}
    return {"permissions": {}, **_values(permission, form), **target, "action": permission.action}


def changed_values(permission: OpenPermission, form: PermissionForm) -> dict[str, Any]:
    """Return the values of a stored permission that the form changes."""
    values, stored = _values(permission, form), permission.stored
    return {name: value for name, value in values.items() if (value or None) != (stored.get(name) or None)}


def _values(permission: OpenPermission, form: PermissionForm) -> dict[str, Any]:
    return {**form.values, **({"fields": form.fields} if "fields" in permission.parts else {})}


async def editor_page(
    request: PageRequest,
    permission: OpenPermission,
    form: PermissionForm,
    status: int = 200,
    preview: Preview | None = None,
    effects: ChangeEffects | None = None,
) -> Response:
    """Return the page of a permission with its form, and what was previewed of it."""
    rights, collection = await request.rights(), permission.collection
    action = permission.action
    names = (
        rights.fields(action, collection.short_name, collection.fields) if not rights.admin else [*collection.fields]
    )
    known = [name for name in names if action == "read" or collection.fields[name] is not collection.key]
    parser = _parser(request, permission)
    field_names = [*known, *(name for name in collection.fields if name in form.fields and name not in known)]
    return await request.page(
        "policies/permission.html",
        status=status,
        errors=form.errors,
        permission=permission,
        form=form,
        every_field=EVERY_FIELD,
        fields=field_names,
        unknown_fields=[name for name in form.fields if name not in collection.fields and name != EVERY_FIELD],
        named_fields=parser.named_fields,
        secret_fields=[field.name for field in collection.fields.values() if field.concealed],
        state=state_of(permission.stored) if permission.stored else "none",
        preview=preview,
        effects=effects,
        collection=collection,
    )


async def read_vocabulary(request: PageRequest) -> Response:
    """Return what the builder for rules offers, as JSON."""
    rights = await request.rights()
    if not rights.may("read", "permissions"):
        raise Forbidden
    registry = visible_registry(request.services.registry, rights)
    return Response(
        orjson.dumps(vocabulary(registry, request.translate, field_labels(request.translate))), no_store=True
    )


ROUTES: tuple[Route, ...] = (
    Route("GET", VOCABULARY, read_vocabulary),
    Route("GET", PATH, show_permission),
    Route("POST", PATH, save_permission),
    Route("POST", f"{PATH}/preview", preview_permission),
    Route("POST", f"{PATH}/delete", delete_permission),
)
