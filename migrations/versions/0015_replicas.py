"""Changes of rights wait until every synchronous replica has applied them, if replicas serve reads.

The setting is made by triggers, for the transaction that writes only, whichever program makes it. They do so for what
each statement of a caller compares with its cached access: the access version, and the rows of the user, the session
and the API token. The triggers on these rows are not deferred, because pending ones would prevent an ALTER TABLE in the
same transaction. Servers that read from replicas set `rollcall_version.replicas`.
"""

import sqlalchemy as sa
from alembic import op

from app.db.base import POSTGRESQL

revision = "0015"
down_revision = "0014"

CONFIRM = "PERFORM set_config('synchronous_commit', 'remote_apply', true);"
# Functions must not have a clause `SET synchronous_commit`, which would restore the setting before the commit.
CREATE_CONFIRM = f"""
CREATE FUNCTION rollcall_confirm() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, {{schema}}, pg_temp AS $$
BEGIN
    IF (SELECT replicas FROM rollcall_version) THEN
        {CONFIRM}
    END IF;
    RETURN NULL;
END $$
"""
RENEW = """
CREATE OR REPLACE FUNCTION rollcall_renew() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, {schema}, pg_temp AS $$
DECLARE
    changed boolean;{declarations}
BEGIN
    DELETE FROM rollcall_touched WHERE xid = NEW.xid RETURNING schema_changed INTO changed;
    UPDATE rollcall_version SET token = gen_random_uuid(),
        schema_token = CASE WHEN changed THEN gen_random_uuid() ELSE schema_token END{returning};
    RETURN NULL;
END $$
"""
DECLARATIONS = "\n    has_replicas boolean;"
RETURNING = f" RETURNING replicas INTO has_replicas;\n    IF has_replicas THEN\n        {CONFIRM}\n    END IF"
CHANGES = {
    "directus_users": ("status", "role", "token", "tfa_secret"),
    "directus_sessions": ("token", "user", "expires"),
    "rollcall_tokens": ("hash", "user", "expires", "read_only", "scoped", "ip_access"),
}
"""The columns of each table that decide what its row permits."""
ROW_TRIGGER = """
CREATE TRIGGER rollcall_confirm_{event} AFTER {event} ON {table}
FOR EACH ROW {condition}EXECUTE FUNCTION rollcall_confirm()
"""
TRUNCATE_TRIGGER = """
CREATE TRIGGER rollcall_confirm_truncate AFTER TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION rollcall_confirm()
"""


def upgrade() -> None:
    op.add_column("rollcall_version", sa.Column("replicas", sa.Boolean, nullable=False, server_default=sa.false()))
    if op.get_bind().dialect.name != POSTGRESQL:
        return
    schema = _schema()
    op.execute(CREATE_CONFIRM.format(schema=schema))
    op.execute(RENEW.format(schema=schema, declarations=DECLARATIONS, returning=RETURNING))
    for table, columns in CHANGES.items():
        changed = " OR ".join(f'OLD."{column}" IS DISTINCT FROM NEW."{column}"' for column in columns)
        # An expired session ends without a write, and expired ones are deleted in batches.
        is_valid = "WHEN (OLD.expires >= now()) " if table == "directus_sessions" else ""
        op.execute(ROW_TRIGGER.format(table=table, event="update", condition=f"WHEN ({changed}) "))
        op.execute(ROW_TRIGGER.format(table=table, event="delete", condition=is_valid))
        op.execute(TRUNCATE_TRIGGER.format(table=table))


def downgrade() -> None:
    if op.get_bind().dialect.name == POSTGRESQL:
        for table in CHANGES:
            for event in ("update", "delete", "truncate"):
                op.execute(f"DROP TRIGGER rollcall_confirm_{event} ON {table}")
        op.execute(RENEW.format(schema=_schema(), declarations="", returning=""))
        op.execute("DROP FUNCTION rollcall_confirm()")
    op.drop_column("rollcall_version", "replicas")


def _schema() -> str:
    return str(op.get_bind().scalar(sa.text("SELECT quote_ident(current_schema())")))
