"""What the deletion of users takes along, and what must be done before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.core.errors import InvalidForeignKey, InvalidPayload, RollcallError, UserReferenced
from app.query.collection import FILES as FILE_COLLECTION
from app.query.collection import USERS
from app.studio.form_errors import Translate, form_errors
from app.studio.page_request import PageRequest
from app.studio.pages.tools.user_reference import find_users
from app.studio.pages.users.user_fields import humanized
from app.studio.pages.users.user_writes import delete_users
from app.studio.rights import Rights

FILE_AUTHORS = ("uploaded_by", "modified_by")
"""The fields of files that keep a user from being deleted."""
FILES = """query Files($users: [ID]) {
  files_aggregated(filter: { _or: [
    { uploaded_by: { id: { _in: $users } } }
    { modified_by: { id: { _in: $users } } }
  ] }) { countAll }
}"""

REFERENCES = """mutation References($ids: [ID]!) {
  delete_users_items(ids: $ids, dry_run: true) { references { table column count action } }
}"""
REASSIGN = """mutation DeleteUsers($ids: [ID]!, $target: ID) {
  delete_users_items(ids: $ids, reassign_to: $target) { ids }
}"""


@dataclass(frozen=True, slots=True)
class Consequences:
    """What a deletion does to other rows.

    `files` name one of the users as their author, None if the caller may not know; `may_release_files` says whether the
    caller may take the name away, without which the deletion is refused. `emptied` are the labels of fields that become
    null.
    """

    files: int | None
    may_release_files: bool
    emptied: list[str]


async def read_consequences(request: PageRequest, rights: Rights, users: Sequence[str]) -> Consequences:
    """Return what the deletion of users would do."""
    files = None
    if rights.may_fields("read", "files", FILE_AUTHORS):
        files = (await request.execute(FILES, {"users": list(users)}))["files_aggregated"][0]["countAll"]
    return Consequences(files, rights.may_fields("update", "files", FILE_AUTHORS), _emptied_fields(request, rights))


async def read_references(request: PageRequest, rights: Rights, users: Sequence[str]) -> list[dict[str, Any]]:
    """Return what refers to users, as a dry run of their deletion lists it, without the audit log, which stays.

    Files that the caller may change count as set to null, because pages release them.

    Raises:
        RollcallError: The deletion would be rejected, but not because of these references.
    """
    data = await request.execute(REFERENCES, {"ids": list(users)})
    references: list[dict[str, Any]] = data["delete_users_items"]["references"]
    if rights.may_fields("update", "files", FILE_AUTHORS):
        released = {(FILE_COLLECTION.name, name) for name in FILE_AUTHORS}
        references = [
            {**one, "action": "set_null"} if (one["table"], one["column"]) in released else one for one in references
        ]
    return [one for one in references if one["action"] != "kept"]


def reference_actions(translate: Translate) -> Mapping[str, str]:
    """Return what happens to rows, by the action of a reference."""
    _ = translate
    return {
        "cascade": _("are deleted"),
        "set_null": _("no longer name the user"),
        "set_default": _("get the default value"),
        "blocked": _("prevent the deletion"),
    }


async def delete_reassigned(request: PageRequest, users: Sequence[str], text: str) -> None:
    """Delete users after what refers to them was moved to the user that `text` names by email address or id.

    Raises:
        RollcallError: The text names no single user, or the deletion is rejected.
    """
    matches = [user for user in await find_users(request, text) if text.lower() in (user.reference.lower(), user.id)]
    if len(matches) != 1:
        message = request.translate("Enter the email address or the id of another user")
        raise InvalidPayload(message, field="reassign_to")
    await request.execute(REASSIGN, {"ids": list(users), "target": matches[0].id})


async def delete_with_files_released(request: PageRequest, users: Sequence[str]) -> None:
    """Delete users; files that name them stay, without an author, if the caller may change that.

    Raises:
        RollcallError: The users or the files may not be changed.
    """
    try:
        await delete_users(request, users)
    except InvalidForeignKey as error:
        rights = await request.rights()
        if not rights.may_fields("update", "files", FILE_AUTHORS) or _other_tables(error):
            raise
        named = {"_or": [{name: {"_in": list(users)}} for name in FILE_AUTHORS]}
        await request.directory["files"].update_by_query({"filter": named}, dict.fromkeys(FILE_AUTHORS))
        await delete_users(request, users)


def deletion_errors(request: PageRequest, error: RollcallError) -> dict[str, str]:
    """Return why a deletion was rejected."""
    if isinstance(error, UserReferenced):
        _, references = request.translate, error.details["references"]
        rows = ", ".join(f"{one['table']}.{one['column']} ({one['count']})" for one in references)
        message = _("Entries still refer to this user: {rows}. Move them to another user, or change them first.")
        return {"": message.format(rows=rows)}
    if isinstance(error, InvalidForeignKey):
        return {"": request.translate("Files or other entries still refer to this user. Change them first.")}
    return form_errors(error, request.translate)


def _other_tables(error: InvalidForeignKey) -> bool:
    """Return whether rows of other tables than files are known to refer to the user."""
    references = error.details.get("references", ())
    return any(reference["table"] != FILE_COLLECTION.name for reference in references)


def _emptied_fields(request: PageRequest, rights: Rights) -> list[str]:
    """Return the labels of the custom fields that become null with users they refer to, if the caller may read them."""
    registry = request.services.registry
    users = registry.own(USERS).table
    return [
        humanized(field.name)
        for collection in registry.values()
        for field in collection.fields.values()
        if field.column is not None
        and rights.may_field("read", collection.short_name, field.name)
        and any(key.column.table is users and key.ondelete == "SET NULL" for key in field.column.foreign_keys)
    ]
