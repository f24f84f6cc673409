"""What a user did, and who changed the user, as the audit log says."""

from collections.abc import Mapping
from typing import Any

from app.core.errors import RollcallError
from app.query.collection import USERS
from app.studio.form_errors import Translate
from app.studio.page_request import PageRequest
from app.studio.pages.users.user_columns import NAMES
from app.studio.pages.users.user_fields import field_labels, humanized
from app.studio.rights import Rights

FIELDS = ("id", "action", "collection", "item", "timestamp", "ip")
CHANGE_FIELDS = ("id", "action", "timestamp")
CHANGES = ("create", "update", "delete")
"""The actions that change a row; sign-ins are recorded with the same collection and item."""
LIMIT = 20

Entry = dict[str, Any]


async def read_activity(request: PageRequest, rights: Rights, key: str) -> list[Entry] | None:
    """Return what a user did last; None if the caller may not know it."""
    if not rights.may_field("read", "activity", "user"):
        return None
    fields = " ".join(rights.fields("read", "activity", FIELDS)) or "__typename"
    document = f"""query Activity($user: ID!) {{
  activity(filter: {{ user: {{ id: {{ _eq: $user }} }} }}, sort: ["-timestamp", "-id"], limit: {LIMIT}) {{
    {fields}
  }}
}}"""
    try:
        entries: list[Entry] = (await request.execute(document, {"user": key}))["activity"]
    except RollcallError:  # the rule of each permission makes the relation unreadable
        return None
    return entries


async def read_changes_of_user(request: PageRequest, rights: Rights, key: str) -> list[Entry] | None:
    """Return the last changes of a user, each with the labels of its `fields`; None if the caller may not know them.

    `fields` is None if the caller may not read what an entry changed.
    """
    if not rights.may_fields("read", "activity", ["id", "action", "collection", "item"]):
        return None
    names = rights.fields("read", "activity", CHANGE_FIELDS)
    author = rights.fields("read", "users", ["id", *NAMES, "email"])
    if "id" in author and rights.may_field("read", "activity", "user"):
        names.append(f"user {{ {' '.join(author)} }}")
    document = f"""query Changes($filter: directus_activity_filter) {{
  activity(filter: $filter, sort: ["-id"], limit: {LIMIT}) {{ {" ".join(names)} }}
}}"""
    filter_ = {"collection": {"_eq": USERS.name}, "item": {"_eq": key.lower()}, "action": {"_in": list(CHANGES)}}
    entries: list[Entry] = (await request.execute(document, {"filter": filter_}))["activity"]
    changed = await _changed_fields(request, rights, [entry["id"] for entry in entries])
    return [{**entry, "fields": changed.get(str(entry["id"]))} for entry in entries]


async def _changed_fields(request: PageRequest, rights: Rights, entries: list[Any]) -> Mapping[str, list[str]]:
    """Return the labels of the fields that entries changed, by the id of the entry."""
    if not entries or not rights.may_fields("read", "revisions", ["activity", "delta"]):
        return {}
    # A relation whose inverse the caller may not read is selected and compared like a key
    is_navigable = rights.may_field("read", "activity", "revisions")
    condition: dict[str, Any] = {"_in": entries}
    document = f"""query ChangedFields($filter: directus_revisions_filter) {{
  revisions(filter: $filter, sort: ["id"], limit: -1) {{ activity {"{ id }" if is_navigable else ""} delta }}
}}"""
    filter_ = {"activity": {"id": condition} if is_navigable else condition}
    labels, found = change_labels(request.translate), dict[str, list[str]]()
    for revision in (await request.execute(document, {"filter": filter_}))["revisions"]:
        entry = revision["activity"]["id"] if is_navigable else revision["activity"]
        delta = revision["delta"] if isinstance(revision["delta"], dict) else {}
        found.setdefault(str(entry), []).extend(labels.get(name, humanized(name)) for name in delta)
    return found


def change_labels(translate: Translate) -> Mapping[str, str]:
    """Return the labels of the fields that changes name."""
    _ = translate
    return {**field_labels(translate), "tfa_secret": _("Two-factor authentication")}
