"""The tables that describe fields, and the schema token, which changes with every write to them.

The tables are those of Directus 11.17, created where they are missing; where Directus created them they stay as they
are. A write to them renews the access version as well, because that is what statements return.
"""

import sqlalchemy as sa
from alembic import context, op

from app.core.errors import OperatorError
from app.db.base import NAMING_CONVENTION, POSTGRESQL, Json, UUIDText

revision = "0009"
down_revision = "0008"

TABLES = sa.MetaData(naming_convention=NAMING_CONVENTION)
ORIGIN = sa.table("rollcall_origin", sa.column("adopted", sa.Boolean))
RANDOM = "lower(hex(randomblob(16)))"
NIL_UUID = "00000000-0000-0000-0000-000000000000"

CREATE_TOUCH = """
CREATE FUNCTION rollcall_touch_schema() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, {schema}, pg_temp AS $$
BEGIN
    INSERT INTO rollcall_touched VALUES (pg_current_xact_id(), true)
    ON CONFLICT (xid) DO UPDATE SET schema_changed = true;
    RETURN NULL;
END $$
"""
REPLACE_RENEW = """
CREATE OR REPLACE FUNCTION rollcall_renew() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, {schema}, pg_temp AS $$
DECLARE
    changed boolean;
BEGIN
    DELETE FROM rollcall_touched WHERE xid = NEW.xid RETURNING schema_changed INTO changed;
    UPDATE rollcall_version SET token = gen_random_uuid(),
        schema_token = CASE WHEN changed THEN gen_random_uuid() ELSE schema_token END;
    RETURN NULL;
END $$
"""
RESTORE_RENEW = """
CREATE OR REPLACE FUNCTION rollcall_renew() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, {schema}, pg_temp AS $$
BEGIN
    DELETE FROM rollcall_touched WHERE xid = NEW.xid;
    UPDATE rollcall_version SET token = gen_random_uuid();
    RETURN NULL;
END $$
"""
POSTGRESQL_TRIGGER = """
CREATE TRIGGER rollcall_touch AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION rollcall_touch_schema()
"""


def upgrade() -> None:
    connection = op.get_bind()
    is_postgresql = connection.dialect.name == POSTGRESQL
    TABLES.create_all(connection)
    op.add_column("rollcall_version", sa.Column("schema_token", UUIDText, nullable=False, server_default=NIL_UUID))
    op.execute(f"UPDATE rollcall_version SET schema_token = {'gen_random_uuid()' if is_postgresql else RANDOM}")
    (_create_postgresql_triggers if is_postgresql else _create_sqlite_triggers)()


def downgrade() -> None:
    connection = op.get_bind()
    is_postgresql = connection.dialect.name == POSTGRESQL
    adopted = connection.scalar(sa.select(ORIGIN.c.adopted))
    if not adopted and not context.config.attributes.get("force"):
        _check_empty(connection)
    for table in TABLES.tables:
        for trigger in [f"rollcall_touch ON {table}"] if is_postgresql else _sqlite_trigger_names(table):
            op.execute(f"DROP TRIGGER {trigger}")
    if is_postgresql:
        op.execute(RESTORE_RENEW.format(schema=_schema()))
        op.execute("DROP FUNCTION rollcall_touch_schema()")
        op.drop_column("rollcall_touched", "schema_changed")
    op.drop_column("rollcall_version", "schema_token")
    if not adopted:
        TABLES.drop_all(connection, checkfirst=False)


def _check_empty(connection: sa.Connection) -> None:
    """Raise OperatorError if any of the tables holds a row."""
    for table in TABLES.tables.values():
        if connection.scalar(sa.select(sa.func.count()).select_from(table)):
            raise OperatorError(
                "Migrating down would delete the descriptions of custom fields for good: export them first, then add "
                "--force."
            )


def _create_postgresql_triggers() -> None:
    op.add_column(
        "rollcall_touched", sa.Column("schema_changed", sa.Boolean, nullable=False, server_default=sa.false())
    )
    op.execute(CREATE_TOUCH.format(schema=_schema()))
    op.execute(REPLACE_RENEW.format(schema=_schema()))
    for table in TABLES.tables:
        op.execute(POSTGRESQL_TRIGGER.format(table=table))


def _create_sqlite_triggers() -> None:
    for table in TABLES.tables:
        for trigger, event in zip(_sqlite_trigger_names(table), ("INSERT", "UPDATE", "DELETE"), strict=True):
            op.execute(
                f"CREATE TRIGGER {trigger} AFTER {event} ON {table} BEGIN "
                f"UPDATE rollcall_version SET token = {RANDOM}, schema_token = {RANDOM}; END"
            )


def _sqlite_trigger_names(table: str) -> list[str]:
    return [f"rollcall_{table}_{event}" for event in ("insert", "update", "delete")]


def _schema() -> str:
    schema: str = op.get_bind().scalar(sa.text("SELECT quote_ident(current_schema())"))
    return schema


sa.Table(
    "directus_collections",
    TABLES,
    sa.Column("collection", sa.String(64), primary_key=True),
    sa.Column("icon", sa.String(64)),
    sa.Column("note", sa.Text),
    sa.Column("display_template", sa.String(255)),
    sa.Column("hidden", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("singleton", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("translations", Json),
    sa.Column("archive_field", sa.String(64)),
    sa.Column("archive_app_filter", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("archive_value", sa.String(255)),
    sa.Column("unarchive_value", sa.String(255)),
    sa.Column("sort_field", sa.String(64)),
    sa.Column("accountability", sa.String(255), server_default="all"),
    sa.Column("color", sa.String(255)),
    sa.Column("item_duplication_fields", Json),
    sa.Column("sort", sa.Integer),
    sa.Column("group", sa.String(64), sa.ForeignKey("directus_collections.collection")),
    sa.Column("collapse", sa.String(255), nullable=False, server_default="open"),
    sa.Column("preview_url", sa.String(255)),
    sa.Column("versioning", sa.Boolean, nullable=False, server_default=sa.false()),
)

sa.Table(
    "directus_fields",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("collection", sa.String(64), nullable=False),
    sa.Column("field", sa.String(64), nullable=False),
    sa.Column("special", sa.String(64)),
    sa.Column("interface", sa.String(64)),
    sa.Column("options", Json),
    sa.Column("display", sa.String(64)),
    sa.Column("display_options", Json),
    sa.Column("readonly", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("hidden", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("sort", sa.Integer),
    sa.Column("width", sa.String(30), server_default="full"),
    sa.Column("translations", Json),
    sa.Column("note", sa.Text),
    sa.Column("conditions", Json),
    sa.Column("required", sa.Boolean, server_default=sa.false()),
    sa.Column("group", sa.String(64)),
    sa.Column("validation", Json),
    sa.Column("validation_message", sa.Text),
    sa.Column("searchable", sa.Boolean, nullable=False, server_default=sa.true()),
    sqlite_autoincrement=True,
)

sa.Table(
    "directus_relations",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("many_collection", sa.String(64), nullable=False),
    sa.Column("many_field", sa.String(64), nullable=False),
    sa.Column("one_collection", sa.String(64)),
    sa.Column("one_field", sa.String(64)),
    sa.Column("one_collection_field", sa.String(64)),
    sa.Column("one_allowed_collections", sa.Text),
    sa.Column("junction_field", sa.String(64)),
    sa.Column("sort_field", sa.String(64)),
    sa.Column("one_deselect_action", sa.String(255), nullable=False, server_default="nullify"),
    sqlite_autoincrement=True,
)
