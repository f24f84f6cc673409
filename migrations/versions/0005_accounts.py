"""The tables of the account flows: queued mails, counted attempts, used codes, recovery codes and periodic tasks."""

import sqlalchemy as sa
from alembic import op

from app.db.base import JsonText, Timestamp, UUIDText

revision = "0005"
down_revision = "0004"

TABLES = ("rollcall_outbox", "rollcall_attempts", "rollcall_used_codes", "rollcall_recovery_codes", "rollcall_tasks")


def upgrade() -> None:
    op.create_table(
        "rollcall_outbox",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("recipient", sa.String(255)),
        sa.Column("data", JsonText),
        sa.Column("due", Timestamp, nullable=False, index=True),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("sent", Timestamp),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "rollcall_attempts",
        sa.Column("subject", sa.String(64), primary_key=True),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("expires", Timestamp, nullable=False, index=True),
    )
    op.create_table(
        "rollcall_used_codes",
        _user(primary_key=True),
        sa.Column("purpose", sa.String(16), primary_key=True),
        sa.Column("step", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "rollcall_recovery_codes",
        sa.Column("hash", sa.String(64), primary_key=True),
        _user(nullable=False, index=True),
    )
    op.create_table(
        "rollcall_tasks",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("due", Timestamp, nullable=False),
    )


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)


def _user(**options: bool) -> sa.Column[str]:
    return sa.Column("user", UUIDText, sa.ForeignKey("directus_users.id", ondelete="CASCADE"), **options)
