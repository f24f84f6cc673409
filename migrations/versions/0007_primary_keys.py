"""A primary key of one column for the tables that lack it: Directus warns about every other table in its database.

Mails that were sent are deleted, because sent mails are no longer stored.
"""

import sqlalchemy as sa
from alembic import op

from app.db.base import POSTGRESQL, UUIDText

revision = "0007"
down_revision = "0006"

ORIGIN, USED_CODES = "rollcall_origin", "rollcall_used_codes"


def upgrade() -> None:
    adopted = _read_origin()
    op.drop_table(ORIGIN)
    op.create_table(
        ORIGIN,
        sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
        sa.Column("adopted", sa.Boolean, nullable=False),
    )
    _insert_origin(f"{ORIGIN} (id, adopted)", ":id, :adopted", id=1, adopted=adopted)
    _replace_used_codes(sa.Column("id", sa.Integer, primary_key=True), keys_are_primary=False)
    op.execute("DELETE FROM rollcall_outbox WHERE sent IS NOT NULL")


def downgrade() -> None:
    adopted = _read_origin()
    op.drop_table(ORIGIN)
    op.create_table(ORIGIN, sa.Column("adopted", sa.Boolean, nullable=False))
    _insert_origin(f"{ORIGIN} (adopted)", ":adopted", adopted=adopted)
    _replace_used_codes(keys_are_primary=True)


def _read_origin() -> bool:
    """Return whether Directus created the tables; if there are several rows, whether any says so.

    A table of Directus must never be dropped by mistake, so one such row decides.
    """
    rows = op.get_bind().execute(sa.text(f"SELECT adopted FROM {ORIGIN}").columns(adopted=sa.Boolean))
    return any(row.adopted for row in rows)


def _insert_origin(target: str, placeholders: str, **values: int | bool) -> None:
    op.get_bind().execute(sa.text(f"INSERT INTO {target} VALUES ({placeholders})"), values)


def _replace_used_codes(*key: sa.Column[int], keys_are_primary: bool) -> None:
    """Create the table of used codes anew and copy its rows, because SQLite cannot change a primary key."""
    old = f"{USED_CODES}_old"
    op.rename_table(USED_CODES, old)
    if op.get_bind().dialect.name == POSTGRESQL:  # there the names of constraints are those of the schema
        op.execute(f"ALTER TABLE {old} DROP CONSTRAINT IF EXISTS {USED_CODES}_pkey")
    unique = [] if keys_are_primary else [sa.UniqueConstraint("user", "purpose")]
    op.create_table(
        USED_CODES,
        *key,
        sa.Column(
            "user",
            UUIDText,
            sa.ForeignKey("directus_users.id", ondelete="CASCADE"),
            primary_key=keys_are_primary,
            nullable=False,
        ),
        sa.Column("purpose", sa.String(16), primary_key=keys_are_primary, nullable=False),
        sa.Column("step", sa.BigInteger, nullable=False),
        *unique,
    )
    # A table that lost its constraint may contain duplicates: the latest step counts.
    columns = '"user", purpose'
    op.execute(f"INSERT INTO {USED_CODES} ({columns}, step) SELECT {columns}, max(step) FROM {old} GROUP BY {columns}")
    op.drop_table(old)
