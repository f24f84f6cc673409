"""What refers to users, and what their deletion does to it: counted, and moved to another user."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from sqlalchemy import ColumnElement, Select, Text, and_, cast, false, func, not_, or_, select

from app.core.errors import UserReferenced
from app.db.transaction import WriteTransaction
from app.query.collection import ACTIVITY, REVISIONS, USERS
from app.query.custom_fields import CUSTOMIZABLE
from app.query.sql_writes import in_list
from app.repositories.references.foreign_keys import ForeignKey, read_foreign_keys, table_clause

ReferenceAction = Literal["cascade", "set_null", "set_default", "blocked", "reassigned", "kept"]
"""What a deletion does: delete the row, empty or reset its column, be refused, move it to another user, or nothing."""

MAX_CASCADES = 3
"""How many tables deep rows are followed that are deleted because other rows are."""
RELEASED = {
    ("directus_comments", "user_updated"),
    ("directus_notifications", "sender"),
    ("directus_versions", "user_updated"),
}
"""References that Directus sets to null itself when it deletes a user, though their foreign keys don't."""
NEVER_MOVED = RELEASED | {("directus_comments", "user_created"), ("directus_shares", "user_created")}
"""References that stay a statement about the deleted user: what it wrote or sent, and a share, which has its rights."""
_ACTIONS: dict[str, ReferenceAction] = {"CASCADE": "cascade", "SET NULL": "set_null", "SET DEFAULT": "set_default"}


@dataclass(frozen=True, slots=True)
class UserReference:
    """How many rows of a table refer by a column to the deleted users, or to rows deleted with them."""

    table: str
    column: str
    count: int
    action: ReferenceAction


def is_movable(key: ForeignKey) -> bool:
    """Return whether references by this foreign key may be moved to another user.

    Rights, sessions and whatever else belongs to the person never move: in Directus' own tables that is what is deleted
    along with a user, and in Rollcall's own tables everything.
    """
    if key.target_name != USERS.name or key.target_column != USERS.key.name:
        return False
    return (key.name, key.column) not in NEVER_MOVED and not is_personal(key)


def is_personal(key: ForeignKey) -> bool:
    """Return whether the rows that refer by this foreign key belong to the user, such as sessions and rights.

    A column that a project added to a table of Directus does not say so.
    """
    if key.name.startswith("rollcall_"):
        return True
    return key.name.startswith("directus_") and key.name not in CUSTOMIZABLE and key.on_delete == "CASCADE"


