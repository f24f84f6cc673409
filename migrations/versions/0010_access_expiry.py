"""When access rows expire. A write to these times renews the access version, as one to the access rows does."""

import sqlalchemy as sa
from alembic import op

from app.db.base import POSTGRESQL, Timestamp, UUIDText

revision = "0010"
down_revision = "0009"

TABLE = "rollcall_access_expiry"
RANDOM = "lower(hex(randomblob(16)))"
POSTGRESQL_TRIGGER = f"""
CREATE TRIGGER rollcall_touch AFTER INSERT OR UPDATE OF expires OR DELETE OR TRUNCATE ON {TABLE}
FOR EACH STATEMENT EXECUTE FUNCTION rollcall_touch()
"""
SQLITE_EVENTS = {"insert": "INSERT", "update": "UPDATE OF expires", "delete": "DELETE"}


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("access", UUIDText, sa.ForeignKey("directus_access.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("expires", Timestamp, index=True),
        sa.Column("announced", Timestamp),
        sa.Column("recorded", Timestamp),
    )
    if op.get_bind().dialect.name == POSTGRESQL:
        op.execute(POSTGRESQL_TRIGGER)
        return
    for name, event in SQLITE_EVENTS.items():
        op.execute(
            f"CREATE TRIGGER rollcall_{TABLE}_{name} AFTER {event} ON {TABLE} BEGIN "
            f"UPDATE rollcall_version SET token = {RANDOM}; END"
        )


def downgrade() -> None:
    op.drop_table(TABLE)
