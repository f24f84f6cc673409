"""Directus' tables: adopted as they are if Directus created them, else created.

The definitions are those of Directus 11.17, and do not follow later changes of the models.
"""

import sqlalchemy as sa
from alembic import context, op

from app.core.errors import OperatorError
from app.db.base import NAMING_CONVENTION, POSTGRESQL, Json, Now, Timestamp, UUIDText
from app.db.seeds import is_pristine
from app.db.table_check import has_directus_tables

revision = "0001"
down_revision = None

TABLES = sa.MetaData(naming_convention=NAMING_CONVENTION)
ORIGIN = sa.Table("rollcall_origin", sa.MetaData(), sa.Column("adopted", sa.Boolean, nullable=False))


def upgrade() -> None:
    connection = op.get_bind()
    adopted = has_directus_tables(connection)
    if not adopted:
        TABLES.create_all(connection, checkfirst=False)
    ORIGIN.create(connection)
    connection.execute(ORIGIN.insert().values(adopted=adopted))


def downgrade() -> None:
    connection = op.get_bind()
    if not connection.scalar(sa.select(ORIGIN.c.adopted)):
        if not (context.config.attributes.get("force") or is_pristine(connection)):
            raise OperatorError(
                "Migrating down would delete users, roles and other rows for good: export them first, then add --force."
            )
        _forget_custom_references(connection)
        TABLES.drop_all(connection, checkfirst=False)
    ORIGIN.drop(connection)


def _forget_custom_references(connection: sa.Connection) -> None:
    """Make the order in which the tables are dropped independent of foreign keys that a project added to them."""
    if connection.dialect.name != POSTGRESQL:
        op.execute("PRAGMA defer_foreign_keys = ON")
        return
    quote = connection.dialect.identifier_preparer.quote
    for name, table in TABLES.tables.items():
        for key in sa.inspect(connection).get_foreign_keys(name):
            if not set(key["constrained_columns"]) & set(table.columns.keys()):
                op.execute(f"ALTER TABLE {name} DROP CONSTRAINT {quote(str(key['name']))}")


sa.Table(
    "directus_roles",
    TABLES,
    sa.Column("id", UUIDText, primary_key=True),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("icon", sa.String(64), nullable=False, server_default="supervised_user_circle"),
    sa.Column("description", sa.Text),
    sa.Column("parent", UUIDText, sa.ForeignKey("directus_roles.id")),
)

