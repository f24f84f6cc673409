"""Restores the rows of a database after a test: those of the tables that the test has changed.

Triggers record which tables change. The other tables stay as they are, so that a server keeps its plans of queries
unless the test changed roles, policies, access or permissions.
"""

import asyncio
import sqlite3
from contextlib import closing

from sqlalchemy import inspect

from app.db.base import POSTGRESQL, Base
from app.db.models import DIRECTUS_TABLES

DESCRIPTIONS = ("directus_collections", "directus_fields", "directus_relations")
"""Tables that no test with these databases writes to: each change of them makes every server load its fields again."""
TABLES = [table for table in DIRECTUS_TABLES if table.name not in DESCRIPTIONS]
"""The tables that are copied, in an order in which rows can be inserted."""
TABLES_WITH_SEQUENCES = ("directus_activity", "directus_permissions", "directus_revisions", "directus_settings")
KEPT_TABLES = {
    "rollcall_event_capture",
    "rollcall_events",
    "rollcall_lock",
    "rollcall_origin",
    "rollcall_tasks",
    "rollcall_version",
}
ROLLCALL_TABLES = [
    table.name
    for table in reversed(Base.metadata.sorted_tables)
    if table.name.startswith("rollcall_") and table.name not in KEPT_TABLES
]
"""Tables that are emptied."""
TRACKED_TABLES = [*ROLLCALL_TABLES, *(table.name for table in TABLES)]

COPY_TABLES = "CREATE TABLE changed_tables (name text NOT NULL);" + "".join(
    f"CREATE TABLE pristine_{table.name} AS SELECT * FROM {table.name};" for table in TABLES
)

# concurrent transactions must not wait for each other here, so a name may be recorded more than once
POSTGRESQL_TRIGGERS = """
CREATE FUNCTION record_changed_table() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO changed_tables VALUES (TG_TABLE_NAME);
    RETURN NULL;
END $$;
""" + "".join(
    f"""
CREATE TRIGGER record_changed_table AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {name} FOR EACH STATEMENT
WHEN (current_setting('tests.restoring', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION record_changed_table();
"""
    for name in TRACKED_TABLES
)
SQLITE_TRIGGERS = "".join(
    f"""
CREATE TRIGGER record_{event}_{name} AFTER {event} ON {name}
WHEN NOT EXISTS (SELECT 1 FROM changed_tables WHERE name = '{name}')
BEGIN INSERT INTO changed_tables VALUES ('{name}'); END;
"""
    for name in TRACKED_TABLES
    for event in ("INSERT", "UPDATE", "DELETE")
)

POSTGRESQL_RESTORE = """
CREATE FUNCTION restore_rows() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    changed text[];
BEGIN
    PERFORM set_config('tests.restoring', 'on', true);
    WITH deleted AS (DELETE FROM changed_tables RETURNING name) SELECT array_agg(name) INTO changed FROM deleted;
    BEGIN
        {restore_changed}
    EXCEPTION WHEN integrity_constraint_violation THEN
        {restore_all}
    END;
    {reset_sequences}
END $$;
"""


def _if_changed(name: str, statement: str) -> str:
    return f"IF '{name}' = ANY(changed) THEN {statement} END IF;"


def _upsert(name: str, key: str, columns: list[str]) -> str:
    values = ", ".join(f'"{column}" = excluded."{column}"' for column in columns)
    names = ", ".join(f'"{column}"' for column in columns)
    return (
        f"INSERT INTO {name} ({names}) SELECT {names} FROM pristine_{name} ON CONFLICT ({key}) DO UPDATE SET {values};"
    )


def _postgresql_restore(columns: dict[str, list[str]]) -> str:
    """Return the function that restores the rows.

    A row that the copy has is changed in place: its deletion would change the rows that refer to it.
    """
    names = [table.name for table in TABLES]
    keys = {table.name: next(iter(table.primary_key.columns)).name for table in TABLES}
    deletions = {name: f"DELETE FROM {name};" for name in ROLLCALL_TABLES} | {
        name: f"DELETE FROM {name} WHERE {keys[name]} NOT IN (SELECT {keys[name]} FROM pristine_{name});"
        for name in reversed(names)
    }
    changed = [_if_changed(name, deletion) for name, deletion in deletions.items()]
    changed += [_if_changed(name, _upsert(name, keys[name], columns[name])) for name in names]
    everything = [f"DELETE FROM {name};" for name in (*ROLLCALL_TABLES, *reversed(names))]
    everything += [f"INSERT INTO {name} SELECT * FROM pristine_{name};" for name in names]
    sequences = (
        f"PERFORM setval(pg_get_serial_sequence('{name}', 'id'), (SELECT coalesce(max(id), 1) FROM {name}));"
        for name in TABLES_WITH_SEQUENCES
    )
    return POSTGRESQL_RESTORE.format(
        restore_changed="\n".join(changed), restore_all="\n".join(everything), reset_sequences="\n".join(sequences)
    )


async def _run_script(system, script):
    """Run statements in one transaction on a connection that the system has already."""
    async with system.database.transaction() as connection:
        await (await connection.get_raw_connection()).driver_connection.execute(script)


_CONNECTIONS: dict[str, sqlite3.Connection] = {}
"""The connections that restore rows, by URL: a new one for each test would read the whole schema first."""


def _sqlite_file(system):
    url = system.settings.database_url
    if url not in _CONNECTIONS:
        _CONNECTIONS[url] = sqlite3.connect(url.partition(":///")[2], check_same_thread=False)
        _CONNECTIONS[url].execute("PRAGMA synchronous=OFF")
    return _CONNECTIONS[url]


def close_connection(url):
    """Close the connection to a database that is no longer used, if there is one."""
    if connection := _CONNECTIONS.pop(url, None):
        connection.close()


def _save_sqlite(system):
    with closing(sqlite3.connect(system.settings.database_url.partition(":///")[2])) as file:
        file.executescript(f"BEGIN;{COPY_TABLES}{SQLITE_TRIGGERS}COMMIT;")


def _restore_sqlite(system):
    # foreign keys are not enforced on this connection, so other tables stay as they are
    with _sqlite_file(system) as file:
        file.execute("BEGIN IMMEDIATE")
        for (name,) in file.execute("SELECT DISTINCT name FROM changed_tables").fetchall():
            file.execute(f"DELETE FROM {name}")
            if name not in ROLLCALL_TABLES:
                file.execute(f"INSERT INTO {name} SELECT * FROM pristine_{name}")
        file.execute("DELETE FROM changed_tables")


async def save_rows(system):
    """Copy the rows of a database, to which `restore_rows` returns."""
    if system.database.dialect != POSTGRESQL:
        await asyncio.to_thread(_save_sqlite, system)
        return
    async with system.database.transaction() as connection:
        found = await connection.run_sync(
            lambda sync: inspect(sync).get_multi_columns(filter_names=[table.name for table in TABLES])
        )
    columns = {table: [column["name"] for column in described] for (_, table), described in found.items()}
    await _run_script(system, COPY_TABLES + POSTGRESQL_TRIGGERS + _postgresql_restore(columns))


async def restore_rows(system):
    """Restore the rows that the database had at `save_rows`."""
    if system.database.dialect != POSTGRESQL:
        # a thread, because a background job of a server in this event loop may hold the file's lock
        await asyncio.to_thread(_restore_sqlite, system)
        return
    await _run_script(system, "SELECT restore_rows()")
