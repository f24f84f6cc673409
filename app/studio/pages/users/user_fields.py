"""The fields of users as pages show and edit them: their labels, their kinds, and the choices of custom fields."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from app.policy.schema_rights import FIELDS as FIELD_DEFINITIONS
from app.query.collection import PREFIX, USERS, Field
from app.studio.form_errors import Translate
from app.studio.page_request import PageRequest
from app.studio.policy_editor.rule_words import RuleWords

Choices = tuple[tuple[str, str], ...]
"""Pairs of a value and its label."""

STATUSES = ("active", "invited", "draft", "suspended", "archived", "unverified")
SIMPLE_KINDS = frozenset(
    {"string", "integer", "bigInteger", "float", "decimal", "boolean", "date", "time", "dateTime", "timestamp", "uuid"}
)
"""Kinds of custom fields that a table shows."""
RELATION = "relation"
"""The kind of a custom field that refers to one row."""
AUTOMATIC = frozenset({"date-created", "date-updated", "user-created", "user-updated", "role-created", "role-updated"})
"""Specials of fields that the server writes."""
DEFINITIONS = """query CustomFields {
  fields_in_collection(collection: "directus_users") {
    field meta { note options required readonly hidden } schema { max_length }
  }
}"""


@dataclass(frozen=True, slots=True)
class UserField:
    """A field of users for a page. `kind` is that of the registry, or the name of a special control."""

    name: str
    label: str
    kind: str
    hint: str = ""
    choices: Choices = ()
    required: bool = False
    max_length: int | None = None
    automatic: bool = False
    """Whether the server writes it, so that no form offers it."""
    target: str = ""
    """The collection that a relation refers to, without its prefix."""
    target_key: str = ""
    """The kind of that collection's key."""
    shows_null: bool = True
    """Whether null means that it is empty in every row; otherwise it may be hidden from the caller."""


def field_labels(translate: Translate) -> Mapping[str, str]:
    """Return the labels of the built-in fields by name."""
    _ = translate
    return {
        "first_name": _("First name"),
        "last_name": _("Last name"),
        "email": _("Email"),
        "password": _("Password"),
        "role": _("Role"),
        "status": _("Status"),
        "last_access": _("Last access"),
        "title": _("Title"),
        "location": _("Location"),
        "description": _("Description"),
        "language": _("Language"),
        "tags": _("Tags"),
        "provider": _("Sign-in provider"),
        "external_identifier": _("External identifier"),
        "email_notifications": _("Email notifications"),
        "last_page": _("Last page"),
        "avatar": _("Picture"),
        "policies": _("Policies"),
        "token": _("Static token"),
        "id": _("Id"),
    }


def status_labels(translate: Translate) -> Mapping[str, str]:
    """Return the labels of the statuses."""
    _ = translate
    return {
        "active": _("Active"),
        "invited": _("Invited"),
        "draft": _("Draft"),
        "suspended": _("Suspended"),
        "archived": _("Archived"),
        "unverified": _("Unverified"),
    }


def rule_words(translate: Translate) -> RuleWords:
    """Return what writes rules in words, with the labels of users."""
    return RuleWords(translate, field_labels(translate))


def registered_custom_fields(request: PageRequest) -> list[Field]:
    """Return the custom columns of users, without secrets; those of relations refer to one row."""
    collection = request.services.registry.own(USERS)
    return [
        field
        for field in collection.fields.values()
        if field.name not in USERS.fields and field.column is not None and not field.concealed
    ]


def table_custom_fields(request: PageRequest) -> list[UserField]:
    """Return the custom fields that a table can show, without their choices."""
    fields = registered_custom_fields(request)
    return [_user_field(request, field, {}) for field in fields if field.kind in SIMPLE_KINDS or field.relation]


async def described_custom_fields(request: PageRequest, is_wanted: Callable[[Field], bool]) -> list[UserField]:
    """Return custom fields with their choices and notes, which are read only if there are any such fields.

    Callers who may not list the fields of the directory get the fields without choices.
    """
    fields = [field for field in registered_custom_fields(request) if is_wanted(field)]
    if not fields:
        return []
    access = await request.directory.fresh_access()
    if not access.admin and FIELD_DEFINITIONS not in access.schema_rights:
        return [_user_field(request, field, {}) for field in fields]
    data = await request.execute(DEFINITIONS)
    definitions = {entry["field"]: entry for entry in data["fields_in_collection"]}
    described = [(field, definitions[field.name]) for field in fields if field.name in definitions]
    return [_user_field(request, field, definition) for field, definition in described if not _is_hidden(definition)]


def humanized(name: str) -> str:
    """Return the label of a custom field from its name: `hired_at` becomes "Hired at"."""
    return name.replace("_", " ").strip().capitalize() or name


def _is_hidden(definition: Mapping[str, Any]) -> bool:
    return bool((definition.get("meta") or {}).get("hidden"))


def _user_field(request: PageRequest, field: Field, definition: Mapping[str, Any]) -> UserField:
    meta, schema = definition.get("meta") or {}, definition.get("schema") or {}
    target = request.services.registry.own(USERS).target_of(field) if field.relation else None
    return UserField(
        field.name,
        humanized(field.name),
        RELATION if field.relation else field.kind,
        meta.get("note") or field.note or "",
        tuple(_choices(meta.get("options"))),
        bool(meta.get("required")),
        schema.get("max_length") if field.kind == "string" else None,
        automatic=bool(meta.get("readonly")) or not AUTOMATIC.isdisjoint(field.special),
        target=target.name.removeprefix(PREFIX) if target else "",
        target_key=target.key.kind if target else "",
    )


def _choices(options: Any) -> Iterable[tuple[str, str]]:
    """Yield the choices of a field's options; anything malformed is left out."""
    choices = options.get("choices") if isinstance(options, dict) else None
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and isinstance(value := choice.get("value"), str | int | float):
            yield str(value), str(choice.get("text") or value)
        elif isinstance(choice, str):
            yield choice, choice