sa.Table(
    "directus_policies",
    TABLES,
    sa.Column("id", UUIDText, primary_key=True),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("icon", sa.String(64), nullable=False, server_default="badge"),
    sa.Column("description", sa.Text),
    sa.Column("ip_access", sa.Text),
    sa.Column("enforce_tfa", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("admin_access", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("app_access", sa.Boolean, nullable=False, server_default=sa.false()),
)

sa.Table(
    "directus_users",
    TABLES,
    sa.Column("id", UUIDText, primary_key=True),
    sa.Column("first_name", sa.String(50)),
    sa.Column("last_name", sa.String(50)),
    sa.Column("email", sa.String(128), unique=True),
    sa.Column("password", sa.String(255)),
    sa.Column("location", sa.String(255)),
    sa.Column("title", sa.String(50)),
    sa.Column("description", sa.Text),
    sa.Column("tags", Json),
    sa.Column("avatar", UUIDText),
    sa.Column("language", sa.String(255), server_default=sa.text("NULL")),
    sa.Column("tfa_secret", sa.String(255)),
    sa.Column("status", sa.String(16), nullable=False, server_default="active"),
    sa.Column("role", UUIDText, sa.ForeignKey("directus_roles.id", ondelete="SET NULL")),
    sa.Column("token", sa.String(255), unique=True),
    sa.Column("last_access", Timestamp),
    sa.Column("last_page", sa.String(255)),
    sa.Column("provider", sa.String(128), nullable=False, server_default="default"),
    sa.Column("external_identifier", sa.String(255), unique=True),
    sa.Column("auth_data", Json),
    sa.Column("email_notifications", sa.Boolean, server_default=sa.true()),
    sa.Column("appearance", sa.String(255)),
    sa.Column("theme_dark", sa.String(255)),
    sa.Column("theme_light", sa.String(255)),
    sa.Column("theme_light_overrides", Json),
    sa.Column("theme_dark_overrides", Json),
    sa.Column("text_direction", sa.String(255), nullable=False, server_default="auto"),
)

sa.Table(
    "directus_access",
    TABLES,
    sa.Column("id", UUIDText, primary_key=True),
    sa.Column("role", UUIDText, sa.ForeignKey("directus_roles.id", ondelete="CASCADE")),
    sa.Column("user", UUIDText, sa.ForeignKey("directus_users.id", ondelete="CASCADE")),
    sa.Column("policy", UUIDText, sa.ForeignKey("directus_policies.id", ondelete="CASCADE"), nullable=False),
    sa.Column("sort", sa.Integer),
)

sa.Table(
    "directus_permissions",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("collection", sa.String(64), nullable=False),
    sa.Column("action", sa.String(10), nullable=False),
    sa.Column("permissions", Json),
    sa.Column("validation", Json),
    sa.Column("presets", Json),
    sa.Column("fields", sa.Text),
    sa.Column("policy", UUIDText, sa.ForeignKey("directus_policies.id", ondelete="CASCADE"), nullable=False),
    sqlite_autoincrement=True,
)

sa.Table(
    "directus_folders",
    TABLES,
    sa.Column("id", UUIDText, primary_key=True),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("parent", UUIDText, sa.ForeignKey("directus_folders.id")),
)

sa.Table(
    "directus_files",
    TABLES,
    sa.Column("id", UUIDText, primary_key=True),
    sa.Column("storage", sa.String(255), nullable=False),
    sa.Column("filename_disk", sa.String(255)),
    sa.Column("filename_download", sa.String(255), nullable=False),
    sa.Column("title", sa.String(255)),
    sa.Column("type", sa.String(255)),
    sa.Column("folder", UUIDText, sa.ForeignKey("directus_folders.id", ondelete="SET NULL")),
    sa.Column("uploaded_by", UUIDText, sa.ForeignKey("directus_users.id")),
    sa.Column("created_on", Timestamp, nullable=False, server_default=Now()),
    sa.Column("modified_by", UUIDText, sa.ForeignKey("directus_users.id")),
    sa.Column("modified_on", Timestamp, nullable=False, server_default=Now()),
    sa.Column("charset", sa.String(50)),
    sa.Column("filesize", sa.BigInteger),
    sa.Column("width", sa.Integer),
    sa.Column("height", sa.Integer),
    sa.Column("duration", sa.Integer),
    sa.Column("embed", sa.String(200)),
    sa.Column("description", sa.Text),
    sa.Column("location", sa.Text),
    sa.Column("tags", sa.Text),
    sa.Column("metadata", Json),
    sa.Column("focal_point_x", sa.Integer),
    sa.Column("focal_point_y", sa.Integer),
    sa.Column("tus_id", sa.String(64)),
    sa.Column("tus_data", Json),
    sa.Column("uploaded_on", Timestamp),
)

sa.Table(
    "directus_sessions",
    TABLES,
    sa.Column("token", sa.String(64), primary_key=True),
    sa.Column("user", UUIDText, sa.ForeignKey("directus_users.id", ondelete="CASCADE")),
    sa.Column("expires", Timestamp, nullable=False),
    sa.Column("ip", sa.String(255)),
    sa.Column("user_agent", sa.Text),
    sa.Column("share", UUIDText),
    sa.Column("origin", sa.String(255)),
    sa.Column("next_token", sa.String(64)),
)

sa.Table(
    "directus_settings",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("project_name", sa.String(100), nullable=False, server_default="Directus"),
    sa.Column("project_url", sa.String(255)),
    sa.Column("project_color", sa.String(255), nullable=False, server_default="#6644FF"),
    sa.Column("project_logo", UUIDText, sa.ForeignKey("directus_files.id")),
    sa.Column("public_foreground", UUIDText, sa.ForeignKey("directus_files.id")),
    sa.Column("public_background", UUIDText, sa.ForeignKey("directus_files.id")),
    sa.Column("public_note", sa.Text),
    sa.Column("auth_login_attempts", sa.Integer, server_default=sa.text("25")),
    sa.Column("auth_password_policy", sa.String(100)),
    sa.Column("storage_asset_transform", sa.String(7), server_default="all"),
    sa.Column("storage_asset_presets", Json),
    sa.Column("custom_css", sa.Text),
    sa.Column("storage_default_folder", UUIDText, sa.ForeignKey("directus_folders.id", ondelete="SET NULL")),
    sa.Column("basemaps", Json),
    sa.Column("mapbox_key", sa.String(255)),
    sa.Column("module_bar", Json),
    sa.Column("project_descriptor", sa.String(100)),
    sa.Column("default_language", sa.String(255), nullable=False, server_default="en-US"),
    sa.Column("custom_aspect_ratios", Json),
    sa.Column("public_favicon", UUIDText, sa.ForeignKey("directus_files.id")),
    sa.Column("default_appearance", sa.String(255), nullable=False, server_default="auto"),
    sa.Column("default_theme_light", sa.String(255)),
    sa.Column("theme_light_overrides", Json),
    sa.Column("default_theme_dark", sa.String(255)),
    sa.Column("theme_dark_overrides", Json),
    sa.Column("report_error_url", sa.String(255)),
    sa.Column("report_bug_url", sa.String(255)),
    sa.Column("report_feature_url", sa.String(255)),
    sa.Column("public_registration", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("public_registration_verify_email", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("public_registration_role", UUIDText, sa.ForeignKey("directus_roles.id", ondelete="SET NULL")),
    sa.Column("public_registration_email_filter", Json),
    sa.Column("visual_editor_urls", Json),
    sa.Column("project_id", UUIDText),
    sa.Column("mcp_enabled", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("mcp_allow_deletes", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("mcp_prompts_collection", sa.String(255), server_default=sa.text("NULL")),
    sa.Column("mcp_system_prompt_enabled", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("mcp_system_prompt", sa.Text),
    sa.Column("project_owner", sa.String(255)),
    sa.Column("project_usage", sa.String(255)),
    sa.Column("org_name", sa.String(255)),
    sa.Column("product_updates", sa.Boolean),
    sa.Column("project_status", sa.String(255)),
    sa.Column("ai_openai_api_key", sa.Text),
    sa.Column("ai_anthropic_api_key", sa.Text),
    sa.Column("ai_system_prompt", sa.Text),
    sa.Column("ai_google_api_key", sa.Text),
    sa.Column("ai_openai_compatible_api_key", sa.Text),
    sa.Column("ai_openai_compatible_base_url", sa.Text),
    sa.Column("ai_openai_compatible_name", sa.Text),
    sa.Column("ai_openai_compatible_models", Json),
    sa.Column("ai_openai_compatible_headers", Json),
    sa.Column("ai_openai_allowed_models", Json),
    sa.Column("ai_anthropic_allowed_models", Json),
    sa.Column("ai_google_allowed_models", Json),
    sa.Column("collaborative_editing_enabled", sa.Boolean, nullable=False, server_default=sa.false()),
    sqlite_autoincrement=True,
)

sa.Table(
    "directus_activity",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("action", sa.String(45), nullable=False),
    sa.Column("user", UUIDText),
    sa.Column("timestamp", Timestamp, nullable=False, index=True, server_default=Now()),
    sa.Column("ip", sa.String(50)),
    sa.Column("user_agent", sa.Text),
    sa.Column("collection", sa.String(64), nullable=False),
    sa.Column("item", sa.String(255), nullable=False),
    sa.Column("origin", sa.String(255)),
    sqlite_autoincrement=True,
)

sa.Table(
    "directus_revisions",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column(
        "activity", sa.Integer, sa.ForeignKey("directus_activity.id", ondelete="CASCADE"), nullable=False, index=True
    ),
    sa.Column("collection", sa.String(64), nullable=False),
    sa.Column("item", sa.String(255), nullable=False),
    sa.Column("data", Json),
    sa.Column("delta", Json),
    sa.Column("parent", sa.Integer, sa.ForeignKey("directus_revisions.id"), index=True),
    sa.Column("version", UUIDText),
    sqlite_autoincrement=True,
)
