"""What the page of a user does: sessions, two-factor authentication, static token, policies."""

from collections.abc import Awaitable, Callable

from app.core.errors import InvalidPayload, RollcallError
from app.flows.tools import random_string
from app.flows.two_factor import TwoFactorService
from app.http.response import Response
from app.studio.access_end import access_end, change_access_end
from app.studio.form_errors import form_errors
from app.studio.page_request import Form, PageRequest
from app.studio.pages.users.user_detail import user_page
from app.studio.pages.users.user_writes import update_user
from app.studio.routing import Route

TOKEN_LENGTH = 32
STATUS_NOTICES = {"active": "user-activated", "suspended": "user-suspended"}
"""The statuses that the page sets, and the names of their notices."""

Action = Callable[[PageRequest, str, Form], Awaitable[str]]
"""Does something with the user that has this id; returns the name of the notice."""


def action(run: Action) -> Callable[[PageRequest], Awaitable[Response]]:
    """Return a handler that runs an action and leads back to the page, which shows the error of a rejected one."""

    async def handle(request: PageRequest) -> Response:
        form, user = await request.form(), request.parameters["user"]
        try:
            notice = await run(request, user, form)
        except RollcallError as error:
            message = "; ".join(form_errors(error, request.translate).values())
            return await user_page(request, {"": message}, error.status)
        return request.redirect(f"/users/{user}", notice=notice)

    return handle


async def end_sessions(request: PageRequest, user: str, form: Form) -> str:
    """End one session, or all except the caller's own."""
    session = form.get("session")
    document = "mutation EndSessions($user: ID!, $id: ID) { users_sessions_revoke(user: $user, id: $id) }"
    await request.execute(document, {"user": user, "id": session or None})
    return "session-ended-by-admin" if session else "sessions-ended"


async def set_status(request: PageRequest, user: str, form: Form) -> str:
    """Suspend or activate the user; the sessions of a suspended user end."""
    status = form.get("status", "")
    if status not in STATUS_NOTICES:
        raise InvalidPayload(request.translate("Choose a status."))
    await update_user(request, user, {"status": status})
    return STATUS_NOTICES[status]


async def remove_tfa(request: PageRequest, user: str, _: Form) -> str:
    """Remove the two-factor authentication of a user who lost the device and the recovery codes."""
    await TwoFactorService(request.directory).disable_for(user)
    return "tfa-removed"


async def remove_passkey(request: PageRequest, user: str, form: Form) -> str:
    """Remove a passkey of a user who lost the device."""
    document = "mutation RemovePasskey($user: ID!, $id: ID!) { users_passkeys_revoke(user: $user, id: $id) }"
    await request.execute(document, {"user": user, "id": form.get("passkey", "")})
    return "passkey-removed"


async def remove_token(request: PageRequest, user: str, _: Form) -> str:
    """Remove the static token."""
    await update_user(request, user, {"token": None})
    return "token-removed"


async def remove_avatar(request: PageRequest, user: str, _: Form) -> str:
    """Show no picture of the user; the file remains."""
    await update_user(request, user, {"avatar": None})
    return "picture-removed"


async def assign_policy(request: PageRequest, user: str, form: Form) -> str:
    """Attach a policy to the user itself."""
    if not form.get("policy"):
        raise InvalidPayload(request.translate("Choose a policy."))
    document = "mutation AssignPolicy($data: create_directus_access_input!) { create_access_item(data: $data) { id } }"
    data = {"user": {"id": user}, "policy": {"id": form.get("policy")}, **access_end(form)}
    await request.execute(document, {"data": data})
    return "policy-assigned"


async def remove_policy(request: PageRequest, _: str, form: Form) -> str:
    """Detach a policy that is attached to the user itself."""
    document = "mutation RemovePolicy($id: ID!) { delete_access_item(id: $id) { id } }"
    await request.execute(document, {"id": form.get("access")})
    return "policy-removed"


async def change_end(request: PageRequest, _: str, form: Form) -> str:
    """Change until when a policy is attached to the user itself."""
    await change_access_end(request, form)
    return "policy-end-changed"


async def create_token(request: PageRequest) -> Response:
    """Replace the static token by a new one and show it, this once."""
    await request.form()
    user, token = request.parameters["user"], random_string(TOKEN_LENGTH)
    try:
        await update_user(request, user, {"token": token})
    except RollcallError as error:
        message = "; ".join(form_errors(error, request.translate).values())
        return await user_page(request, {"": message}, error.status)
    return await user_page(request, new_token=token)


ROUTES: tuple[Route, ...] = (
    Route("POST", "/users/{user}/sessions", action(end_sessions)),
    Route("POST", "/users/{user}/status", action(set_status)),
    Route("POST", "/users/{user}/tfa/remove", action(remove_tfa)),
    Route("POST", "/users/{user}/passkeys/remove", action(remove_passkey)),
    Route("POST", "/users/{user}/token", create_token),
    Route("POST", "/users/{user}/token/remove", action(remove_token)),
    Route("POST", "/users/{user}/avatar/remove", action(remove_avatar)),
    Route("POST", "/users/{user}/policies", action(assign_policy)),
    Route("POST", "/users/{user}/policies/remove", action(remove_policy)),
    Route("POST", "/users/{user}/policies/end", action(change_end)),
)
