"""Indexes on frequent look-ups: the owner of a policy, a permission or a session, and the users of a role.

Directus has no indexes on its foreign keys. It is not affected by these; without them queries are only slower.
"""

from alembic import op

from app.db.base import POSTGRESQL

revision = "0003"
down_revision = "0002"

INDEXES = {
    "rollcall_users_role": "directus_users (role)",
    "rollcall_roles_parent": "directus_roles (parent)",
    "rollcall_access_role": "directus_access (role)",
    "rollcall_access_user": 'directus_access ("user")',
    "rollcall_access_policy": "directus_access (policy)",
    "rollcall_permissions_policy": "directus_permissions (policy)",
    "rollcall_sessions_user": 'directus_sessions ("user")',
}
# Texts are sorted by code point, whatever the database's own collation; SQLite's unique index already does that.
POSTGRESQL_ONLY = {"rollcall_users_email": 'directus_users (email COLLATE "C")'}


def upgrade() -> None:
    for name, columns in _indexes().items():
        op.execute(f"CREATE INDEX {name} ON {columns}")


def downgrade() -> None:
    for name in _indexes():
        op.execute(f"DROP INDEX {name}")


def _indexes() -> dict[str, str]:
    return INDEXES | (POSTGRESQL_ONLY if op.get_bind().dialect.name == POSTGRESQL else {})
