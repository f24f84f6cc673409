"""What the deletion of users takes along, and what must be done before."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.core.errors import InvalidForeignKey, RollcallError
from app.query.collection import USERS
from app.studio.form_errors import form_errors
from app.studio.page_request import PageRequest
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


async def delete_with_files_released(request: PageRequest, users: Sequence[str]) -> None:
    """Delete users; files that name them stay, without an author, if the caller may change that.

    Raises:
        RollcallError: The users or the files may not be changed.
    """
    try:
        await delete_users(request, users)
    except InvalidForeignKey:
        rights = await request.rights()
        if not rights.may_fields("update", "files", FILE_AUTHORS):
            raise
        named = {"_or": [{name: {"_in": list(users)}} for name in FILE_AUTHORS]}
        await request.directory["files"].update_by_query({"filter": named}, dict.fromkeys(FILE_AUTHORS))
        await delete_users(request, users)


def deletion_errors(request: PageRequest, error: RollcallError) -> dict[str, str]:
    """Return why a deletion was rejected."""
    if isinstance(error, InvalidForeignKey):
        return {"": request.translate("Files or other entries still refer to this user. Change them first.")}
    return form_errors(error, request.translate)


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
