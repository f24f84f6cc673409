"""Constraints that only the database knows, such as a project's own, become errors without the database's words."""

import pytest

from app.core.caller import SYSTEM
from app.core.errors import FailedValidation, InvalidForeignKey, RollcallError, UnprocessableContent
from tests.writes.conftest import run_sql

PROJECT_TABLE = "CREATE TABLE departments (id integer PRIMARY KEY);"


def with_column(system, definition):
    """SQL that recreates the empty table of folders with one more column, which SQLite cannot add."""
    if system.database.dialect == "postgresql":
        return f"ALTER TABLE directus_folders ADD COLUMN {definition};"
    return (
        "PRAGMA foreign_keys = OFF; DROP TABLE directus_folders;"
        " CREATE TABLE directus_folders (id char(36) PRIMARY KEY, name varchar(255) NOT NULL,"
        f" parent char(36) REFERENCES directus_folders (id), {definition});"
    )


async def create_folder(system):
    try:
        await system.directory(SYSTEM)["folders"].create_one({"name": "Papers"})
    except RollcallError as error:
        return error
    return None


async def test_a_required_column_of_the_project_is_reported_as_required(writable_db):
    await run_sql(writable_db.settings.database_url, with_column(writable_db, "floor integer NOT NULL"))

    error = await create_folder(writable_db)

    assert isinstance(error, FailedValidation)
    assert error.extensions == {"code": "FAILED_VALIDATION", "field": "floor", "type": "required", "path": []}


async def test_a_reference_of_the_project_to_a_missing_row_is_an_invalid_foreign_key(writable_db):
    definition = "department integer DEFAULT 99 REFERENCES departments (id)"
    await run_sql(writable_db.settings.database_url, PROJECT_TABLE + with_column(writable_db, definition))

    error = await create_folder(writable_db)

    assert isinstance(error, InvalidForeignKey)
    assert "99" not in str(error)


async def test_a_check_of_the_project_is_reported_without_its_text(writable_db):
    definition = "floor integer DEFAULT 7 CHECK (floor < 5)"
    await run_sql(writable_db.settings.database_url, with_column(writable_db, definition))

    error = await create_folder(writable_db)

    assert isinstance(error, UnprocessableContent)
    assert "floor" not in str(error)


async def test_a_row_that_a_table_of_the_project_refers_to_cannot_be_deleted(writable_db):
    folder = await writable_db.directory(SYSTEM)["folders"].create_one({"name": "Papers"})
    key_type = "uuid" if writable_db.database.dialect == "postgresql" else "char(36)"
    await run_sql(
        writable_db.settings.database_url,
        f"CREATE TABLE shelves (folder {key_type} REFERENCES directus_folders (id));"
        f"INSERT INTO shelves (folder) VALUES ('{folder}');",
    )

    with pytest.raises((UnprocessableContent, InvalidForeignKey)) as raised:
        await writable_db.directory(SYSTEM)["folders"].delete_one(folder)
    assert "shelves" not in str(raised.value)
    assert await writable_db.directory(SYSTEM)["folders"].count() == 1
