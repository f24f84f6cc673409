"""The transaction in which an admin changes fields and relations: DDL, the rows that describe them, and activity."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Table, delete, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from app.core.caller import Caller, ClientInfoFactory, no_client_info
from app.core.errors import Forbidden, InvalidPayload, UnprocessableContent
from app.db.connection import Row
from app.db.database import RetryTransaction
from app.db.engine import sqlstate
from app.db.statement import CompiledStatement
from app.db.transaction import WriteTransaction
from app.policy.rules import Access
from app.query.collection import Collection
from app.query.custom_fields import CUSTOMIZABLE
from app.repositories.engine.audit_log import AuditLog
from app.repositories.engine.constraints import violation_error
from app.repositories.services import Services
from app.repositories.system.catalog import SchemaState, cannot_read, state_columns
from app.repositories.system.columns import ColumnKey
from app.repositories.system.ddl import ColumnDefinition, ColumnReference
from app.repositories.system.default_values import default_literal
from app.repositories.system.field_types import TYPES, stored_type

LOCK_TIMEOUT = "SET LOCAL lock_timeout = '5s'"
"""How long DDL waits for statements that use the table; all later ones wait behind it."""
DUPLICATE_COLUMN = "42701"

T = TypeVar("T")


@dataclass(slots=True)
class SchemaTransaction:
    """One change of the schema, and what the database said about it before."""

    writer: WriteTransaction
    state: SchemaState
    audit: AuditLog

    @property
    def dialect(self) -> str:
        """The name of the database."""
        return self.writer.dialect.name

    def collection(self, name: str) -> Collection:
        """Return a collection that may have custom fields.

        Raises:
            Forbidden: There is no such collection.
            InvalidPayload: It has its built-in fields only.
        """
        collection = self.state.registry.get(name)
        if collection is None:
            raise Forbidden(cannot_read(name))
        if name not in CUSTOMIZABLE:
            raise InvalidPayload(f'Collection "{name}" has its built-in fields only')
        return collection

    async def run(self, statements: Iterable[str]) -> None:
        """Run statements without results."""
        for statement in statements:
            await self.fetch(statement)

    async def fetch(self, statement: str) -> Sequence[Row]:
        """Run a statement and return its rows."""
        return await self.writer.fetch_all(CompiledStatement(statement, (), (), ()))

    async def reload(self) -> SchemaState:
        """Return the state after the changes so far."""
        self.state = await _read_state(self.writer, self.state.access)
        return self.state

    def definition(self, key: ColumnKey) -> ColumnDefinition:
        """Return the definition of an existing column."""
        table, name = key
        column = self.state.columns.columns[key]
        special = (self.state.rows_by_field.get(key) or {}).get("special") or ()
        field_type = stored_type(column, special)
        indexes = self.state.columns.indexes.get(key, {})
        reference = self.state.columns.keys.get(key)
        return ColumnDefinition(
            table,
            name,
            declared_type(column, field_type, self.dialect),
            column["is_nullable"],
            default_literal(field_type, column["default_value"], self.dialect) if field_type in TYPES else "NULL",
            indexes.get(True),
            indexes.get(False),
            None if reference is None else ColumnReference(reference["foreign_key_table"], reference["on_delete"]),
        )

    async def insert_row(self, table: Table, values: Mapping[str, Any]) -> None:
        """Insert a row that describes a field or a relation."""
        rows = await self.writer.execute(insert(table).values(**values).returning(table.c.id))
        await self.audit.record_in("create", table.name, rows[0][0])

    async def update_row(self, table: Table, key: int, values: Mapping[str, Any]) -> None:
        """Update such a row; without values too, as this renews the schema token after a change of the column."""
        await self.writer.execute(update(table).where(table.c.id == key).values(**{"id": key, **values}))
        await self.audit.record_in("update", table.name, key)

    async def delete_rows(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """Delete such rows."""
        for row in rows:
            await self.writer.execute(delete(table).where(table.c.id == row["id"]))
            await self.audit.record_in("delete", table.name, row["id"])


def declared_type(column: Mapping[str, Any], field_type: str, dialect: str) -> str:
    """Return the type of an existing column in SQL."""
    if field_type not in TYPES:
        return str(column["data_type"])
    options = {
        "length": column["max_length"] or 0,
        "precision": column["numeric_precision"] or 0,
        "scale": column["numeric_scale"] or 0,
    }
    return TYPES[field_type].column_type(dialect, options)


class SchemaWriter:
    """Changes the schema for one caller, who must be an admin.

    Each change is one transaction, and only one of them runs at a time, on all nodes. It renews the schema token, so
    that every process notices with its next statement.
    """

    def __init__(self, caller: Caller, services: Services, client_info: ClientInfoFactory = no_client_info) -> None:
        self._caller, self._services, self._client_info = caller, services, client_info

    async def change(self, work: Callable[[SchemaTransaction], Awaitable[T]]) -> T:
        """Run `work` in one transaction and return its result.

        Raises:
            Forbidden: The caller is not an admin.
            InvalidPayload: The database rejects the change.
        """
        cache, attempts = self._services.access_cache, 0

        async def transaction(writer: WriteTransaction) -> T:
            nonlocal attempts
            attempts += 1
            reload = attempts > 1 and not self._caller.system
            access = await (cache.reload if reload else cache.access)(self._caller)
            if not await cache.is_current(self._caller, access, writer):
                raise RetryTransaction
            if not access.admin:
                raise Forbidden
            if writer.postgresql:
                await writer.fetch_all(CompiledStatement(LOCK_TIMEOUT, (), (), ()))
            state = await _read_state(writer, access)
            audit = AuditLog(writer, access.user, self._caller, self._client_info())
            return await work(SchemaTransaction(writer, state, audit))

        try:
            outcome = await self._services.database.run_write(transaction, exclusive=True)
        except IntegrityError as error:
            raise violation_error(error) from None
        except DBAPIError as error:
            raise _translated(error) from None
        self._services.access_changed.set()
        return outcome


async def _read_state(writer: WriteTransaction, access: Access) -> SchemaState:
    return SchemaState.parse(access, await writer.fetch(select(*state_columns(access, writer.dialect.name))))


def _translated(error: DBAPIError) -> Exception:
    """Return what an error of the database means for a client; an unexpected one as it is."""
    if sqlstate(error) == DUPLICATE_COLUMN:
        return InvalidPayload("The field already exists")
    if not sqlstate(error) and "after drop column" in str(error.orig):
        return UnprocessableContent("SQLite cannot drop a column that Directus gave a foreign key: drop it in Directus")
    return error
