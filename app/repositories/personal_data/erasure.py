"""The statements that erase what is stored about a person: rows are deleted, or lose what identifies the person."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Text, cast, column, delete, func, or_, select, table, update
from sqlalchemy.sql.dml import ReturningUpdate

from app.core.email_addresses import email_spellings
from app.db.models import ATTEMPTS, OUTBOX
from app.db.transaction import WriteTransaction
from app.query.collection import ACTIVITY, REVISIONS, SETTINGS, USERS
from app.query.sql_writes import in_list
from app.repositories.engine.table import RowStore
from app.repositories.personal_data.personal_rows import is_recipient, is_row_of, read_addresses
from app.repositories.personal_data.stored_rows import read_columns, refers_to
from app.repositories.references.foreign_keys import ForeignKey
from app.repositories.stores.login_attempts import hashes_of_person

ERASED = "erased"
"""The text that replaces an email address in a value that remains."""
ARCHIVED = "archived"
UNCHANGED_COLUMNS = frozenset({"id", "provider", "email_notifications", "text_direction"})
"""The columns that anonymizing a user does not change: they say nothing about the person, and can't be null."""


@dataclass(frozen=True, slots=True)
class ErasedRows:
    """How many rows of a table were deleted, or lost what identifies the person."""

    table: str
    count: int
    action: Literal["deleted", "anonymized"]


class PersonalDataEraser:
    """Erases what is stored about a user in one transaction, except for the user's row; `erased` says what."""

    def __init__(self, writer: WriteTransaction, user: str, email: str | None) -> None:
        self._writer, self._user, self._email = writer, user, email
        self.erased: list[ErasedRows] = []

    async def erase(self) -> None:
        """Erase the rows that the deletion of a user leaves: attempts, mails, activity, revisions, and settings."""
        addresses = await read_addresses(self._writer, self._user)
        subjects = hashes_of_person(self._user, self._email, addresses)
        await self._delete(ATTEMPTS, in_list(ATTEMPTS.c.subject, subjects))
        await self._anonymize_activity()
        await self._anonymize_revisions()
        if self._email is not None:
            await self._delete(OUTBOX, is_recipient(self._email)(OUTBOX))
            await self._replace_email(self._email)
            await self._forget_owner(self._email)

    async def delete_rows(self, keys: Iterable[ForeignKey]) -> None:
        """Delete the rows that refer to the user by these foreign keys."""
        for key in keys:
            rows = key.table_clause()
            await self._writer.execute(delete(rows).where(refers_to(self._user, key.column)(rows)))

    async def anonymize_user(self) -> None:
        """Empty the user's row, custom columns included; its email becomes a placeholder and its status archived."""
        columns = [one for one in await read_columns(self._writer, USERS.name) if one.name not in UNCHANGED_COLUMNS]
        values: dict[str, Any] = {one.name: None for one in columns if one.nullable}
        values |= {one.name: "" for one in columns if not one.nullable and one.is_text}
        values |= {"email": placeholder_email(self._user), "status": ARCHIVED}
        rows = table(USERS.name, *(column(name) for name in ("id", *values)))
        await self._writer.execute(update(rows).where(refers_to(self._user, "id")(rows)).values(values))
        self.erased.append(ErasedRows(USERS.name, 1, "anonymized"))

    async def _anonymize_activity(self) -> None:
        rows = ACTIVITY.table
        details = ("ip", "user_agent", "origin")
        has_details = or_(*(rows.c[name].is_not(None) for name in details))
        statement = update(rows).where(refers_to(self._user, "user")(rows), has_details)
        await self._anonymize(ACTIVITY.name, statement.values(dict.fromkeys(details)).returning(rows.c.id))

    async def _anonymize_revisions(self) -> None:
        """Empty the revisions of the user's row, which repeat its values."""
        rows = REVISIONS.table
        has_values = or_(rows.c.data.is_not(None), rows.c.delta.is_not(None))
        statement = update(rows).where(is_row_of(self._user)(rows), has_values)
        await self._anonymize(REVISIONS.name, statement.values(data=None, delta=None).returning(rows.c.id))

    async def _replace_email(self, email: str) -> None:
        """Replace the email address in the revisions of other rows, such as those of the settings."""
        rows, pattern = REVISIONS.table, email_pattern(email)
        texts = [func.lower(cast(rows.c[name], Text)) for name in ("data", "delta")]
        contains = [text.contains(one.lower(), autoescape=True) for text in texts for one in email_spellings(email)]
        found = await self._writer.rows(
            self._writer.prepare(select(rows.c.id, rows.c.data, rows.c.delta).where(or_(*contains)))
        )
        fields = REVISIONS.fields
        for key, data, delta in found:
            values = {fields["data"]: replaced(data, pattern), fields["delta"]: replaced(delta, pattern)}
            await RowStore(self._writer, REVISIONS).update(key, values)
        self._add(REVISIONS.name, len(found), "anonymized")

    async def _forget_owner(self, email: str) -> None:
        """Empty the owner of the project in the settings, an email address, if it is that of the user."""
        owner = SETTINGS.table.c.project_owner
        spellings = [spelling.lower() for spelling in email_spellings(email)]
        statement = update(SETTINGS.table).where(or_(*(func.lower(owner) == one for one in spellings)))
        await self._anonymize(SETTINGS.name, statement.values(project_owner=None).returning(SETTINGS.table.c.id))

    async def _delete(self, rows: Any, where: ColumnElement[bool]) -> None:
        deleted = await self._writer.execute(delete(rows).where(where).returning(next(iter(rows.c))))
        self._add(rows.name, len(deleted), "deleted")

    async def _anonymize(self, name: str, statement: ReturningUpdate[Any]) -> None:
        self._add(name, len(await self._writer.execute(statement)), "anonymized")

    def _add(self, name: str, count: int, action: Literal["deleted", "anonymized"]) -> None:
        if count:
            self.erased.append(ErasedRows(name, count, action))


def placeholder_email(user: str) -> str:
    """Return the email address of an anonymized user, which no mail can reach."""
    return f"{user}@{ERASED}.invalid"


def email_pattern(email: str) -> re.Pattern[str]:
    """Return a pattern that finds an email address in any spelling and case."""
    return re.compile("|".join(re.escape(spelling) for spelling in email_spellings(email)), re.IGNORECASE)


def replaced(value: Any, pattern: re.Pattern[str]) -> Any:
    """Return a JSON value with what a pattern finds in its texts, and in the names of its members, replaced."""
    if isinstance(value, str):
        return pattern.sub(ERASED, value)
    if isinstance(value, list):
        return [replaced(item, pattern) for item in value]
    if isinstance(value, Mapping):
        return {replaced(name, pattern): replaced(item, pattern) for name, item in value.items()}
    return value
