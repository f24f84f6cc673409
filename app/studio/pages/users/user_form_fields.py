"""The fields of the form of a user, by the rights of the caller."""

from dataclasses import dataclass, replace

from app.studio.form_errors import Translate
from app.studio.page_request import PageRequest
from app.studio.pages.users.user_fields import (
    RELATION,
    Choices,
    UserField,
    described_custom_fields,
    field_labels,
    status_labels,
)
from app.studio.rights import Rights
from app.studio.role_choice import are_too_many, readable_roles
from app.studio.translations import LANGUAGE_TAGS, LANGUAGES

PERSON = ("first_name", "last_name", "title", "location", "language", "tags", "description")
ACCOUNT = ("email", "password", "role", "status", "email_notifications", "provider", "external_identifier")
MAX_LENGTHS = {
    "first_name": 50,
    "last_name": 50,
    "email": 128,
    "title": 50,
    "location": 255,
    "external_identifier": 255,
    "provider": 128,
}
KINDS = {
    "email": "email",
    "password": "password",
    "role": "role",
    "status": "status",
    "description": "multiline",
    "tags": "tags",
    "language": "language",
    "email_notifications": "boolean",
}


@dataclass(frozen=True, slots=True)
class FieldGroup:
    """Fields under one heading."""

    title: str
    fields: list[UserField]


async def form_groups(request: PageRequest, action: str) -> list[FieldGroup]:
    """Return the fields that the caller may write, `create` or `update`, in groups; empty groups are left out."""
    _, rights = request.translate, await request.rights()
    person = [_built_in(request, name, action) for name in rights.fields(action, "users", PERSON)]
    account = [_built_in(request, name, action) for name in rights.fields(action, "users", ACCOUNT)]
    account = [field for field in [await _with_roles(request, rights, field) for field in account] if field]
    custom = await described_custom_fields(request, lambda field: rights.may_field(action, "users", field.name))
    groups = [
        FieldGroup(_("Person"), person),
        FieldGroup(_("Account"), account),
        FieldGroup(_("More"), [with_reference_hint(field, _) for field in custom if not field.automatic]),
    ]
    return [group for group in groups if group.fields]


def with_reference_hint(field: UserField, translate: Translate) -> UserField:
    """Return a custom field; that of a relation says what to enter, unless its own note does."""
    if field.kind != RELATION or field.hint:
        return field
    _ = translate
    hints = {
        "users": _("The email address or the id of a user."),
        "roles": _("The name or the id of a role. Empty: no role."),
    }
    return replace(field, hint=hints.get(field.target, _("The id or the name of an entry.")))


async def _with_roles(request: PageRequest, rights: Rights, field: UserField) -> UserField | None:
    """Return a field, that of the role with the roles as its choices; None if the caller may see no role."""
    if field.kind != "role":
        return field
    roles = await readable_roles(request, rights)
    if are_too_many(roles):
        hint = request.translate("The name or the id of a role. Empty: no role.")
        return replace(field, kind=RELATION, target="roles", hint=hint, choices=tuple(roles))
    no_role = ("", request.translate("No role"))
    return replace(field, choices=(no_role, *roles)) if roles else None


def _built_in(request: PageRequest, name: str, action: str) -> UserField:
    translate = request.translate
    return UserField(
        name,
        field_labels(translate)[name],
        KINDS.get(name, "string"),
        _hints(translate, action).get(name, ""),
        _choices(translate, name),
        max_length=MAX_LENGTHS.get(name),
    )


def _hints(translate: Translate, action: str) -> dict[str, str]:
    _ = translate
    password = _("Without one, the user cannot sign in with a password yet.")
    if action == "update":
        password = _("Leave it empty to keep the current one. A new one ends all sessions of the user.")
    return {
        "password": password,
        "tags": _("Separated by commas."),
        "provider": _("How the user signs in; “default” means with a password."),
    }


def _choices(translate: Translate, name: str) -> Choices:
    _ = translate
    match name:
        case "status":
            return tuple(status_labels(translate).items())
        case "language":
            return (("", _("As the browser")), *((tag, LANGUAGES[code]) for tag, code in LANGUAGE_TAGS.items()))
    return ()
