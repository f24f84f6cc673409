"""The page of a user: facts, policies, sessions, activity, and what an administrator can do with the account."""

from typing import Any

from app.core.errors import Forbidden
from app.http.response import Response
from app.studio.devices import describe_device
from app.studio.form_errors import FormErrors
from app.studio.image_upload import PHOTO_TYPES
from app.studio.page_request import PageRequest
from app.studio.pages.activity.activity_items import read_items
from app.studio.pages.tools.row_reference import reference_selection, reference_text
from app.studio.pages.users.user_activity import read_activity, read_changes_of_user
from app.studio.pages.users.user_columns import NAMES, may_see_avatars, may_see_roles, shows_field
from app.studio.pages.users.user_fields import RELATION, UserField, described_custom_fields, field_labels, status_labels
from app.studio.pages.users.user_policies import read_policies
from app.studio.pages.users.user_relations import field_selection
from app.studio.rights import Rights
from app.studio.routing import Route

FACTS = ("email", "title", "location", "description", "tags", "language", "last_access", "last_page", "provider")
MORE_FACTS = ("external_identifier", "email_notifications", "id")
KINDS = {"last_access": "timestamp", "email_notifications": "boolean", "tags": "json"}
SECRETS = ("tfa_secret", "token")


async def show_user(request: PageRequest) -> Response:
    """Return the page of a user."""
    return await user_page(request)


async def user_page(
    request: PageRequest, errors: FormErrors | None = None, status: int = 200, **context: Any
) -> Response:
    """Return the page of the user in the path; with `errors` after an action that was rejected.

    Raises:
        Forbidden: The user does not exist, or the caller may not see it.
    """
    rights, key = await request.rights(), request.parameters["user"]
    user = await read_user(request, rights, key)
    users = request.directory["users"]
    may = {action: await users.may(action, key) for action in ("update", "delete")}
    own = key.lower() == request.user
    activity = await read_activity(request, rights, key)
    sections = {
        "facts": await _facts(request, rights, user),
        "policies": await read_policies(request, rights, user),
        "sessions": await _sessions(request, rights, key),
        "passkeys": await _passkeys(request, rights, key),
        "activity": activity,
        "items": await read_items(request, rights, activity or []),
        "changes": await read_changes_of_user(request, rights, key),
        "may": may,
        "may_set": {
            name: may["update"] and rights.may_field("update", "users", name) for name in ("token", "avatar", "status")
        },
        "may_upload": rights.may("create", "files") and may_see_avatars(rights),
        "picture_types": ",".join(PHOTO_TYPES),
        "own": own,
        "shown": {name: shows_field(rights, name, key) for name in ("role", *SECRETS)},
        "shows_all_activity": rights.shows_all_rows("activity", ["user"]),
        "labels": field_labels(request.translate),
        "status_labels": status_labels(request.translate),
    }
    return await request.page("users/detail.html", status=status, errors=errors, user=user, **sections, **context)


async def read_user(request: PageRequest, rights: Rights, key: str, *more: str) -> dict[str, Any]:
    """Return what the caller may read of a user: the fields of the page, and `more` of them.

    Raises:
        Forbidden: The user does not exist, or the caller may not see it.
    """
    facts = await custom_facts(request, rights)
    custom = [field.name for field in facts if field.kind != RELATION]
    wanted = dict.fromkeys(("id", *NAMES, "status", *FACTS, *MORE_FACTS, *SECRETS, *custom, *more))
    selection = rights.fields("read", "users", wanted)
    selection += ["role { id name }"] if may_see_roles(rights) else []
    selection += ["avatar { id }"] if may_see_avatars(rights) else []
    selection += [field_selection(rights, field) for field in facts if field.kind == RELATION]
    if not selection:
        raise Forbidden
    document = f"query User($id: ID!) {{ users_by_id(id: $id) {{ {' '.join(selection)} }} }}"
    user: dict[str, Any] | None = (await request.execute(document, {"id": key}))["users_by_id"]
    if user is None:
        raise Forbidden
    return {"key": key, **user}


async def custom_facts(request: PageRequest, rights: Rights) -> list[UserField]:
    """Return the custom fields of users that the caller may read."""
    fields = await described_custom_fields(request, lambda field: rights.may_field("read", "users", field.name))
    return [field for field in fields if field.kind != RELATION or reference_selection(rights, "users", field.name)]


async def _facts(request: PageRequest, rights: Rights, user: dict[str, Any]) -> list[tuple[str, str, Any]]:
    """Return label, kind and value of each fact; facts without a value are left out."""
    labels = field_labels(request.translate)
    facts = [(labels[name], KINDS.get(name, "string"), user.get(name)) for name in (*FACTS, *MORE_FACTS)]
    for field in await custom_facts(request, rights):
        value = user.get(field.name)
        value = reference_text(field.target, value) if field.kind == RELATION else value
        facts.append((field.label, field.kind, dict(field.choices).get(str(value), value)))
    return [fact for fact in facts if fact[2] not in (None, "", [])]


async def _sessions(request: PageRequest, rights: Rights, key: str) -> list[dict[str, Any]] | None:
    """Return the active sessions; None if the caller may not know them."""
    if not rights.admin:
        return None
    document = """query Sessions($user: ID!) {
  users_sessions(user: $user) { id ip user_agent expires current }
}"""
    sessions = (await request.execute(document, {"user": key}))["users_sessions"]
    return [{**session, "device": describe_device(session["user_agent"])} for session in sessions]


async def _passkeys(request: PageRequest, rights: Rights, key: str) -> list[dict[str, Any]]:
    """Return the passkeys; none if the caller may not know them."""
    if not rights.admin:
        return []
    document = "query Passkeys($user: ID!) { users_passkeys(user: $user) { id name } }"
    passkeys: list[dict[str, Any]] = (await request.execute(document, {"user": key}))["users_passkeys"]
    return passkeys


ROUTES: tuple[Route, ...] = (Route("GET", "/users/{user}", show_user),)
