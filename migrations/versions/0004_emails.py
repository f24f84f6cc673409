"""An index that keeps e-mail addresses apart whatever their case.

Where an adopted database already holds two that differ in case alone it isn't made; bootstrap names them, and makes it
once they are gone.
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
