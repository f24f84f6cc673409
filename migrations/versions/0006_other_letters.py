"""An index on the few emails with letters that SQLite itself does not fold, so that a login finds its user at once.

PostgreSQL needs none: there the unique index on emails folds as Unicode does.
"""

from alembic import op

from app.db.base import POSTGRESQL

revision = "0006"
down_revision = "0005"

NAME = "rollcall_users_email_other_letters"


def upgrade() -> None:
    if op.get_bind().dialect.name != POSTGRESQL:
        op.execute(f"CREATE INDEX {NAME} ON directus_users (email) WHERE email GLOB '*[^ -~]*'")


def downgrade() -> None:
    op.execute(f"DROP INDEX IF EXISTS {NAME}")
