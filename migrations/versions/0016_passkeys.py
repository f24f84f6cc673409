"""Passkeys, with which users sign in."""

import sqlalchemy as sa
from alembic import op

from app.db.base import Csv, Timestamp, UUIDText

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.create_table(
        "rollcall_passkeys",
        sa.Column("id", UUIDText, primary_key=True),
        sa.Column("user", UUIDText, sa.ForeignKey("directus_users.id", ondelete="CASCADE"), nullable=False, index=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("credential_id", sa.String(1400), nullable=False, unique=True),
        sa.Column("public_key", sa.String(1400), nullable=False),
        sa.Column("sign_count", sa.BigInteger, nullable=False),
        sa.Column("transports", Csv),
        sa.Column("synced", sa.Boolean, nullable=False),
        sa.Column("backed_up", sa.Boolean, nullable=False),
        sa.Column("created", Timestamp, nullable=False),
        sa.Column("last_used", Timestamp),
        sa.Column("counter_rejected", Timestamp),
    )


def downgrade() -> None:
    op.drop_table("rollcall_passkeys")
