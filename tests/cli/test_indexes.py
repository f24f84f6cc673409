"""`rollcall indexes`: suggests, builds and drops indexes that change no response."""

import asyncpg
import pytest
from sqlalchemy import text

from app.db.migrate import migrate_down, migrate_up
from app.db.optional_indexes import INDEX_PREFIX, existing_indexes, trigram_schema
from app.query.collection import BUILT_IN
from app.query.sql_indexes import MAX_NAME_BYTES, index_name, suggested_indexes
from tests.base_data import caller
from tests.cli.commands import run_command
from tests.conftest import admin_url

QUERIES = (
    '{ users(search: "LOVE") { id } }',
    '{ users(search: "a") { id } }',
    '{ users(search: "%") { id } }',
    '{ users(filter: { email: { _contains: "ada" } }) { id } }',
    '{ users(filter: { email: { _icontains: "ADA@" } }) { id } }',
    '{ users(filter: { last_name: { _ncontains: "a" } }) { id } }',
    *(
        f'{{ users(sort: ["{sort}"]) {{ id {sort.removeprefix("-")} }} }}'
        for sort in ("last_name", "-last_name", "first_name", "last_access", "-last_access", "email", "-email")
    ),
    '{ roles { name users(limit: 2, sort: ["email"]) { email } } }',
    '{ roles { name users(limit: 2, sort: ["-email"]) { email } } }',
)
ODD_NAMES = ("ΟΔΟΣ", "οδοσα", "Straße", "STRASSE", "İpek", "50% off", "a_b", "\\", "É", "é")


async def names(system) -> list[str]:
    async with system.database.transaction() as connection:
        return list(await connection.run_sync(existing_indexes))


async def responses(system, admin) -> list[object]:
    results = [await system.execute(query, caller=admin) for query in QUERIES]
    searches = [f"{{ users(search: {_literal(name)}) {{ id }} }}" for name in ODD_NAMES]
    contains = [
        f"{{ users(filter: {{ last_name: {{ _contains: {_literal(name)} }} }}) {{ id }} }}" for name in ODD_NAMES
    ]
    results += [await system.execute(query, caller=admin) for query in searches + contains]
    assert [result.errors for result in results] == [None] * len(results)
    return [result.data for result in results]


def _literal(value: str) -> str:
    return '"' + value.replace("\\", "\\\\") + '"'


async def test_indexes_are_suggested_built_and_dropped_and_no_response_changes(writable_db):
    url, is_postgresql = writable_db.settings.database_url, writable_db.database.dialect == "postgresql"
    async with writable_db.database.transaction() as connection:
        ids = [row[0] for row in await connection.execute(text("SELECT id FROM directus_users ORDER BY id"))]
        for key, name in zip(ids, ODD_NAMES, strict=False):
            await connection.execute(
                text("UPDATE directus_users SET last_name = :name WHERE id = :key"), {"name": name, "key": key}
            )
    admin = caller("ada")
    before = await responses(writable_db, admin)
    suggested = await run_command(url, "indexes", "suggest")
    refused = await run_command(url, "indexes", "create")
    untouched = await names(writable_db)
    created = await run_command(url, "indexes", "create", "--sort", "-email", "--yes")
    built = await names(writable_db)
    if is_postgresql:  # so that small tables are read through the indexes too
        async with writable_db.database.transaction() as connection:
            await connection.execute(text(f"ALTER DATABASE {url.rpartition('/')[2]} SET enable_seqscan = off"))
        await writable_db.database.reader.dispose()
        assert (await writable_db.database.reader.fetch(text("SHOW enable_seqscan")))[0] == "off"
    after = await responses(writable_db, admin)
    again = await run_command(url, "indexes", "create", "--yes")
    dropped = await run_command(url, "indexes", "drop", "--yes")

    assert suggested.code == 0
    assert "rollcall_optional_users_sort_last_name\tsort\tlast_name\tmissing" in suggested.out
    assert ("rollcall_optional_users_search_email" in suggested.out) == is_postgresql
    assert ("SQLite has no index for `search`" in suggested.err) != is_postgresql
    assert (refused.code, untouched) == (1, [])
    assert "Add --yes to build them." in refused.err
    assert created.code == 0, created.err
    assert created.out.count("Built ") == len(built) == (23 if is_postgresql else 5)
    assert after == before
    assert (again.code, again.out) == (0, "No suggested index is missing.\n")
    assert (dropped.code, await names(writable_db)) == (0, [])


async def test_a_search_is_planned_for_each_text(readonly_db):
    if readonly_db.database.dialect != "postgresql":
        pytest.skip("SQLite has no prepared statements that outlive a run")
    for _ in range(2):
        await readonly_db.execute('{ users(search: "planned anew") { id } }', caller=caller("ada"))
        await readonly_db.execute("{ users { id } }", caller=caller("ada"))
    query = text("SELECT count(*), count(*) FILTER (WHERE strpos(statement, :like) > 0) FROM pg_prepared_statements")
    prepared, searches = await readonly_db.database.reader.fetch(query.bindparams(like=" LIKE "))

    assert prepared > 0
    assert searches == 0


