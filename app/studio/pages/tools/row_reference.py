"""Finds the row that a text names: by its id, or by what people call it, such as the email address of a user."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from app.studio.page_request import PageRequest
from app.studio.pages.tools.user_reference import find_users
from app.studio.rights import Rights

NAMING_FIELDS: Mapping[str, str] = {
    "users": "email",
    "roles": "name",
    "policies": "name",
    "files": "filename_download",
}
"""The fields by which people name rows, by collection; those of others have only their ids."""


class RowNotFound(ValueError):
    """A text names no row, or several; the message says so."""


def reference_selection(rights: Rights, collection: str, field: str) -> str:
    """Return what a document selects of the row to which a field refers, to name it.

    It is empty if the field is no relation, or the caller may not follow it or read the id of the row.
    """
    target = rights.target(collection, field)
    if target is None or not rights.may_follow(collection, field):
        return ""
    fields = rights.fields("read", target, ["id", NAMING_FIELDS.get(target, "id")])
    return " ".join(dict.fromkeys(fields)) if "id" in fields else ""


def reference_text(collection: str, row: Any) -> str:
    """Return the text for a row that a document selected, or for an id; empty for none."""
    if not isinstance(row, dict):
        return str(row or "")
    return str(row.get(NAMING_FIELDS.get(collection, "id")) or row.get("id") or "")


async def find_row(request: PageRequest, collection: str, text: str) -> str:
    """Return the id of the row that a text names; an id counts as it is, also of a row that does not exist.

    Raises:
        RowNotFound: The text names no row that the caller may see, or several.
    """
    _, naming = request.translate, NAMING_FIELDS.get(collection)
    rights = await request.rights()
    if naming is None or _is_uuid(text) or not rights.may_fields("read", collection, ["id", naming]):
        return text
    find = _find_users if collection == "users" else _find_named
    keys = await find(request, collection, text)
    if len(keys) == 1:
        return keys[0]
    raise RowNotFound(
        _("Several entries have this name. Enter the id of one.") if keys else _("There is no such entry.")
    )


async def _find_users(request: PageRequest, _: str, text: str) -> Sequence[str]:
    return [user.id for user in await find_users(request, text) if user.reference.lower() == text.lower()]


async def _find_named(request: PageRequest, collection: str, text: str) -> Sequence[str]:
    document = f"""query Named($text: String) {{
  {collection}(filter: {{ {NAMING_FIELDS[collection]}: {{ _eq: $text }} }}, sort: ["id"], limit: 2) {{ id }}
}}"""
    return [str(row["id"]) for row in (await request.execute(document, {"text": text}))[collection]]


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
