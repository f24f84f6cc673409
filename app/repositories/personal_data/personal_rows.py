"""Everything that the database holds about a person, as one JSON document."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Text, and_, cast, func, or_, select

from app.core.email_addresses import email_spellings
from app.db.models import ATTEMPTS, OUTBOX
from app.db.transaction import WriteTransaction
from app.query.collection import ACTIVITY, REVISIONS, USERS, Registry
from app.query.sql_writes import in_list
from app.repositories.personal_data.stored_rows import read_rows, refers_to
from app.repositories.references.user_references import UserReference, UserReferences
from app.repositories.stores.login_attempts import hashes_of_person

PERSONAL_COLUMNS = {
    ("directus_comments", "user_created"),
    ("directus_files", "uploaded_by"),
    ("directus_notifications", "recipient"),
    ("directus_notifications", "sender"),
    ("directus_presets", "user"),
    ("directus_sessions", "user"),
    ("directus_shares", "user_created"),
}
"""References whose rows are about the person. All others are counted, because their rows may be about others too."""
CLIENT_FIELDS = ("user", "ip", "user_agent", "origin")
"""The fields of activity that are about its author."""


class PersonalDataReader:
    """Reads what is stored about one user in one transaction."""

    def __init__(self, writer: WriteTransaction, registry: Registry, user: str) -> None:
        self._writer, self._registry, self._user = writer, registry, user

    async def read_user(self) -> dict[str, Any] | None:
        """Return the user's row, custom columns included, without secrets; None if there is none."""
        users = self._registry.own(USERS)
        concealed = [field.name for field in users.fields.values() if field.concealed]
        is_user = refers_to(self._user, "id")
        rows = await read_rows(self._writer, USERS.name, is_user, known=users.table, hidden=concealed)
        return rows[0] if rows else None

    async def read_tables(self, email: str | None) -> dict[str, list[dict[str, Any]]]:
        """Return the rows about the user by table: those that refer to it, the audit log, and queued mails."""
        columns = defaultdict(list)
        references = await UserReferences.read(self._writer, [self._user])
        for key in references.direct:
            if (key.name, key.column) in PERSONAL_COLUMNS or key.name.startswith("rollcall_"):
                columns[key.name].append(key.column)
        rows = {name: await read_rows(self._writer, name, refers_to(self._user, *columns[name])) for name in columns}
        activity = await self._read_activity()
        rows |= {ACTIVITY.name: activity, REVISIONS.name: await self._read_revisions()}
        if email is not None:
            rows[str(OUTBOX.name)] = await read_rows(self._writer, OUTBOX.name, is_recipient(email))
        return {name: found for name, found in sorted(rows.items()) if found}

    async def count_attempts(self, email: str | None) -> int:
        """Return how many attempts of the user are counted: logins, one-time passwords, and mails."""
        subjects = hashes_of_person(self._user, email, await read_addresses(self._writer, self._user))
        counted = select(func.coalesce(func.sum(ATTEMPTS.c.count), 0)).where(in_list(ATTEMPTS.c.subject, subjects))
        return int((await self._writer.fetch(counted))[0])

    async def count_references(self) -> list[UserReference]:
        """Return the references to the user whose rows are not part of the document."""
        found = await UserReferences.read(self._writer, [self._user])
        direct = {(key.name, key.column) for key in found.direct} - PERSONAL_COLUMNS
        counted = await found.count(self._writer)
        return [one for one in counted if (one.table, one.column) in direct and not one.table.startswith("rollcall_")]

    async def _read_activity(self) -> list[dict[str, Any]]:
        """Return the activity of the user, and that of others on its row without what it says about them."""
        own = await read_rows(self._writer, ACTIVITY.name, refers_to(self._user, "user"))
        numbers = {row["id"] for row in own}
        about = await read_rows(self._writer, ACTIVITY.name, is_row_of(self._user), hidden=CLIENT_FIELDS)
        return sorted([*own, *(row for row in about if row["id"] not in numbers)], key=lambda row: row["id"])

    async def _read_revisions(self) -> list[dict[str, Any]]:
        """Return the revisions of the user's row, and which others the user made: their values are about other rows."""
        about = await read_rows(self._writer, REVISIONS.name, is_row_of(self._user))
        numbers = {row["id"] for row in about}
        own_activity = select(ACTIVITY.table.c.id).where(refers_to(self._user, "user")(ACTIVITY.table))

        def is_author(source: FromClause) -> ColumnElement[bool]:
            return source.c.activity.in_(own_activity)

        made = await read_rows(self._writer, REVISIONS.name, is_author, hidden=("data", "delta"))
        return sorted([*about, *(row for row in made if row["id"] not in numbers)], key=lambda row: row["id"])


def is_row_of(user: str) -> Callable[[FromClause], ColumnElement[bool]]:
    """Return the condition that an entry of the audit log is about the row of a user."""
    return lambda source: and_(source.c.collection == USERS.name, cast(source.c.item, Text) == user)


def is_recipient(email: str) -> Callable[[FromClause], ColumnElement[bool]]:
    """Return the condition that a queued mail goes to an email address, in any spelling."""
    spellings = [spelling.lower() for spelling in email_spellings(email)]
    return lambda source: or_(*(func.lower(source.c.recipient) == spelling for spelling in spellings))


async def read_addresses(writer: WriteTransaction, user: str) -> list[str]:
    """Return the IP addresses that sessions and activity have of a user."""
    found: set[str] = set()
    for name in ("directus_sessions", ACTIVITY.name):
        rows = await read_rows(writer, name, refers_to(user, "user"))
        found |= {row["ip"] for row in rows if row["ip"]}
    return sorted(found)
