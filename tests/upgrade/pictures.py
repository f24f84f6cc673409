"""Everything that stands in a database, to compare; imports little, for processes that are begun often."""

import json

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
REST = """
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
LAYOUT = {"columns": COLUMNS, "constraints": CONSTRAINTS, "indexes": INDEXES, "rest": REST, "rows": ROWS}


async def rows(url, table):
    """A table's rows as they are recorded."""
    connection = await asyncpg.connect(url)
    try:
        found = await connection.fetch(f"SELECT row_to_json(t)::text FROM {table} AS t ORDER BY 1")
    finally:
        await connection.close()
    return [json.loads(row[0]) for row in found]


async def layout(url, kind):
    """The columns, constraints or indexes, as they are recorded."""
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(LAYOUT[kind])]
    finally:
        await connection.close()


async def picture(url):
    """All there is in a database: its layout, and a fingerprint of each table's rows."""
    connection = await asyncpg.connect(url)
    try:
        return {kind: [list(row) for row in await connection.fetch(query)] for kind, query in LAYOUT.items()}
    finally:
        await connection.close()
