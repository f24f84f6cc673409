"""Creating a user, and editing one: the fields that the caller may write, and only changed ones are sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from app.core.errors import Forbidden, RollcallError
from app.http.response import Response
from app.query.collection import USERS
from app.studio.form_errors import FormErrors, form_errors
from app.studio.page_request import Form, PageRequest, redirect_to
from app.studio.pages.tools.row_reference import RowNotFound, find_row
from app.studio.pages.users.user_columns import shows_field
from app.studio.pages.users.user_detail import read_user
from app.studio.pages.users.user_fields import RELATION, UserField
from app.studio.pages.users.user_form_fields import FieldGroup, form_groups
from app.studio.pages.users.user_values import ValueRejected, control_text, control_value
from app.studio.pages.users.user_writes import create_user, update_user
from app.studio.rights import Rights
from app.studio.routing import Route

ORIGINAL = "original"
"""The control with the texts that the form had at first: what differs from them was changed by the user."""
DEFAULTS = {"status": "active", "provider": "default", "email_notifications": True}
"""What the database stores in a new row unless the form says otherwise."""
SECRET_KINDS = ("password",)

Texts = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class UserForm:
    """A form. `original` are the texts of the stored values, `entered` those in its controls."""

    groups: list[FieldGroup]
    original: Texts
    entered: Texts
    errors: FormErrors
    status: int = 200

    @property
    def fields(self) -> list[UserField]:
        """All fields."""
        return [field for group in self.groups for field in group.fields]

    @property
    def original_json(self) -> str:
        """The original texts for the form itself."""
        return orjson.dumps(dict(self.original)).decode()


async def show_new(request: PageRequest) -> Response:
    """Return the form for a new user; `role` in the address preselects a role, `next` is the page to come back to."""
    await _creating_rights(request)
    groups = await form_groups(request, "create")
    stored = DEFAULTS | await _presets(request)
    original = _texts(groups, stored)
    role = request.query.get("role")
    entered = {**original, "role": role} if role and "role" in original else original
    return await _form_page(request, UserForm(groups, original, entered, {}), None)


async def _presets(request: PageRequest) -> dict[str, Any]:
    """Return the values that the caller's permissions set in new users unless the form has others."""
    summary = (await request.directory.permissions()).get(USERS.name, {})
    return dict(summary.get("create", {}).get("presets", {}))


async def create(request: PageRequest) -> Response:
    """Create a user with what was entered, and lead to its page, or back to the page that the address names."""
    form = await request.form()
    await _creating_rights(request)
    submitted = await _submitted(request, form, "create")
    values = await _changed_values(request, submitted)
    if submitted.errors:
        return await _form_page(request, _rejected(submitted, submitted.errors, 422), None)
    try:
        user = await create_user(request, values)
    except RollcallError as error:
        errors = form_errors(error, request.translate)
        return await _form_page(request, _rejected(submitted, errors, error.status), None)
    if origin := _origin(request):
        return redirect_to(f"{origin}{'&' if '?' in origin else '?'}notice=user-created")
    return request.redirect(f"/users/{user}" if user else "/users", notice="user-created")


async def show_edit(request: PageRequest) -> Response:
    """Return the form with the stored values of a user."""
    user = await _editable_user(request)
    groups = await form_groups(request, "update")
    original = _texts(groups, user)
    return await _form_page(request, UserForm(groups, original, original, {}), user)


async def save(request: PageRequest) -> Response:
    """Save what was changed, and lead back to the page of the user."""
    form = await request.form()
    user = await _editable_user(request)
    submitted = await _submitted(request, form, "update")
    values = await _changed_values(request, submitted)
    if submitted.errors:
        return await _form_page(request, _rejected(submitted, submitted.errors, 422), user)
    try:
        if values:
            await update_user(request, user["key"], values)
    except RollcallError as error:
        errors = form_errors(error, request.translate)
        return await _form_page(request, _rejected(submitted, errors, error.status), user)
    return request.redirect(f"/users/{user['key']}", notice="user-saved")


def _origin(request: PageRequest) -> str | None:
    """Return the page of the Studio to come back to, None unless the address names one."""
    target = request.query.get("next")
    return request.addresses.checked(target) if target else None


async def _creating_rights(request: PageRequest) -> Rights:
    """Return the rights of a caller who may create users.

    Raises:
        Forbidden: The caller may not.
    """
    rights = await request.rights()
    if not rights.may("create", "users"):
        raise Forbidden
    return rights


async def _editable_user(request: PageRequest) -> dict[str, Any]:
    """Return the user in the path.

    Raises:
        Forbidden: The caller may not see or may not change it.
    """
    rights, key = await request.rights(), request.parameters["user"]
    if not await request.directory["users"].may("update", key):
        raise Forbidden
    return await read_user(request, rights, key)


def _texts(groups: list[FieldGroup], values: Mapping[str, Any]) -> dict[str, str]:
    return {
        field.name: "" if field.kind in SECRET_KINDS else control_text(field, values.get(field.name))
        for group in groups
        for field in group.fields
    }


async def _submitted(request: PageRequest, form: Form, action: str) -> UserForm:
    """Return a form as it was submitted."""
    groups = await form_groups(request, action)
    try:
        original = orjson.loads(form.get(ORIGINAL, "{}"))
    except orjson.JSONDecodeError:
        original = {}
    names = [field.name for group in groups for field in group.fields]
    before = original if isinstance(original, dict) else {}
    return UserForm(
        groups,
        {name: str(before.get(name, "")) for name in names},
        {name: form.get(name, "").replace("\r\n", "\n") for name in names},
        {},
    )


async def _changed_values(request: PageRequest, form: UserForm) -> dict[str, Any]:
    """Return the values that differ from the original ones; add the messages of those that are none to `errors`."""
    values: dict[str, Any] = {}
    for field in form.fields:
        text = form.entered[field.name]
        if text.strip() == form.original[field.name].strip():
            continue
        try:
            if field.kind == RELATION and text.strip():
                text = await find_row(request, field.target, text.strip())
            values[field.name] = control_value(field, text, request.translate)
        except (ValueRejected, RowNotFound) as error:
            form.errors[field.name] = str(error)
    return values


def _rejected(form: UserForm, errors: FormErrors, status: int) -> UserForm:
    """Return a form that shows errors and what was entered, except for secrets."""
    secrets = [field.name for field in form.fields if field.kind in SECRET_KINDS]
    entered = {name: "" if name in secrets else text for name, text in form.entered.items()}
    return UserForm(form.groups, form.original, entered, errors, status)


async def _form_page(request: PageRequest, form: UserForm, user: dict[str, Any] | None) -> Response:
    rights = await request.rights()
    return await request.page(
        "users/form.html",
        shows=lambda field: user is None or shows_field(rights, field, user["key"]),
        status=form.status,
        errors=form.errors,
        form=form,
        user=user,
        origin=_origin(request),
        labels={field.name: field.label for field in form.fields},
    )


ROUTES: tuple[Route, ...] = (
    Route("GET", "/users/new", show_new),
    Route("POST", "/users/new", create),
    Route("GET", "/users/{user}/edit", show_edit),
    Route("POST", "/users/{user}/edit", save),
)
