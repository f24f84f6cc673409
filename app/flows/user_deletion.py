"""Deletes users with care: says what refers to them first, and moves it to another user."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from app.core.errors import Forbidden, InvalidPayload
from app.query.collection import Collection
from app.query.payload import parse_key
from app.repositories.commands.user_deletions import DeleteUsers
from app.repositories.directory import Directory
from app.repositories.engine.commands import Delete
from app.repositories.references.user_references import UserReference


@dataclass(frozen=True, slots=True)
class DeletionOptions:
    """How users are deleted: whose their references become, and whether the deletion is only a `dry_run`."""

    reassign_to: str | None = None
    dry_run: bool = False

    def __bool__(self) -> bool:
        """Return whether it differs from an ordinary deletion."""
        return self.dry_run or self.reassign_to is not None


@dataclass(frozen=True, slots=True)
class DeletionReport:
    """The keys of deleted users and what referred to them; with a dry run, of those that would be deleted."""

    keys: Sequence[Any]
    references: Sequence[UserReference]

    @property
    def reference_rows(self) -> list[dict[str, Any]]:
        """The references as a client receives them."""
        return [asdict(reference) for reference in self.references]


async def delete_users(
    directory: Directory, keys: Sequence[Any] | Mapping[str, Any], options: DeletionOptions
) -> DeletionReport:
    """Delete the users with these keys, or those that a query selects, in one transaction.

    Raises:
        Forbidden: The caller may not delete them, or reassigns and is no admin.
        InvalidPayload: `reassign_to` is no user, or one of those to delete.
        InvalidForeignKey: Rows that are not reassigned still refer to them; not raised by a dry run.
        UnprocessableContent: The last admin would go, or a row can't be reassigned.
    """
    users = directory["users"]
    command: Delete = users.delete_by_query_command(keys) if isinstance(keys, Mapping) else users.delete_command(keys)
    target = None if options.reassign_to is None else _parse_target(users.collection, options.reassign_to)
    deletion = DeleteUsers(command.collection, command.keys, reassign_to=target, dry_run=options.dry_run)
    if options.dry_run:
        return DeletionReport(await users.dry_run(deletion), deletion.references)
    return DeletionReport((await users.write(deletion)).keys, deletion.references)


def _parse_target(users: Collection, value: str) -> str:
    try:
        return str(parse_key(users, value))
    except Forbidden:
        raise InvalidPayload('"reassign_to" must be the id of a user') from None
