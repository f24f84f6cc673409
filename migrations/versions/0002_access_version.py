"""The access version: a token that changes with every write to roles, policies, access or permissions.

On PostgreSQL a statement inserts one marker for its transaction, and the marker's deferred trigger renews the token
once, at commit. That is cheap for many rows, and cannot deadlock with Directus' writes. The functions run with their
owner's rights, so that writes of users without access to Rollcall's tables count too. SQLite has row triggers only.
"""

import sqlalchemy as sa
from alembic import op

from app.core.errors import OperatorError
from app.db.base import POSTGRESQL, UUIDText

revision = "0002"
down_revision = "0001"

TRACKED_TABLES = ("directus_roles", "directus_policies", "directus_access", "directus_permissions")
MIN_POSTGRESQL = 13
RANDOM = "lower(hex(randomblob(16)))"

POSTGRESQL_UP = """
CREATE TABLE rollcall_touched (xid xid8 PRIMARY KEY);

CREATE FUNCTION rollcall_touch() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, {schema}, pg_temp AS $$
BEGIN
    INSERT INTO rollcall_touched VALUES (pg_current_xact_id()) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE FUNCTION rollcall_renew() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, {schema}, pg_temp AS $$
BEGIN
    DELETE FROM rollcall_touched WHERE xid = NEW.xid;
    UPDATE rollcall_version SET token = gen_random_uuid();
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER rollcall_renew AFTER INSERT ON rollcall_touched
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION rollcall_renew();

CREATE FUNCTION rollcall_fold(text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT lower($1{collate}) $$;
"""
POSTGRESQL_TRIGGER = """
CREATE TRIGGER rollcall_touch AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION rollcall_touch();
"""
POSTGRESQL_DOWN = """
DROP FUNCTION rollcall_fold(text);

DROP TABLE rollcall_touched;

DROP FUNCTION rollcall_renew();

DROP FUNCTION rollcall_touch();
"""


def upgrade() -> None:
    connection = op.get_bind()
    is_postgresql = connection.dialect.name == POSTGRESQL
    op.create_table("rollcall_lock", _single_row_id())
    op.create_table("rollcall_version", _single_row_id(), sa.Column("token", UUIDText, nullable=False))
    op.execute("INSERT INTO rollcall_lock VALUES (1)")
    op.execute(f"INSERT INTO rollcall_version VALUES (1, {'gen_random_uuid()' if is_postgresql else RANDOM})")
    (_create_postgresql_triggers if is_postgresql else _create_sqlite_triggers)(connection)


def downgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == POSTGRESQL
    for table in TRACKED_TABLES:
        for trigger in [f"rollcall_touch ON {table}"] if is_postgresql else _sqlite_trigger_names(table):
            op.execute(f"DROP TRIGGER {trigger}")
    if is_postgresql:
        _execute_script(POSTGRESQL_DOWN)
    op.drop_table("rollcall_version")
    op.drop_table("rollcall_lock")


def _single_row_id() -> sa.Column[int]:
    return sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1"), primary_key=True, autoincrement=False)


def _create_postgresql_triggers(connection: sa.Connection) -> None:
    if (connection.dialect.server_version_info or (0,))[0] < MIN_POSTGRESQL:
        raise OperatorError(f"This PostgreSQL is too old: use version {MIN_POSTGRESQL} or later.")
    schema = connection.scalar(sa.text("SELECT quote_ident(current_schema())"))
    # With ICU, case is folded as Unicode does, whatever the database's own collation.
    icu = connection.scalar(sa.text("SELECT count(*) FROM pg_collation WHERE collname = 'und-x-icu'"))
    _execute_script(POSTGRESQL_UP.format(schema=schema, collate=' COLLATE "und-x-icu"' if icu else ""))
    for table in TRACKED_TABLES:
        op.execute(POSTGRESQL_TRIGGER.format(table=table))


def _create_sqlite_triggers(connection: sa.Connection) -> None:
    for table in TRACKED_TABLES:
        for trigger, event in zip(_sqlite_trigger_names(table), ("INSERT", "UPDATE", "DELETE"), strict=True):
            op.execute(
                f"CREATE TRIGGER {trigger} AFTER {event} ON {table} BEGIN "
                f"UPDATE rollcall_version SET token = {RANDOM}; END"
            )


def _sqlite_trigger_names(table: str) -> list[str]:
    return [f"rollcall_{table}_{event}" for event in ("insert", "update", "delete")]


def _execute_script(script: str) -> None:
    # The driver takes one statement at a time; here a blank line ends a statement.
    for statement in script.strip().split(";\n\n"):
        op.execute(statement)
