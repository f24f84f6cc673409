"""The holders of a policy: roles, users and everyone."""

from typing import Any

from app.core.errors import RollcallError
from app.http.response import Response
from app.studio.form_errors import FormErrors, form_errors
from app.studio.page_request import Form, PageRequest
from app.studio.pages.tools.row_reference import RowNotFound, find_row
from app.studio.policy_editor.policy_page import policy_page
from app.studio.routing import Route


async def attach_policy(request: PageRequest) -> Response:
    """Attach a policy to a role, to the user with an email address, or to everyone."""
    key, form = request.parameters["policy"], await request.form()
    (await request.rights()).require("create", "access")
    holder, errors = await _find_holder(request, form)
    if not errors:
        document = """mutation Attach($data: create_directus_access_input!) {
  create_access_item(data: $data) { id }
}"""
        try:
            await request.execute(document, {"data": {"policy": {"id": key}, **holder}})
        except RollcallError as error:
            errors = form_errors(error, request.translate)
    if errors:
        email, role = form.get("email", ""), form.get("role", "")
        return await policy_page(request, key, errors=errors, status=422, email=email, role=role)
    return request.redirect(f"/policies/{key}", notice="policy-attached")


async def detach_policy(request: PageRequest) -> Response:
    """Take a policy from one of its holders."""
    key, form = request.parameters["policy"], await request.form()
    (await request.rights()).require("delete", "access")
    document = "mutation Detach($id: ID!) {\n  delete_access_item(id: $id) { id }\n}"
    try:
        await request.execute(document, {"id": form.get("access", "")})
    except RollcallError as error:
        return await policy_page(request, key, errors=form_errors(error, request.translate), status=error.status)
    return request.redirect(f"/policies/{key}", notice="policy-detached")


async def _find_holder(request: PageRequest, form: Form) -> tuple[dict[str, Any], FormErrors]:
    """Return the values of the access row for the submitted holder, or the errors of the form."""
    match form.get("holder"):
        case "everyone":
            return {}, {}
        case "role":
            return await _find_role(request, form.get("role", "").strip())
        case _:
            user, error = await _find_user(request, form.get("email", "").strip())
            return {"user": {"id": user}}, {"email": error} if error else {}


async def _find_role(request: PageRequest, text: str) -> tuple[dict[str, Any], FormErrors]:
    if not text:
        return {}, {"role": request.translate("Choose a role.")}
    try:
        return {"role": {"id": await find_row(request, "roles", text)}}, {}
    except RowNotFound as error:
        return {}, {"role": str(error)}


async def _find_user(request: PageRequest, email: str) -> tuple[str, str]:
    """Return the id of the user with an address, or why the policy cannot be attached to it."""
    _ = request.translate
    if not email:
        return "", _("Enter the email address of a user.")
    document = """query User($emails: [String], $policy: ID!) {
  users(filter: { email: { _in: $emails } }, limit: 1) { id }
  access(filter: { policy: { id: { _eq: $policy } }, user: { email: { _in: $emails } } }, limit: 1) { id }
}"""
    variables = {"emails": [email, email.lower()], "policy": request.parameters["policy"]}
    data = await request.execute(document, variables)
    if not data["users"]:
        return "", _("No user has this email address. Check it for typing errors.")
    return data["users"][0]["id"], _("This user holds the policy already.") if data["access"] else ""


ROUTES: tuple[Route, ...] = (
    Route("POST", "/policies/{policy}/attach", attach_policy),
    Route("POST", "/policies/{policy}/detach", detach_policy),
)
