"""Loads the registry of a database: the built-in collections with the custom fields that it describes."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson
import structlog
from sqlalchemy import Connection, bindparam, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.errors import ServiceUnavailable
from app.db.base import POSTGRESQL
from app.db.database import Database
from app.db.driver_errors import DATABASE_UNAVAILABLE
from app.query.collection import BUILT_IN, Registry
from app.query.custom_fields import CUSTOMIZABLE, FieldDefinition, RelationDefinition, extended_registry
from app.query.sql_functions import GRAPHQL_NAME
from app.repositories.schema.column_types import column_type

SELECT_TOKEN = text("SELECT schema_token FROM rollcall_version")
SELECT_FIELDS = text(
    "SELECT collection, field, special, note, validation FROM directus_fields WHERE collection IN :names ORDER BY id"
).bindparams(bindparam("names", expanding=True))
SELECT_RELATIONS = text(
    "SELECT many_collection, many_field, one_collection, one_field FROM directus_relations "
    "WHERE many_collection IN :names ORDER BY id"
).bindparams(bindparam("names", expanding=True))

SELECT_SQLITE_ACTIONS = text(
    'SELECT one.name, link."from", link.on_delete FROM sqlite_master AS one '
    "JOIN pragma_foreign_key_list(one.name) AS link WHERE one.name IN :names"
).bindparams(bindparam("names", expanding=True))
"""What foreign keys do on delete: SQLAlchemy reads that only of those which are written after the columns."""

log = structlog.get_logger(__name__)

Columns = Mapping[str, Mapping[str, Any]]
"""The columns of each table by name, as SQLAlchemy reflects them."""
ForeignKeys = Mapping[tuple[str, str], Any]
"""The foreign keys of single columns by table and column."""


class LoadedSchema(NamedTuple):
    """A registry, and the schema token of the database that it was loaded at."""

    registry: Registry
    token: str


def count_custom_fields(registry: Registry) -> int:
    """Return how many fields a registry has that the built-in one lacks."""
    return sum(len(collection.fields.keys() - BUILT_IN[name].fields.keys()) for name, collection in registry.items())


async def read_schema_token(database: Database) -> str:
    """Return the current schema token, read without a transaction.

    Raises:
        ServiceUnavailable: The database is unavailable.
    """
    return str((await database.reader.fetch(SELECT_TOKEN))[0])


async def load_schema(database: Database, known_token: str = "") -> LoadedSchema | None:
    """Return the registry of a database; that of the built-in collections if it has no custom fields.

    None if the schema token is still the known one. Custom columns whose type or name cannot be served are logged and
    left out.

    Raises:
        ServiceUnavailable: The database is unavailable.
    """
    async with database.transaction() as connection:
        # read first: a change that is made meanwhile renews the token, and the registry is loaded again
        token = await _read_token(connection)
        if token == known_token:
            return None
        return LoadedSchema(await read_registry(connection), token)


async def read_registry(connection: AsyncConnection) -> Registry:
    """Return the registry as `load_schema` does, in a transaction that may have changed the schema itself."""
    names = {"names": sorted(CUSTOMIZABLE)}
    rows = [row for row in await connection.execute(SELECT_FIELDS, names) if _is_custom(row)]
    if not rows:
        return BUILT_IN
    relations = list(await connection.execute(SELECT_RELATIONS, names))
    columns, keys = await _reflect(connection)
    return extended_registry(_fields(rows, columns), _relations(rows, relations, keys))


async def _read_token(connection: AsyncConnection) -> str:
    try:
        return str((await connection.execute(SELECT_TOKEN)).scalar_one())
    except DBAPIError:  # the database is not migrated
        raise ServiceUnavailable(DATABASE_UNAVAILABLE) from None


def _is_custom(row: Any) -> bool:
    return row.field not in BUILT_IN[row.collection].fields


async def _reflect(connection: AsyncConnection) -> tuple[Columns, ForeignKeys]:
    names = {"names": sorted(CUSTOMIZABLE)}

    def reflect(sync_connection: Connection) -> tuple[Columns, ForeignKeys]:
        inspector = inspect(sync_connection)
        columns = inspector.get_multi_columns(filter_names=sorted(CUSTOMIZABLE))
        keys = inspector.get_multi_foreign_keys(filter_names=sorted(CUSTOMIZABLE))
        by_table = {table: {column["name"]: column for column in found} for (_, table), found in columns.items()}
        by_column = {
            (table, key["constrained_columns"][0]): key
            for (_, table), found in keys.items()
            for key in found
            if len(key["constrained_columns"]) == 1
        }
        if sync_connection.dialect.name != POSTGRESQL:
            for table, column, action in sync_connection.execute(SELECT_SQLITE_ACTIONS, names):
                by_column[table, column]["options"]["ondelete"] = action
        return by_table, by_column

    return await connection.run_sync(reflect)


def _fields(rows: Iterable[Any], columns: Columns) -> Iterator[FieldDefinition]:
    for row in rows:
        column = columns[row.collection].get(row.field)
        if column is None:
            continue  # an alias, or a description without its column
        special = frozenset(filter(None, (row.special or "").split(",")))
        kind = column_type(column["type"], special)
        if kind is None or not _is_servable(row.field):
            log.warning("custom_field_not_served", collection=row.collection, field=row.field, type=str(column["type"]))
            continue
        yield FieldDefinition(
            row.collection,
            row.field,
            *kind,
            nullable=column["nullable"],
            has_default=column["default"] is not None,
            special=special,
            note=row.note,
            validation=_json_text(row.validation),
        )


def _relations(rows: Iterable[Any], relations: Iterable[Any], keys: ForeignKeys) -> Iterator[RelationDefinition]:
    described = {(row.collection, row.field) for row in rows}
    for row in relations:
        many = (row.many_collection, row.many_field)
        if many not in described or row.one_collection is None:
            continue
        has_alias = (row.one_collection, row.one_field) in described and _is_servable(row.one_field)
        key = keys.get(many)
        yield RelationDefinition(
            *many,
            target=row.one_collection,
            alias=row.one_field if has_alias else None,
            has_foreign_key=key is not None,
            on_delete=_on_delete(key),
        )


def _on_delete(key: Any) -> str | None:
    action: str | None = key["options"].get("ondelete") if key else None
    return None if action in ("NO ACTION", "RESTRICT") else action


def _is_servable(name: str) -> bool:
    """Return whether a field can have this name in GraphQL, beside the functions of other fields."""
    return bool(GRAPHQL_NAME.fullmatch(name)) and not name.startswith("__") and not name.endswith("_func")


def _json_text(value: Any) -> str | None:
    """Return a JSON value as text; the drivers return either."""
    if value is None or isinstance(value, str):
        return value or None
    return orjson.dumps(value).decode()
