"""The command that deletes users after counting what refers to them, and moving it to another user if requested."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from app.core.errors import Forbidden, InvalidForeignKey, InvalidPayload
from app.query.collection import USERS
from app.query.parameters import QueryParser
from app.query.results import Row
from app.repositories.engine.commands import Delete, current_keys
from app.repositories.engine.unit_of_work import UnitOfWork
from app.repositories.references.reassignment import move_references
from app.repositories.references.user_references import UserReference, UserReferences


@dataclass(frozen=True, slots=True)
class DeleteUsers(Delete):
    """Deletes users after their references were moved to the user `reassign_to`, if there is one.

    `references` are filled with what refers to the users before that. If it is a `dry_run`, which the transaction must
    roll back, a deletion that references block is no error.

    Only admins may reassign, because the rows may be in any table. Other callers get the references of the fields they
    may read, counted as far as they may see the rows.
    """

    reassign_to: str | None = None
    dry_run: bool = False
    references: list[UserReference] = field(default_factory=list)

    async def apply(self, work: UnitOfWork) -> list[Any]:
        if self.reassign_to is not None and not work.access.admin:
            raise Forbidden
        self.references.clear()  # a transaction may be repeated
        keys = await current_keys(work, self.collection, self.keys)
        if not keys:
            return keys
        found = await UserReferences.read(work.writer, keys, reassigned=self.reassign_to is not None)
        self.references.extend(await _count(work, found, keys))
        if self.reassign_to is not None:
            await _check_target(work, self.reassign_to, keys)
            await move_references(work.writer, work.audit_log, found.direct, keys, self.reassign_to)
        try:
            await work.delete(self.collection, keys)
        except InvalidForeignKey:
            if not self.dry_run:
                raise
        return keys


async def _count(work: UnitOfWork, found: UserReferences, keys: Sequence[Any]) -> list[UserReference]:
    return await found.count(work.writer) if work.access.admin else await _visible(work, found, keys)


async def _check_target(work: UnitOfWork, target: str, keys: Sequence[Any]) -> None:
    """Raise InvalidPayload unless the target exists and is not going to be deleted; it stays until the commit."""
    if target in keys:
        raise InvalidPayload('"reassign_to" is among the users to delete; choose another user')
    if not await work.rows(USERS).existing([target], lock=True):
        raise InvalidPayload('"reassign_to" is the id of no user')


async def _visible(work: UnitOfWork, found: UserReferences, keys: Sequence[Any]) -> list[UserReference]:
    """Return the references that the caller could count itself: of fields it may read, in rows it may see."""
    limits, registry, references = work.services.limits, work.services.registry, []
    parser = QueryParser(limits, lambda collection: work.access.fields("read", collection), limits.size_counter())
    for key in found.direct:
        collection = registry.get(key.name)
        if collection is None or collection.fields.get(key.column) not in work.access.fields("read", collection):
            continue
        try:
            query = parser.count(collection, {"filter": {key.column: {"_in": list(keys)}}})
            rows: list[Row] = await work.read(query)
        except Forbidden:
            continue
        if count := int(rows[0]["count"]):
            references.append(UserReference(key.name, key.column, count, found.action(key)))
    return references
