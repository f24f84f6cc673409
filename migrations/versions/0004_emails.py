"""A unique index on emails, whatever their case.

It is not created if an adopted database holds duplicates. Bootstrap reports those, and creates it once they are gone.
"""

from alembic import op

from app.db.email_index import ensure_email_index
from app.db.integrity import EMAIL_INDEX

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    ensure_email_index(op.get_bind())


def downgrade() -> None:
    op.execute(f"DROP INDEX IF EXISTS {EMAIL_INDEX}")
