"""Events: which rows of the served collections a transaction wrote, and who may have lost a session or an API token.

Triggers write them in the transaction of the write, whichever program makes it, but only while a server that reads them
holds the lease in `rollcall_event_capture`. Otherwise a write costs one look-up more. An event has no values: what a
subscriber may see is decided when it is delivered. A change of only `last_access` is none.
"""

import sqlalchemy as sa
from alembic import op

from app.db.base import POSTGRESQL

revision = "0013"
down_revision = "0012"

COLLECTIONS = tuple(
    f"directus_{name}"
    for name in (
        "activity",
        "permissions",
        "files",
        "folders",
        "users",
        "roles",
        "revisions",
        "policies",
        "access",
        "settings",
    )
)
OWNED_TABLES = ("directus_sessions", "rollcall_tokens")
"""Tables of credentials: their events have the owner's key, and are only used to check the owner's connections."""
ACTIONS = {"insert": "create", "update": "update", "delete": "delete"}
FREQUENT = "last_access"
"""The column of users that is written all the time."""
USER_COLUMNS = (
    *("first_name", "last_name", "email", "password", "location", "title", "description", "tags", "avatar"),
    *("language", "tfa_secret", "status", "role", "token", "last_page", "provider", "external_identifier"),
    *("auth_data", "email_notifications", "appearance", "theme_dark", "theme_light", "theme_light_overrides"),
    *("theme_dark_overrides", "text_direction"),
)

POSTGRESQL_FUNCTIONS = """
CREATE FUNCTION rollcall_capture() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, {schema}, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM rollcall_event_capture WHERE active_until > extract(epoch FROM clock_timestamp())
    ) THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'UPDATE' THEN
        IF TG_TABLE_NAME = 'directus_users' THEN
            IF NEW.last_access IS DISTINCT FROM OLD.last_access THEN
                NEW.last_access := OLD.last_access;
                IF NEW *= OLD THEN
                    RETURN NULL;
                END IF;
            END IF;
        END IF;
        IF NEW.id <> OLD.id THEN
            INSERT INTO rollcall_events (xid, collection, "key", action) VALUES (
                pg_current_xact_id()::text::bigint, TG_TABLE_NAME, OLD.id::text, 'delete'
            );
        END IF;
    END IF;
    INSERT INTO rollcall_events (xid, collection, "key", action) VALUES (
        pg_current_xact_id()::text::bigint, TG_TABLE_NAME,
        CASE TG_OP WHEN 'DELETE' THEN OLD.id::text WHEN 'TRUNCATE' THEN NULL ELSE NEW.id::text END,
        CASE TG_OP WHEN 'INSERT' THEN 'create' WHEN 'UPDATE' THEN 'update' ELSE 'delete' END
    );
    PERFORM pg_notify('rollcall_events', '');
    RETURN NULL;
END $$;

CREATE FUNCTION rollcall_capture_owner() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, {schema}, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM rollcall_event_capture WHERE active_until > extract(epoch FROM clock_timestamp())
    ) THEN
        RETURN NULL;
    END IF;
    INSERT INTO rollcall_events (xid, collection, "key", action) VALUES (
        pg_current_xact_id()::text::bigint, TG_TABLE_NAME,
        CASE TG_OP WHEN 'TRUNCATE' THEN NULL ELSE OLD."user"::text END,
        CASE TG_OP WHEN 'UPDATE' THEN 'update' ELSE 'delete' END
    );
    PERFORM pg_notify('rollcall_events', '');
    RETURN NULL;
END $$;
"""
POSTGRESQL_TRIGGERS = """
CREATE TRIGGER rollcall_capture AFTER {events} ON {table} FOR EACH ROW EXECUTE FUNCTION {function}();

CREATE TRIGGER rollcall_capture_truncate AFTER TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {function}();
"""
SQLITE_TRIGGER = """
CREATE TRIGGER rollcall_event_{table}_{event} AFTER {event} ON {table}
WHEN (SELECT active_until FROM rollcall_event_capture) > CAST(strftime('%s', 'now') AS INTEGER){condition}
BEGIN
    INSERT INTO rollcall_events (xid, collection, "key", action) SELECT 0, '{table}', "key", action FROM ({rows});
END
"""


