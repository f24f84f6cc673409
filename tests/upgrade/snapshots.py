"""Snapshots of a whole database, to compare; imports little, for processes that are started often."""

import json
from contextlib import asynccontextmanager

import asyncpg

COLUMNS = """
SELECT relname, attname, format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN 'NO' ELSE 'YES' END,
    coalesce(pg_get_expr(adbin, adrelid), '')
FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
ORDER BY relname, attnum
"""
CONSTRAINTS = """
SELECT conrelid::regclass::text, conname::text, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid <> 0 ORDER BY 1, 2
"""
INDEXES = "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2"
OTHER_OBJECTS = """
SELECT tgrelid::regclass::text, pg_get_triggerdef(oid), '' FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT 'function', proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT 'sequence', sequencename, last_value::text FROM pg_sequences WHERE schemaname = 'public'
ORDER BY 1, 2
"""
ROWS = """
SELECT 'rows', tablename, query_to_xml(
    format('SELECT md5(string_agg(t::text, ''|'' ORDER BY t::text)) FROM %I AS t', tablename), true, true, ''
)::text FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename
"""
QUERIES = {"columns": COLUMNS, "constraints": CONSTRAINTS, "indexes": INDEXES, "others": OTHER_OBJECTS, "rows": ROWS}


async def rows(source, table):
    """Return a table's rows in the form of the recordings."""
    async with fetching(source) as fetch:
        return [json.loads(row[0]) for row in await fetch(f"SELECT row_to_json(t)::text FROM {table} AS t ORDER BY 1")]


async def layout(source, kind):
    """Return the columns, constraints or indexes in the form of the recordings."""
    async with fetching(source) as fetch:
        return [tuple(row) for row in await fetch(QUERIES[kind])]


async def snapshot(source):
    """Return the layout of a database, and a hash of each table's rows."""
    async with fetching(source) as fetch:
        return {kind: [list(row) for row in await fetch(query)] for kind, query in QUERIES.items()}


@asynccontextmanager
async def fetching(source):
    """Yield a function that fetches rows: from a URL, or within the transaction of a connection."""
    if not isinstance(source, str):
        yield (await source.get_raw_connection()).driver_connection.fetch
        return
    connection = await asyncpg.connect(source)
    try:
        yield connection.fetch
    finally:
        await connection.close()
