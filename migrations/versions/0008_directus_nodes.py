"""What a Directus on the same database knows of the access rights, so that its caches are cleared after a change."""

import sqlalchemy as sa
from alembic import op

from app.db.base import Timestamp

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("rollcall_lock", sa.Column("user_changes", sa.BigInteger, nullable=False, server_default="0"))
    op.create_table(
        "rollcall_directus_nodes",
        sa.Column("url", sa.String(255), primary_key=True),
        sa.Column("version", sa.String(64)),
        sa.Column("due", Timestamp, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("rollcall_directus_nodes")
    op.drop_column("rollcall_lock", "user_changes")