class UserReferences:
    """The references to the users with these keys in one transaction; if `reassigned`, movable ones are to be moved."""

    def __init__(self, foreign_keys: Sequence[ForeignKey], users: Sequence[str], *, reassigned: bool = False) -> None:
        self._foreign_keys, self._users, self._reassigned = foreign_keys, list(users), reassigned
        self._deletable = self._find_deletable()

    @classmethod
    async def read(cls, writer: WriteTransaction, users: Sequence[str], *, reassigned: bool = False) -> Self:
        """Read the foreign keys of the database and return the references to these users."""
        return cls(await read_foreign_keys(writer), users, reassigned=reassigned)

    @property
    def direct(self) -> list[ForeignKey]:
        """The foreign keys that refer to users."""
        return [key for key in self._foreign_keys if key.target_name == USERS.name]

    def action(self, key: ForeignKey) -> ReferenceAction:
        """Return what the deletion does to the rows that refer by a foreign key."""
        if self._reassigned and is_movable(key):
            return "reassigned"
        if key.target_name == USERS.name and (key.name, key.column) in RELEASED:
            return "set_null"
        return _ACTIONS.get(key.on_delete, "blocked")

    async def count(self, writer: WriteTransaction) -> list[UserReference]:
        """Return the references that exist, with the number of their rows: those with a foreign key first."""
        followed = [(key.name, key.column, self.action(key), self._count(key)) for key in self._followed]
        return await _counted(writer, [*followed, *_without_foreign_key(self._users)])

    async def check_not_blocked(self, writer: WriteTransaction) -> None:
        """Raise UserReferenced if a foreign key keeps the users from being deleted."""
        blocking = [key for key in self._followed if self.action(key) == "blocked"]
        blocked = await _counted(writer, [(key.name, key.column, "blocked", self._count(key)) for key in blocking])
        if blocked:
            user = self._users[0] if len(self._users) == 1 else None
            raise UserReferenced([(one.table, one.column, one.count) for one in blocked], user)

    @property
    def _followed(self) -> list[ForeignKey]:
        """The foreign keys that refer to users, then those that refer to rows deleted along with them."""
        return [key for target in self._deletable for key in self._foreign_keys if key.target_name == target]

    def _find_deletable(self) -> list[str]:
        """Return the tables that may lose rows: users, and those whose foreign keys pass the deletion on."""
        deletable = [USERS.name]
        for target in deletable:  # which grows meanwhile
            referring = (key for key in self._foreign_keys if key.target_name == target)
            names = dict.fromkeys(key.name for key in referring if self.action(key) == "cascade")
            deletable += [name for name in names if name not in deletable]
        return deletable

    def _count(self, key: ForeignKey) -> Select[Any]:
        rows = self._rows(key.name)
        condition = self._refers(key, rows, 0)
        if self.action(key) == "blocked" and (key.on_delete != "RESTRICT" or key.name == key.target_name):
            condition = and_(condition, not_(func.coalesce(self._is_deleted(key.name, rows, 0), false())))
        return select(func.count()).select_from(rows).where(condition)

    def _refers(self, key: ForeignKey, rows: Any, depth: int) -> ColumnElement[bool]:
        """Return the condition that a row refers by a foreign key to a row that is deleted."""
        target = self._rows(key.target_name)
        deleted = select(target.c[key.target_column]).where(self._is_deleted(key.target_name, target, depth))
        refers: ColumnElement[bool] = rows.c[key.column].in_(deleted)
        return refers

    def _is_deleted(self, table: str, rows: Any, depth: int) -> ColumnElement[bool]:
        """Return the condition that a row of a table is deleted: as one of the users, or by a cascade."""
        conditions = [in_list(rows.c[USERS.key.name], self._users)] if table == USERS.name else []
        keys = (key for key in self._foreign_keys if key.name == table and key.target_name in self._deletable)
        if depth < MAX_CASCADES:
            conditions += [self._refers(key, rows, depth + 1) for key in keys if self.action(key) == "cascade"]
        return or_(false(), *conditions)

    def _rows(self, table: str) -> Any:
        """Return a table under a new alias, with the columns that foreign keys use."""
        names = {USERS.key.name} if table == USERS.name else set()
        schema, name = None, table
        for key in self._foreign_keys:
            if key.name == table:
                schema, name = key.schema, key.table
                names.add(key.column)
            if key.target_name == table:
                schema, name = key.target_schema, key.target
                names.add(key.target_column)
        return table_clause(schema, name, *sorted(names)).alias()


_Counted = tuple[str, str, ReferenceAction, Select[Any]]


def _without_foreign_key(users: Sequence[str]) -> Iterator[_Counted]:
    """Yield the references of the audit log, which have no foreign key, so that it outlives the account."""
    fields = ACTIVITY.fields
    author = in_list(fields["user"].stored, users)
    yield ACTIVITY.name, "user", "kept", select(func.count()).select_from(ACTIVITY.table).where(author)
    for collection in (ACTIVITY, REVISIONS):
        fields = collection.fields
        about = and_(fields["collection"].stored == USERS.name, in_list(cast(fields["item"].stored, Text), users))
        yield collection.name, "item", "kept", select(func.count()).select_from(collection.table).where(about)


async def _counted(writer: WriteTransaction, counted: Sequence[_Counted]) -> list[UserReference]:
    """Return the references that have rows, all counted by one statement."""
    if not counted:
        return []
    counts = await writer.fetch(select(*(count.scalar_subquery() for *_, count in counted)))
    return [
        UserReference(table, column, count, action)
        for (table, column, action, _), count in zip(counted, counts, strict=True)
        if count
    ]