async def test_custom_fields_are_searched_by_an_index_and_can_still_be_changed_and_dropped(writable_db):
    url = writable_db.settings.database_url
    await run_command(url, "fields", "add", "users", "nickname", "--type", "string")
    created = await run_command(url, "indexes", "create", "--sort", "nickname", "--yes")
    built = await names(writable_db)
    dropped = await run_command(url, "fields", "drop", "users", "nickname", "--yes")

    assert created.code == 0, created.err
    assert "rollcall_optional_users_sort_nickname" in built
    assert ("rollcall_optional_users_search_nickname" in built) == (writable_db.database.dialect == "postgresql")
    assert dropped.code == 0, dropped.err
    assert not any("nickname" in name for name in await names(writable_db))


async def test_migrating_up_keeps_the_indexes_and_migrating_down_removes_them(writable_db):
    url = writable_db.settings.database_url
    await run_command(url, "indexes", "create", "--yes")
    built = await names(writable_db)
    await migrate_up(writable_db.database)
    kept = await names(writable_db)
    await migrate_down(writable_db.database, force=True)

    assert built == kept != []
    assert await names(writable_db) == []


async def test_mistakes_are_one_line_that_says_what_would_be_right(readonly_db):
    url = readonly_db.settings.database_url
    results = [
        await run_command(url, "indexes", *arguments)
        for arguments in (
            ("suggest", "nothing"),
            ("suggest", "--kind", "magic"),
            ("suggest", "--sort", "nothing"),
            ("suggest", "--sort", "tags"),
            ("drop", "directus_users_pkey", "--yes"),
        )
    ]

    assert [(result.code, result.out, result.err.count("\n")) for result in results] == [(1, "", 1)] * 5
    assert "search, contains, sort, nested" in results[1].err


async def test_trigram_indexes_collect_no_writes_that_each_search_would_have_to_read(writable_db):
    if writable_db.database.dialect != "postgresql":
        pytest.skip("SQLite has no trigram index")
    created = await run_command(writable_db.settings.database_url, "indexes", "create", "--yes")
    query = "SELECT reloptions FROM pg_class WHERE relam = (SELECT oid FROM pg_am WHERE amname = 'gin')"
    async with writable_db.database.transaction() as connection:
        options = [row[0] for row in await connection.execute(text(query)) if row[0]]

    assert created.code == 0, created.err
    assert options == [["fastupdate=off"]] * 18


async def test_an_interrupted_build_is_replaced(writable_db):
    if writable_db.database.dialect != "postgresql":
        pytest.skip("SQLite builds an index in one transaction")
    url, name = writable_db.settings.database_url, "rollcall_optional_users_sort_last_name"
    async with writable_db.database.transaction() as connection:
        await connection.execute(text(f"CREATE INDEX {name} ON directus_users (title)"))
        await connection.execute(text(f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{name}'::regclass"))
    suggested = await run_command(url, "indexes", "suggest", "--kind", "sort")
    created = await run_command(url, "indexes", "create", "--kind", "sort", "--yes")

    assert f"{name}\tsort\tlast_name\tincomplete: build it again" in suggested.out
    assert created.code == 0, created.err
    async with writable_db.database.transaction() as connection:
        definition = await connection.scalar(text(f"SELECT pg_get_indexdef('{name}'::regclass)"))
    assert '(last_name COLLATE "C", id)' in definition


async def test_without_the_right_to_create_the_extension_the_error_names_the_command_for_an_administrator(writable_db):
    if writable_db.database.dialect != "postgresql":
        pytest.skip("SQLite has no extension")
    name = writable_db.settings.database_url.rpartition("/")[2]
    role = f"limited_{name.removeprefix('rollcall_test_')}"
    async with writable_db.database.transaction() as connection:
        assert await connection.run_sync(trigram_schema) is None
    connection = await asyncpg.connect(admin_url(name))
    await connection.execute(
        f"CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA public TO {role};"
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"
    )
    try:
        url = writable_db.settings.database_url.replace("postgres@", f"{role}@")
        search = await run_command(url, "indexes", "create", "--kind", "search", "--yes")
        sort = await run_command(url, "indexes", "create", "--kind", "sort", "--yes")
    finally:
        await connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
        await connection.close()

    assert search.code == 1
    assert f"`CREATE EXTENSION pg_trgm` in the database {name}" in search.err
    assert (sort.code, sort.err) == (
        1,
        "rollcall: The database user must own the table directus_users to build or drop its indexes.\n",
    )


def test_a_long_name_is_shortened_to_a_unique_one():
    long = [index_name("directus_users", "search", "x" * 60 + end) for end in "ab"]

    assert len(set(long)) == 2
    assert all(len(name) == MAX_NAME_BYTES and name.startswith(INDEX_PREFIX) for name in long)


def test_no_index_holds_a_secret():
    suggested = [
        index
        for collection in BUILT_IN.values()
        for index in suggested_indexes(collection, "postgresql", trigram_schema="public")
    ]

    assert not {"password", "token", "tfa_secret", "auth_data"} & {
        index.fields for index in suggested if index.table == "directus_users"
    }
