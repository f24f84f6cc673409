"""Creating, editing and deleting roles."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.core.errors import Forbidden, RollcallError
from app.http.response import Response
from app.studio.form_errors import FormErrors, form_errors
from app.studio.page_request import PageRequest
from app.studio.pages.roles.role_hierarchy import read_hierarchy, role_name
from app.studio.pages.roles.role_page import authorized_role, rejected_action
from app.studio.pages.roles.role_rights import ROLE_FIELDS, editable_fields
from app.studio.pages.tools.row_reference import RowNotFound, find_row
from app.studio.pages.users.user_roles import role_text
from app.studio.role_choice import are_too_many, readable_roles
from app.studio.routing import Route

CREATE = "mutation CreateRole($data: create_directus_roles_input!) {\n  create_roles_item(data: $data) { id }\n}"
UPDATE = (
    "mutation UpdateRole($id: ID!, $data: update_directus_roles_input!) {\n"
    "  update_roles_item(id: $id, data: $data) { id }\n}"
)
DELETE = "mutation DeleteRole($id: ID!) {\n  delete_roles_item(id: $id) { id }\n}"


async def show_new_role(request: PageRequest) -> Response:
    """Return the form of a new role, below the parent that the address names."""
    return await _form_page(request, None, {"parent": request.query.get("parent", "")})


async def create_role(request: PageRequest) -> Response:
    """Create a role and lead to its page."""
    fields = await _creatable_fields(request)
    form, errors = await _submitted(request)
    if errors := errors | _missing_name(request, form, fields, ""):
        return await _form_page(request, None, form, errors, 422)
    data = {field: _input_value(field, form.get(field)) for field in fields if form.get(field, "").strip()}
    try:
        created = await request.execute(CREATE, {"data": data})
    except RollcallError as error:
        return await _form_page(request, None, form, form_errors(error, request.translate), error.status)
    return request.redirect(f"/roles/{created['create_roles_item']['id']}", notice="role-created")


async def show_edit_role(request: PageRequest) -> Response:
    """Return the form of a role."""
    role = await authorized_role(request, lambda may: may.edit)
    return await _form_page(request, role, _form_values(role))


async def update_role(request: PageRequest) -> Response:
    """Save the changed fields of a role."""
    role = await authorized_role(request, lambda may: may.edit)
    form, errors = await _submitted(request)
    stored = _form_values(role)
    fields = editable_fields(await request.rights())
    if errors := errors | _missing_name(request, form, fields, stored["name"]):
        return await _form_page(request, role, form, errors, 422)
    changed = [field for field in fields if field in form and _normalized(form[field]) != stored[field]]
    data = {field: _input_value(field, form[field]) for field in changed}
    try:
        if data:
            await request.execute(UPDATE, {"id": role["id"], "data": data})
    except RollcallError as error:
        return await _form_page(request, role, form, form_errors(error, request.translate), error.status)
    return request.redirect(f"/roles/{role['id']}", notice="role-saved")


async def delete_role(request: PageRequest) -> Response:
    """Delete a role; its users are suspended, and the roles below it have no parent afterwards."""
    await request.form()
    role = await authorized_role(request, lambda may: may.delete)
    try:
        await request.execute(DELETE, {"id": role["id"]})
    except RollcallError as error:
        return await rejected_action(request, error)
    return request.redirect("/roles", notice="role-deleted")


async def _form_page(
    request: PageRequest,
    role: Mapping[str, Any] | None,
    values: Mapping[str, str],
    errors: FormErrors | None = None,
    status: int = 200,
) -> Response:
    fields = await _creatable_fields(request) if role is None else editable_fields(await request.rights())
    if not fields:
        raise Forbidden
    return await request.page(
        "roles/form.html",
        status=status,
        errors=errors,
        role=role,
        name=role_name(role),
        fields=fields,
        values=values,
        **await _parents(request, role, values.get("parent", "")),
    )


async def _parents(request: PageRequest, role: Mapping[str, Any] | None, chosen: str) -> dict[str, Any]:
    """Return the parents to choose from, or the `suggestions` for a text field and its text if there are very many."""
    if are_too_many(roles := await readable_roles(request, await request.rights())):
        return {"parents": (), "suggestions": roles, "parent": await role_text(request, roles, chosen)}
    options = (await read_hierarchy(request)).parent_options(role["id"] if role else None, request.translate("None"))
    return {"parents": options, "suggestions": (), "parent": chosen}


async def _submitted(request: PageRequest) -> tuple[Mapping[str, str], FormErrors]:
    """Return the submitted form with the id of the parent that it names, and the message if it names none."""
    form = dict(await request.form())
    parent = form.get("parent", "").strip()
    try:
        return (form | {"parent": await find_row(request, "roles", parent)} if parent else form), {}
    except RowNotFound as error:
        return form, {"parent": str(error)}


async def _creatable_fields(request: PageRequest) -> list[str]:
    """Return the fields with which the caller may create a role; none if the caller cannot name it.

    Raises:
        Forbidden: The caller may not create roles.
    """
    rights = await request.rights()
    if not rights.may("create", "roles"):
        raise Forbidden
    fields = rights.fields("create", "roles", ROLE_FIELDS)
    return fields if rights.may_field("read", "roles", "id") else []


def _missing_name(request: PageRequest, form: Mapping[str, str], fields: Sequence[str], stored: str) -> FormErrors:
    is_missing = "name" in fields and not form.get("name", stored).strip()
    return {"name": request.translate("Enter a value.")} if is_missing else {}


def _form_values(role: Mapping[str, Any]) -> dict[str, str]:
    """Return the stored values of a role as its form has them."""
    parent = (role.get("parent") or {}).get("id") or ""
    return {field: parent if field == "parent" else _normalized(role.get(field)) for field in ROLE_FIELDS}


def _normalized(text: str | None) -> str:
    """Return a text as a form field keeps it: browsers send line breaks as CR and LF."""
    return (text or "").replace("\r\n", "\n").strip()


def _input_value(field: str, text: str | None) -> Any:
    value = _normalized(text)
    if field == "parent":
        return {"id": value} if value else None
    return value or (None if field == "description" else value)


ROUTES: tuple[Route, ...] = (
    Route("GET", "/roles/new", show_new_role),
    Route("POST", "/roles/new", create_role),
    Route("GET", "/roles/{role}/edit", show_edit_role),
    Route("POST", "/roles/{role}/edit", update_role),
    Route("POST", "/roles/{role}/delete", delete_role),
)
