"""API tokens and the policies that they are limited to.

A change of a token's rights renews the access version. A new token changes the rights of no cached caller, and a
deleted one is missed by the next statement, so only updates of a token renew it; that of its last use does not.
"""

import sqlalchemy as sa
from alembic import op

from app.db.base import POSTGRESQL, Csv, Timestamp, UUIDText

revision = "0011"
down_revision = "0010"

RIGHTS = ("user", "hash", "expires", "read_only", "scoped", "ip_access")
"""The columns of a token that decide what it may do."""
RANDOM = "lower(hex(randomblob(16)))"


def upgrade() -> None:
    op.create_table(
        "rollcall_tokens",
        sa.Column("id", UUIDText, primary_key=True),
        sa.Column("user", UUIDText, sa.ForeignKey("directus_users.id", ondelete="CASCADE"), nullable=False, index=True),
        sa.Column("hash", sa.String(64), nullable=False, unique=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("created", Timestamp, nullable=False),
        sa.Column("expires", Timestamp),
        sa.Column("read_only", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("scoped", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("ip_access", Csv),
        sa.Column("last_used", Timestamp),
        sa.Column("last_used_ip", sa.String(255)),
    )
    op.create_table(
        "rollcall_token_policies",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("token", UUIDText, sa.ForeignKey("rollcall_tokens.id", ondelete="CASCADE"), nullable=False),
        sa.Column(
            "policy", UUIDText, sa.ForeignKey("directus_policies.id", ondelete="CASCADE"), nullable=False, index=True
        ),
        sa.UniqueConstraint("token", "policy"),
    )
    is_postgresql = op.get_bind().dialect.name == POSTGRESQL
    columns = ", ".join(f'"{name}"' for name in RIGHTS)
    if is_postgresql:
        op.execute(_postgresql_trigger("rollcall_tokens", f"UPDATE OF {columns}"))
        op.execute(_postgresql_trigger("rollcall_token_policies", "INSERT OR UPDATE OR DELETE OR TRUNCATE"))
        return
    op.execute(_sqlite_trigger("rollcall_tokens", "update", f"UPDATE OF {columns}"))
    for event in ("INSERT", "UPDATE", "DELETE"):
        op.execute(_sqlite_trigger("rollcall_token_policies", event.lower(), event))


def downgrade() -> None:
    op.drop_table("rollcall_token_policies")
    op.drop_table("rollcall_tokens")


def _postgresql_trigger(table: str, event: str) -> str:
    return (
        f"CREATE TRIGGER rollcall_touch AFTER {event} ON {table} FOR EACH STATEMENT EXECUTE FUNCTION rollcall_touch()"
    )


def _sqlite_trigger(table: str, name: str, event: str) -> str:
    renew = f"UPDATE rollcall_version SET token = {RANDOM}"
    return f"CREATE TRIGGER {table}_{name} AFTER {event} ON {table} BEGIN {renew}; END"
