"""The holders of a policy: roles, users and everyone."""

from typing import Any

from app.core.errors import RollcallError
from app.http.response import Response
from app.studio.form_errors import FormErrors, form_errors
from app.studio.page_request import Form, PageRequest
from app.studio.policy_editor.policy_page import policy_page
from app.studio.routing import Route


async def attach_policy(request: PageRequest) -> Response:
    """Attach a policy to a role, to the user with an email address, or to everyone."""
    key, form = request.parameters["policy"], await request.form()
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
        return await policy_page(request, key, errors=errors, status=422, email=form.get("email", ""))
    return request.redirect(f"/policies/{key}", notice="saved")


async def detach_policy(request: PageRequest) -> Response:
    """Take a policy from one of its holders."""
    key, form = request.parameters["policy"], await request.form()
    document = "mutation Detach($id: ID!) {\n  delete_access_item(id: $id) { id }\n}"
    try:
        await request.execute(document, {"id": form.get("access", "")})
    except RollcallError as error:
        return await policy_page(request, key, errors=form_errors(error, request.translate), status=error.status)
    return request.redirect(f"/policies/{key}", notice="saved")


async def _find_holder(request: PageRequest, form: Form) -> tuple[dict[str, Any], FormErrors]:
    """Return the values of the access row for the submitted holder, or the errors of the form."""
    match form.get("holder"):
        case "everyone":
            return {}, {}
        case "role":
            role = form.get("role", "")
            return {"role": {"id": role}}, {} if role else {"role": request.translate("Choose a role.")}
        case _:
            email = form.get("email", "").strip()
            if not email:
                return {}, {"email": request.translate("Enter the email address of a user.")}
            document = "query User($email: String!) {\n  users(filter: { email: { _eq: $email } }, limit: 1) { id }\n}"
            users = (await request.execute(document, {"email": email}))["users"]
            if users:
                return {"user": {"id": users[0]["id"]}}, {}
            return {}, {"email": request.translate("No user has this email address. Check it for typing errors.")}


ROUTES: tuple[Route, ...] = (
    Route("POST", "/policies/{policy}/attach", attach_policy),
    Route("POST", "/policies/{policy}/detach", detach_policy),
)
