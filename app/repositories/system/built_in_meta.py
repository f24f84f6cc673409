"""How Directus 11.17 presents the built-in fields and collections, which have no rows that say so."""

from collections.abc import Mapping
from typing import Any

from app.query.collection import PREFIX
from app.repositories.system.built_in_fields import FIELDS

_ABSENT = "-"
_FLAGS = {"readonly": "r", "hidden": "h", "required": "q"}

_COLLECTIONS: Mapping[str, Mapping[str, Any]] = {
    "access": {"icon": "admin_panel_settings", "display_template": "{{ policy.name }}", "sort_field": "sort"},
    "activity": {"accountability": None},
    "files": {"icon": "folder", "display_template": "{{ $thumbnail }} {{ title }}"},
    "folders": {"display_template": "{{ name }}"},
    "permissions": {"icon": "admin_panel_settings"},
    "policies": {"icon": "admin_panel_settings"},
    "revisions": {"accountability": None},
    "roles": {"icon": "supervised_user_circle"},
    "settings": {"singleton": True},
    "users": {
        "icon": "people_alt",
        "display_template": "{{ first_name }} {{ last_name }}",
        "archive_field": "status",
        "archive_value": "archived",
        "unarchive_value": "draft",
    },
}

RELATIONS: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("directus_access", "role"): {
        "one_deselect_action": "delete",
        "junction_field": "policy",
        "sort_field": "sort",
    },
    ("directus_access", "user"): {
        "one_deselect_action": "delete",
        "junction_field": "policy",
        "sort_field": "sort",
    },
    ("directus_access", "policy"): {"one_deselect_action": "delete", "junction_field": "role", "one_field": "roles"},
    ("directus_permissions", "policy"): {"one_deselect_action": "delete"},
}
"""What is particular about built-in relations, by collection and field."""
SECOND_RELATIONS: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("directus_access", "policy"): {"one_deselect_action": "delete", "junction_field": "user", "one_field": "users"},
}
"""The other alias of a relation with two."""

_RELATION_NOTES: Mapping[tuple[str, str], str] = {
    ("directus_roles", "parent"): "$t:field_options.directus_roles.parent_note",
    ("directus_roles", "children"): "$t:field_options.directus_roles.children_note",
    ("directus_settings", "project_logo"): "$t:field_options.directus_settings.project_logo_note",
    ("directus_settings", "public_favicon"): "$t:field_options.directus_settings.project_favicon_note",
    ("directus_settings", "public_registration_role"): "$t:fields.directus_settings.public_registration_role_note",
    ("directus_settings", "storage_default_folder"): "$t:interfaces.system-folder.field_hint",
}
"""Notes of relations, which Directus' schema in GraphQL does not have."""


def field_meta(collection: str, field: str, note: str | None) -> dict[str, Any]:
    """Return the meta of a built-in field; a field that is not listed has that of an ordinary one."""
    position, width, flags, interface, display, special = _FIELD_ROWS.get((collection, field), _DEFAULT_ROW)
    return {
        "system": True,
        "collection": collection,
        "field": field,
        "special": None if special == _ABSENT else special.split(","),
        "interface": _optional(interface),
        "options": None,
        "display": _optional(display),
        "display_options": None,
        "sort": int(position),
        "width": width,
        "group": None,
        "translations": None,
        "note": note or _RELATION_NOTES.get((collection, field)),
        "conditions": None,
        "searchable": True,
        "validation": None,
        "validation_message": None,
        **{name: letter in flags for name, letter in _FLAGS.items()},
    }


def built_in_id(collection: str, field: str) -> int:
    """Return a number below 0 that no other field has, in place of the key of a row."""
    return _IDS.get((collection, field), 0)


def collection_meta(collection: str) -> dict[str, Any]:
    """Return the meta of a built-in collection."""
    return {
        "system": True,
        "collection": collection,
        "icon": None,
        "note": f"$t:directus_collection.{collection}",
        "display_template": None,
        "hidden": False,
        "singleton": False,
        "translations": None,
        "archive_field": None,
        "archive_app_filter": True,
        "archive_value": None,
        "unarchive_value": None,
        "sort_field": None,
        "accountability": "all",
        "color": None,
        "item_duplication_fields": None,
        "sort": None,
        "group": None,
        "collapse": "open",
        "preview_url": None,
        "versioning": False,
        **_COLLECTIONS.get(collection.removeprefix(PREFIX), {}),
    }


def _optional(value: str) -> str | None:
    return None if value == _ABSENT else value


def _parse() -> dict[tuple[str, str], tuple[str, ...]]:
    rows, collection = {}, ""
    for line in FIELDS.strip().splitlines():
        name, *values = line.split()
        if values:
            rows[PREFIX + collection, name] = tuple(values)
        else:
            collection = name
    return rows


_FIELD_ROWS = _parse()
_DEFAULT_ROW = ("0", "half", *[_ABSENT] * 4)
_IDS = {key: -number for number, key in enumerate(_FIELD_ROWS, 1)}
