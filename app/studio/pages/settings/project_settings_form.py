"""The form of the project's settings: its fields, what is entered into them, and the values to store."""

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

from app.core.colors import COLOR, project_color
from app.repositories.project_settings import DIRECTUS_DEFAULT_NAME
from app.studio.form_errors import FormErrors, Translate
from app.studio.page_request import Form
from app.studio.pages.settings.password_policies import entered_policy, preset_of
from app.studio.policy_editor.json_text import JsonTextError, line_and_column, parse_json_text

TEXTS = ("project_name", "project_color", "public_note", "default_language", "default_appearance")
FLAGS = ("public_registration", "public_registration_verify_email")
ROLE, EMAIL_FILTER = "public_registration_role", "public_registration_email_filter"
POLICY, ATTEMPTS, LOGO = "auth_password_policy", "auth_login_attempts", "project_logo"
FORM_FIELDS = (*TEXTS, *FLAGS, ROLE, EMAIL_FILTER, POLICY, ATTEMPTS)
FIELDS = (*FORM_FIELDS, LOGO)

Entries = dict[str, Any]
"""What the controls of the form contain, by name: texts, and booleans of checkboxes."""


class EntryError(Exception):
    """An entry has no value; the message says what would be right."""


def stored_entries(settings: Mapping[str, Any]) -> Entries:
    """Return what the form contains for the stored settings."""
    entries: Entries = {name: settings.get(name) or "" for name in TEXTS}
    entries |= {name: bool(settings.get(name)) for name in FLAGS}
    if entries["project_name"] == DIRECTUS_DEFAULT_NAME:
        entries["project_name"] = ""
    attempts, email_filter = settings.get(ATTEMPTS), settings.get(EMAIL_FILTER)
    return {
        **entries,
        "project_color": project_color(settings.get("project_color")),
        ROLE: (settings.get(ROLE) or {}).get("id", ""),
        EMAIL_FILTER: json.dumps(email_filter, indent=2, ensure_ascii=False) if email_filter else "",
        "password_preset": preset_of(settings.get(POLICY)),
        POLICY: settings.get(POLICY) or "",
        ATTEMPTS: "" if attempts is None else str(attempts),
    }


def submitted_entries(form: Form) -> Entries:
    """Return what a submitted form contains."""
    names = (*TEXTS, ROLE, EMAIL_FILTER, "password_preset", POLICY, ATTEMPTS)
    return {name: form.get(name, "") for name in names} | {name: name in form for name in FLAGS}


def changed_values(
    form: Form, settings: Mapping[str, Any], fields: Collection[str], translate: Translate
) -> tuple[dict[str, Any], FormErrors]:
    """Return the values of a form that differ from the stored ones, and the errors of entries, both by field."""
    stored, entries = stored_entries(settings), submitted_entries(form)
    values: dict[str, Any] = {}
    errors: FormErrors = {}
    for name in FORM_FIELDS:
        if name not in fields:
            continue
        try:
            value = _parse(name, entries[name], form, translate)
        except EntryError as error:
            errors[name] = str(error)
            continue
        if value != _parse_stored(name, stored, settings):
            values[name] = value
    return values, errors


def _parse(name: str, entry: Any, form: Form, translate: Translate) -> Any:
    if name == POLICY:
        return entered_policy(form)
    parser = PARSERS.get(name)
    return parser(entry.strip(), translate) if parser else entry


def _parse_stored(name: str, stored: Entries, settings: Mapping[str, Any]) -> Any:
    if name in (POLICY, ATTEMPTS):
        return settings.get(name)
    if name == EMAIL_FILTER:
        return settings.get(name) or None
    return _parse(name, stored[name], Form(), str)


def _name(entry: str, _: Translate) -> str:
    return entry or DIRECTUS_DEFAULT_NAME


def _color(entry: str, translate: Translate) -> str:
    if not COLOR.fullmatch(entry.lower()):
        raise EntryError(translate("Enter a color as six hexadecimal digits, such as #6644ff."))
    return entry.lower()


def _note(entry: str, _: Translate) -> str | None:
    return entry.replace("\r\n", "\n") or None


def _attempts(entry: str, translate: Translate) -> int | None:
    if not entry:
        return None
    if not entry.isdecimal() or len(entry) > 9:
        raise EntryError(translate("Enter a whole number, or nothing for no limit."))
    return int(entry)


def _role(entry: str, _: Translate) -> dict[str, str] | None:
    return {"id": entry} if entry else None


def _email_filter(entry: str, translate: Translate) -> dict[str, Any] | None:
    if not entry:
        return None
    try:
        value = parse_json_text(entry).value
    except JsonTextError as error:
        line, column = line_and_column(entry, error.offset)
        message = translate("This is not JSON: there is an error in line {line}, column {column}.")
        raise EntryError(message.format(line=line, column=column)) from None
    if not isinstance(value, dict):
        raise EntryError(translate('Enter a JSON object, such as {"email": {"_ends_with": "@example.com"}}.'))
    return value or None


PARSERS: Mapping[str, Callable[[str, Translate], Any]] = {
    "project_name": _name,
    "project_color": _color,
    "public_note": _note,
    ROLE: _role,
    EMAIL_FILTER: _email_filter,
    ATTEMPTS: _attempts,
}
