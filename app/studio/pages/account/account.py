"""The profile of the signed-in user."""

from typing import Any

from app.core.errors import Forbidden, RollcallError
from app.http.response import Response
from app.studio.form_errors import FormErrors, form_errors
from app.studio.image_upload import PHOTO_TYPES
from app.studio.page_request import Form, PageRequest
from app.studio.pages.account.account_identity import read_identity
from app.studio.pages.tools.row_reference import RowNotFound, find_row
from app.studio.pages.users.user_columns import may_see_avatars
from app.studio.pages.users.user_fields import (
    RELATION,
    SIMPLE_KINDS,
    Choices,
    UserField,
    described_custom_fields,
    field_labels,
)
from app.studio.pages.users.user_form_fields import KINDS, MAX_LENGTHS, with_reference_hint
from app.studio.pages.users.user_relations import field_selection, is_plain_or_reference
from app.studio.pages.users.user_values import ValueRejected, control_text, control_value
from app.studio.pages.users.user_writes import update_own_user
from app.studio.routing import Route
from app.studio.translations import LANGUAGE_TAGS, LANGUAGES

FIELDS = ("first_name", "last_name", "email", "title", "location", "description", "language", "appearance")


async def show_profile(request: PageRequest) -> Response:
    """Return the profile: fields that the user may change as a form, all others that are readable as text."""
    return await profile_page(request)


async def save_profile(request: PageRequest) -> Response:
    """Save the changed fields."""
    form, stored, editable = await request.form(), await _read_profile(request), await _editable(request)
    changes, errors = await _changes(request, form, stored, editable)
    if errors:
        return await profile_page(request, form, errors, 422)
    if not changes:
        return request.redirect("/account")
    try:
        await update_own_user(request, changes)
    except RollcallError as error:
        return await profile_page(request, form, form_errors(error, request.translate), error.status)
    return request.redirect("/account", notice="profile-saved")


async def _fields(request: PageRequest, action: str) -> list[UserField]:
    """Return the fields for which the user has a permission, whether or not for the own row."""
    rights, labels = await request.rights(), field_labels(request.translate)
    labels = {**labels, "appearance": request.translate("Appearance")}
    built_in = [
        UserField(
            name,
            labels[name],
            KINDS.get(name, "string"),
            choices=_choices(request, name),
            max_length=MAX_LENGTHS.get(name),
        )
        for name in rights.fields(action, "users", FIELDS)
    ]
    custom = await described_custom_fields(
        request,
        lambda field: (
            is_plain_or_reference(rights, field, SIMPLE_KINDS) and rights.may_field(action, "users", field.name)
        ),
    )
    return built_in + [with_reference_hint(field, request.translate) for field in custom]


def _choices(request: PageRequest, name: str) -> Choices:
    _ = request.translate
    match name:
        case "language":
            return (("", _("As the browser")), *((tag, LANGUAGES[code]) for tag, code in LANGUAGE_TAGS.items()))
        case "appearance":
            return (
                ("", _("As the project")),
                ("auto", _("As the device")),
                ("light", _("Light")),
                ("dark", _("Dark")),
            )
    return ()


async def _read_profile(request: PageRequest) -> dict[str, Any]:
    """Return the readable fields; a user who may not read the own row has none."""
    rights = await request.rights()
    selection = [field_selection(rights, field) for field in await _fields(request, "read")]
    selection += ["avatar { id }"] if may_see_avatars(rights) else []
    if not selection:
        return {}
    try:
        data = await request.execute(f"query Profile {{ users_me {{ {' '.join(selection)} }} }}")
    except Forbidden:
        return {}
    return data["users_me"] or {}


async def _editable(request: PageRequest) -> list[UserField]:
    """Return the fields that the user may change in the own row, as far as that is known before."""
    fields = [field for field in await _fields(request, "update") if not field.automatic]
    return fields if fields and await request.directory["users"].may("update", request.user) else []


async def _changes(
    request: PageRequest, form: Form, stored: dict[str, Any], editable: list[UserField]
) -> tuple[dict[str, Any], FormErrors]:
    """Return the changed values, null for an empty field, and the messages of texts that are no values."""
    changes: dict[str, Any] = {}
    errors: FormErrors = {}
    for field in editable:
        text = form.get(field.name, control_text(field, stored.get(field.name))).replace("\r\n", "\n").strip()
        if text == control_text(field, stored.get(field.name)).strip():
            continue
        try:
            if field.kind == RELATION and text:
                text = await find_row(request, field.target, text)
            changes[field.name] = control_value(field, text, request.translate)
        except (ValueRejected, RowNotFound) as error:
            errors[field.name] = str(error)
    return changes, errors


async def profile_page(
    request: PageRequest, form: Form | None = None, errors: FormErrors | None = None, status: int = 200
) -> Response:
    """Return the profile, after a rejected `form` with what was entered."""
    stored, editable, rights = await _read_profile(request), await _editable(request), await request.rights()
    texts = {field.name: control_text(field, stored.get(field.name)) for field in editable}
    names = {field.name for field in editable}
    may_picture = rights.may_field("update", "users", "avatar") and may_see_avatars(rights)
    others = [field for field in await _fields(request, "read") if field.name in stored and field.name not in names]
    return await request.page(
        "account/profile.html",
        status=status,
        errors=errors,
        editable=editable,
        hidden=names - stored.keys(),
        entered=texts if form is None else {name: form.get(name, text) for name, text in texts.items()},
        identity=await read_identity(request),
        picture={
            "user": {**stored, "key": request.user},
            "may_change": may_picture and await request.directory["users"].may("update", request.user),
        },
        may_upload=rights.may("create", "files"),
        picture_types=",".join(PHOTO_TYPES),
        others=[(field.label, control_text(field, stored[field.name])) for field in others],
    )


ROUTES: tuple[Route, ...] = (
    Route("GET", "/account", show_profile),
    Route("POST", "/account", save_profile),
)
