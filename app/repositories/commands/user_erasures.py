"""The command that erases a person: it deletes the user, or anonymizes one that other rows must keep referring to."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from app.core.errors import Forbidden
from app.query.collection import USERS
from app.query.payload import Payload
from app.repositories.engine.unit_of_work import UnitOfWork
from app.repositories.personal_data.erasure import ErasedRows, PersonalDataEraser
from app.repositories.references.user_references import UserReference, UserReferences, is_personal
from app.repositories.rules.users import EMAIL

ERASE = "erase"
"""The action of an erasure in the audit log."""


@dataclass(slots=True)
class EraseUser:
    """Erases a user and what is stored about the person; only for admins and the system.

    After it ran, `references` are what referred to the user and what happened to it, `erased` the other rows that were
    changed, and `anonymized` says whether the user stays, because rows must keep referring to it.
    """

    user: str
    references: list[UserReference] = field(default_factory=list)
    erased: list[ErasedRows] = field(default_factory=list)
    anonymized: bool = False
    action: str = field(default="delete", init=False)

    def payloads(self) -> Iterable[Payload]:
        return ()

    async def apply(self, work: UnitOfWork) -> list[Any]:
        if not work.access.admin:
            raise Forbidden
        row = (await work.rows(USERS).fetch_for_update([self.user])).get(self.user)
        if row is None:
            raise Forbidden
        found = await UserReferences.read(work.writer, [self.user])
        counted = await found.count(work.writer)
        self.anonymized = any(one.action == "blocked" for one in counted)
        eraser = PersonalDataEraser(work.writer, self.user, row[EMAIL])
        await eraser.erase()
        if self.anonymized:
            deleted = [key for key in found.direct if is_personal(key)]
            await eraser.delete_rows(deleted)
            await eraser.anonymize_user()
            work.affected.admins = work.affected.user_access = True
            work.signed_out_self = work.signed_out_self or self.user == work.access.user
            names = {(key.name, key.column) for key in deleted}
            counted = [one if (one.table, one.column) in names else replace(one, action="kept") for one in counted]
        else:
            await work.delete(USERS, [self.user])
        await work.audit_log.record(ERASE, USERS, self.user)
        self.references, self.erased = counted, eraser.erased
        return [self.user]
