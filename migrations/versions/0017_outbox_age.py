"""Queued mails say when they were queued; NULL for those that a former version queued."""

import sqlalchemy as sa
from alembic import op

from app.db.base import Timestamp

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.add_column("rollcall_outbox", sa.Column("queued", Timestamp))


def downgrade() -> None:
    op.drop_column("rollcall_outbox", "queued")
