"""SQL that describes columns as one JSON text: their types, defaults, keys and indexes, on both databases."""

from collections.abc import Iterable

from app.db.base import POSTGRESQL

COLUMN_PARTS = (
    "table",
    "name",
    "data_type",
    "default",
    "max_length",
    "numeric_precision",
    "numeric_scale",
    "nullable",
    "generation_expression",
    "comment",
)
"""The parts of each described column, in order."""
KEY_PARTS = ("table", "column", "constraint", "schema", "target", "target_column", "on_update", "on_delete")
"""The parts of each foreign key of one column."""
INDEX_PARTS = ("table", "column", "name", "unique", "primary")
"""The parts of each index of one column. Those that Rollcall adds for itself are left out."""

_POSTGRESQL = """
SELECT CAST(json_build_object(
    'columns', (SELECT coalesce(json_agg(json_build_array(
        table_name, column_name, data_type, column_default, character_maximum_length, numeric_precision,
        numeric_scale, is_nullable = 'YES', generation_expression,
        col_description(CAST(format('%I.%I', table_schema, table_name) AS regclass), CAST(ordinal_position AS integer))
    ) ORDER BY table_name, ordinal_position), '[]')
        FROM information_schema.columns WHERE table_schema = current_schema() AND table_name IN ({tables})),
    'keys', (SELECT coalesce(json_agg(json_build_array(
        one.relname, attribute.attname, conname, current_schema(), target.relname, target_attribute.attname,
        {actions_update}, {actions_delete}
    )), '[]') FROM pg_constraint
        JOIN pg_class AS one ON one.oid = conrelid
        JOIN pg_class AS target ON target.oid = confrelid
        JOIN pg_attribute AS attribute ON attribute.attrelid = conrelid AND attribute.attnum = conkey[1]
        JOIN pg_attribute AS target_attribute
        ON target_attribute.attrelid = confrelid AND target_attribute.attnum = confkey[1]
        WHERE contype = 'f' AND array_length(conkey, 1) = 1 AND one.relname IN ({tables})
        AND one.relnamespace = CAST(current_schema() AS regnamespace)),
    'indexes', (SELECT coalesce(json_agg(json_build_array(
        one.relname, attname, named.relname, indisunique, indisprimary
    )), '[]') FROM pg_index
        JOIN pg_class AS one ON one.oid = indrelid
        JOIN pg_class AS named ON named.oid = indexrelid
        JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
        WHERE indnatts = 1 AND indpred IS NULL AND one.relname IN ({tables}) AND named.relname NOT LIKE 'rollcall%'
        AND one.relnamespace = CAST(current_schema() AS regnamespace))
) AS text)
"""
_ACTIONS = (
    "CASE {} WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' "
    "WHEN 'r' THEN 'RESTRICT' ELSE 'NO ACTION' END"
)
_SQLITE = """
SELECT json_object(
    'columns', (SELECT json_group_array(json_array(
        one.name, info.name, lower(info.type), info.dflt_value, NULL, NULL, NULL,
        json(CASE WHEN info."notnull" THEN 'false' ELSE 'true' END), NULL, NULL
    )) FROM sqlite_master AS one JOIN pragma_table_info(one.name) AS info
        WHERE one.type = 'table' AND one.name IN ({tables})),
    'keys', (SELECT json_group_array(json_array(
        one.name, link."from", NULL, NULL, link."table", coalesce(link."to", 'id'), link.on_update, link.on_delete
    )) FROM sqlite_master AS one JOIN pragma_foreign_key_list(one.name) AS link
        WHERE one.type = 'table' AND one.name IN ({tables})),
    'indexes', (SELECT json_group_array(json_array(
        found."table", found.name, found.index_name, json(CASE WHEN found."unique" THEN 'true' ELSE 'false' END),
        json(CASE WHEN found.origin = 'pk' THEN 'true' ELSE 'false' END)
    )) FROM (
        SELECT one.name AS "table", min(member.name) AS name, list.name AS index_name, list."unique", list.origin
        FROM sqlite_master AS one JOIN pragma_index_list(one.name) AS list
        JOIN pragma_index_info(list.name) AS member
        WHERE one.type = 'table' AND one.name IN ({tables}) AND list.name NOT LIKE 'rollcall%' AND NOT list.partial
        GROUP BY one.name, list.name HAVING count(*) = 1
    ) AS found),
    'primary', (SELECT json_group_array(json_array(one.name, info.name))
        FROM sqlite_master AS one JOIN pragma_table_info(one.name) AS info
        WHERE one.type = 'table' AND one.name IN ({tables}) AND info.pk > 0)
)
"""


def columns_query(dialect: str, tables: Iterable[str]) -> str:
    """Return a SELECT of one JSON text with the `columns`, `keys` and `indexes` of tables.

    The names of the tables are put into the text, so they must be names of this code.
    """
    names = ", ".join(f"'{table}'" for table in sorted(tables))
    if dialect != POSTGRESQL:
        return _SQLITE.format(tables=names)
    actions = {"actions_update": _ACTIONS.format("confupdtype"), "actions_delete": _ACTIONS.format("confdeltype")}
    return _POSTGRESQL.format(tables=names, **actions)
