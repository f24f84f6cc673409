"""Hashes of the former passwords of users, so that a new password can be compared with them."""

import sqlalchemy as sa
from alembic import op

from app.db.base import Timestamp, UUIDText

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_table(
        "rollcall_password_history",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("user", UUIDText, sa.ForeignKey("directus_users.id", ondelete="CASCADE"), nullable=False, index=True),
        sa.Column("hash", sa.String(255), nullable=False),
        sa.Column("created", Timestamp, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("rollcall_password_history")
