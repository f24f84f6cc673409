"""Sign-ins at a provider whose response was received, so that none is accepted twice."""

import sqlalchemy as sa
from alembic import op

from app.db.base import Timestamp

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "rollcall_used_sign_ins",
        sa.Column("hash", sa.String(64), primary_key=True),
        sa.Column("expires", Timestamp, nullable=False, index=True),
    )


def downgrade() -> None:
    op.drop_table("rollcall_used_sign_ins")