def upgrade() -> None:
    connection = op.get_bind()
    op.create_table(
        "rollcall_event_capture",
        sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
        sa.Column("active_until", sa.BigInteger, nullable=False),
        sa.Column("started_xid", sa.BigInteger, nullable=False),
        sa.Column("generation_mark", sa.Text, nullable=False),
        sa.Column("generation_at", sa.BigInteger, nullable=False),
        sa.Column("pruned_mark", sa.Text, nullable=False),
        sa.Column("pruned_until", sa.BigInteger, nullable=False),
    )
    is_postgresql = connection.dialect.name == POSTGRESQL
    mark = "CAST(pg_current_snapshot() AS text)" if is_postgresql else "'0'"
    op.execute(f"INSERT INTO rollcall_event_capture VALUES (1, 0, 0, {mark}, 0, {mark}, 0)")
    op.create_table(
        "rollcall_events",
        sa.Column("id", sa.BigInteger if is_postgresql else sa.Integer, primary_key=True),
        sa.Column("xid", sa.BigInteger, nullable=False),
        sa.Column("collection", sa.String(64), nullable=False),
        sa.Column("key", sa.String(64)),
        sa.Column("action", sa.String(16), nullable=False),
        sqlite_autoincrement=True,
    )
    if not is_postgresql:
        for statement in _sqlite_triggers():
            op.execute(statement)
        return
    op.create_index("rollcall_events_xid_index", "rollcall_events", ["xid"])
    schema = connection.scalar(sa.text("SELECT quote_ident(current_schema())"))
    for statement in POSTGRESQL_FUNCTIONS.format(schema=schema).strip().split(";\n\n"):
        op.execute(statement)
    for table in COLLECTIONS:
        _create_postgresql_triggers(table, "INSERT OR UPDATE OR DELETE", "rollcall_capture")
    for table in OWNED_TABLES:
        _create_postgresql_triggers(table, "UPDATE OR DELETE", "rollcall_capture_owner")


def downgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == POSTGRESQL
    for table in (*COLLECTIONS, *OWNED_TABLES):
        if is_postgresql:
            op.execute(f"DROP TRIGGER rollcall_capture ON {table}")
            op.execute(f"DROP TRIGGER rollcall_capture_truncate ON {table}")
            continue
        for event in ACTIONS:
            op.execute(f"DROP TRIGGER IF EXISTS rollcall_event_{table}_{event}")
    if is_postgresql:
        op.execute("DROP FUNCTION rollcall_capture_owner()")
        op.execute("DROP FUNCTION rollcall_capture()")
    op.drop_table("rollcall_events")
    op.drop_table("rollcall_event_capture")


def _create_postgresql_triggers(table: str, events: str, function: str) -> None:
    script = POSTGRESQL_TRIGGERS.format(table=table, events=events, function=function)
    for statement in script.strip().split(";\n\n"):
        op.execute(statement)


def _sqlite_triggers() -> list[str]:
    triggers = []
    for table in COLLECTIONS:
        for event, action in ACTIONS.items():
            condition, row = "", "OLD" if event == "delete" else "NEW"
            rows = f"SELECT {row}.id AS \"key\", '{action}' AS action"
            if event == "update":
                rows = f"SELECT OLD.id AS \"key\", 'delete' AS action WHERE OLD.id <> NEW.id UNION ALL {rows}"
                condition = _changed_user_condition() if table == "directus_users" else ""
            triggers.append(SQLITE_TRIGGER.format(table=table, event=event, condition=condition, rows=rows))
    for table in OWNED_TABLES:
        for event in ("update", "delete"):
            rows = f'SELECT OLD."user" AS "key", \'{event}\' AS action'
            triggers.append(SQLITE_TRIGGER.format(table=table, event=event, condition="", rows=rows))
    return triggers


def _changed_user_condition() -> str:
    """Return the condition that not only the time of the last access has changed.

    A custom field that is written together with that time, and with nothing else, is not noticed: its column is not
    known here.
    """
    changed = " OR ".join(f"NEW.{column} IS NOT OLD.{column}" for column in USER_COLUMNS)
    return f"\nAND (NEW.{FREQUENT} IS OLD.{FREQUENT} OR {changed})"
