"""The API tokens of the signed-in user and, for admins, those of another user."""

from datetime import UTC, date, datetime
from typing import Any

from app.core.errors import Forbidden, RollcallError
from app.http.response import Response
from app.studio.form_errors import form_errors
from app.studio.page_request import PageRequest
from app.studio.pages.account.api_token_form import APITokenForm
from app.studio.pages.users.user_detail import read_user
from app.studio.routing import Route

FIELDS = "id name created expires read_only policies ip_access last_used last_used_ip"
LIST_OWN = f"query Tokens {{ users_me_tokens {{ {FIELDS} }} }}"
LIST = f"query Tokens($user: ID!) {{ users_tokens(user: $user) {{ {FIELDS} }} }}"
POLICIES = """query Policies($user: ID!) {
  access_explain(user: $user, collection: "users", action: "read") { policies { id name admin_access } }
}"""
CREATE = """mutation CreateToken($data: create_tokens_input!, $user: ID) {
  create_tokens_item(data: $data, user: $user) { name token }
}"""
REVOKE = "mutation RevokeToken($id: ID!, $user: ID) { delete_tokens_item(id: $id, user: $user) { id } }"


async def list_tokens(request: PageRequest) -> Response:
    """Return the list of the tokens."""
    user = await _other_user(request)
    data = await request.execute(LIST, {"user": user["key"]}) if user else await request.execute(LIST_OWN)
    tokens = data["users_tokens" if user else "users_me_tokens"]
    now = datetime.now(UTC)
    for token in tokens:
        token["is_expired"] = bool(token["expires"]) and datetime.fromisoformat(token["expires"]) <= now
    names = {policy["id"]: policy["name"] for policy in await _policies(request)}
    return await request.page("tokens/list.html", tokens=tokens, policy_names=names, **_place(request, user))


async def show_form(request: PageRequest) -> Response:
    """Return the form that creates a token."""
    return await _form_page(request, APITokenForm())


async def create_token(request: PageRequest) -> Response:
    """Create a token and show it, this once."""
    form, user = APITokenForm.read(await request.form(), request.translate), await _other_user(request)
    if form.expires and not _is_future(form.expires):
        form.errors["expires"] = request.translate("Enter a day in the future.")
    if form.errors:
        return await _form_page(request, form, 422)
    try:
        data = await request.execute(CREATE, {"data": form.data, "user": user["key"] if user else None})
    except RollcallError as error:
        form.errors = form_errors(error, request.translate)
        return await _form_page(request, form, error.status)
    return await request.page("tokens/created.html", created=data["create_tokens_item"], **_place(request, user))


async def revoke_token(request: PageRequest) -> Response:
    """Revoke a token."""
    await request.form()
    user = await _other_user(request)
    await request.execute(REVOKE, {"id": request.parameters["token"], "user": user["key"] if user else None})
    return request.redirect(_place(request, user)["path"], notice="token-revoked")


def _is_future(text: str) -> bool:
    try:
        return date.fromisoformat(text) > datetime.now(UTC).date()
    except ValueError:
        return False


async def _other_user(request: PageRequest) -> dict[str, Any] | None:
    """Return the user in the path, as far as an admin may read it; None on the pages of the own account.

    Raises:
        Forbidden: The caller is no admin, or there is no such user.
    """
    if "user" not in request.parameters:
        return None
    rights = await request.rights()
    if not rights.admin:
        raise Forbidden
    return await read_user(request, rights, request.parameters["user"])


def _place(request: PageRequest, user: dict[str, Any] | None) -> dict[str, Any]:
    """Return what the templates need to know of whose tokens these are."""
    return {"owner": user, "path": f"/users/{user['key']}/tokens" if user else "/account/tokens"}


async def _policies(request: PageRequest) -> list[dict[str, Any]]:
    """Return the policies that the owner of the tokens holds."""
    data = await request.execute(POLICIES, {"user": request.parameters.get("user", request.user)})
    policies: list[dict[str, Any]] = data["access_explain"]["policies"]
    return policies


async def _form_page(request: PageRequest, form: APITokenForm, status: int = 200) -> Response:
    user = await _other_user(request)
    context = {"form": form, "policies": await _policies(request), **_place(request, user)}
    return await request.page("tokens/form.html", status=status, errors=form.errors, **context)


ROUTES: tuple[Route, ...] = tuple(
    Route(method, f"{root}/tokens{path}", handler)
    for root in ("/account", "/users/{user}")
    for method, path, handler in (
        ("GET", "", list_tokens),
        ("POST", "", create_token),
        ("GET", "/new", show_form),
        ("POST", "/{token}/revoke", revoke_token),
    )
)
