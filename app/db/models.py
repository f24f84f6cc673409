"""The models: every table as Directus 11 defines it, and the single source of SQL and GraphQL types.

A foreign key is the attribute `<field>_id`; the relation itself has the name of Directus' field. `info` holds what a
type cannot: whether a field is `hash` or `concealed`, and the `note` printed above it. Relations are only joined on,
never loaded, so all of them are `viewonly`.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    true,
)
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, Relationship, mapped_column, relationship

from app.db.base import Base, Csv, Json, JsonText, Now, Timestamp, UUIDText

SECRET = {"hash": True, "concealed": True}
CONCEALED = {"concealed": True}
# Without it SQLite would reuse the number of a deleted row, which PostgreSQL's sequences don't.
AUTOINCREMENT = {"sqlite_autoincrement": True}


def note(key: str) -> dict[str, str]:
    """Return the `info` of a field with a note, which is a translation key."""
    return {"note": f"$t:{key}"}


def foreign_key(name: str, target: str, ondelete: str | None = None, **options: Any) -> Any:
    """Return the column `name`, a foreign key to `directus_<target>`."""
    type_ = Integer if target in ("activity", "revisions") else UUIDText
    return mapped_column(name, type_, ForeignKey(f"directus_{target}.id", ondelete=ondelete), **options)


def relation(column: str, **options: Any) -> Relationship[Any]:
    """Return the relation of the foreign key `Class.column`, for either of its ends."""
    return relationship(viewonly=True, foreign_keys=column, **options)


class User(Base):
    """A user account, of a person or a machine."""

    __tablename__ = "directus_users"

    id: Mapped[str] = mapped_column(UUIDText, primary_key=True)
    first_name: Mapped[str | None] = mapped_column(String(50))
    last_name: Mapped[str | None] = mapped_column(String(50))
    email: Mapped[str | None] = mapped_column(String(128), unique=True)
    password: Mapped[str | None] = mapped_column(String(255), info=SECRET)
    location: Mapped[str | None] = mapped_column(String(255))
    title: Mapped[str | None] = mapped_column(String(50))
    description: Mapped[str | None] = mapped_column(Text)
    tags: Mapped[Any | None] = mapped_column(Json)
    avatar_id: Mapped[str | None] = mapped_column("avatar", UUIDText)
    language: Mapped[str | None] = mapped_column(String(255), server_default=sql("NULL"))
    tfa_secret: Mapped[str | None] = mapped_column(String(255), info=SECRET)
    status: Mapped[str] = mapped_column(String(16), server_default="active")
    role_id: Mapped[str | None] = foreign_key("role", "roles", "SET NULL")
    token: Mapped[str | None] = mapped_column(String(255), unique=True, info=SECRET)
    last_access: Mapped[datetime | None] = mapped_column(Timestamp)
    last_page: Mapped[str | None] = mapped_column(String(255))
    provider: Mapped[str] = mapped_column(String(128), server_default="default")
    external_identifier: Mapped[str | None] = mapped_column(String(255), unique=True)
    auth_data: Mapped[Any | None] = mapped_column(Json, info=CONCEALED)
    email_notifications: Mapped[bool | None] = mapped_column(Boolean, server_default=true())
    appearance: Mapped[str | None] = mapped_column(String(255))
    theme_dark: Mapped[str | None] = mapped_column(String(255))
    theme_light: Mapped[str | None] = mapped_column(String(255))
    theme_light_overrides: Mapped[Any | None] = mapped_column(Json)
    theme_dark_overrides: Mapped[Any | None] = mapped_column(Json)
    text_direction: Mapped[str] = mapped_column(String(255), server_default="auto")

    # Directus has no foreign key here; constraints.py and files.py in app/repositories keep the reference valid.
    avatar: Mapped["File | None"] = relation("User.avatar_id", primaryjoin="User.avatar_id == File.id")
    role: Mapped["Role | None"] = relation("User.role_id")
    policies: Mapped[list["Access"]] = relation("Access.user_id")


class Role(Base):
    """A group of users, with the permissions of its own policies and those of its ancestors."""

    __tablename__ = "directus_roles"

    id: Mapped[str] = mapped_column(UUIDText, primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    icon: Mapped[str] = mapped_column(String(64), server_default="supervised_user_circle")
    description: Mapped[str | None] = mapped_column(Text)
    parent_id: Mapped[str | None] = foreign_key("parent", "roles")

    parent: Mapped["Role | None"] = relation("Role.parent_id", remote_side="Role.id")
    children: Mapped[list["Role"]] = relation("Role.parent_id")
    policies: Mapped[list["Access"]] = relation("Access.role_id")
    users: Mapped[list["User"]] = relation("User.role_id")


class Policy(Base):
    """A named set of permissions."""

    __tablename__ = "directus_policies"

    id: Mapped[str] = mapped_column(UUIDText, primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    icon: Mapped[str] = mapped_column(String(64), server_default="badge")
    description: Mapped[str | None] = mapped_column(Text)
    ip_access: Mapped[list[str] | None] = mapped_column(Csv)
    enforce_tfa: Mapped[bool] = mapped_column(
        Boolean, server_default=false(), info=note("field_options.directus_policies.enforce_tfa")
    )
    admin_access: Mapped[bool] = mapped_column(Boolean, server_default=false())
    app_access: Mapped[bool] = mapped_column(Boolean, server_default=false())

    permissions: Mapped[list["Permission"]] = relation("Permission.policy_id")
    # Both list the same access rows: clients tell from the row whether it names a user or a role.
    users: Mapped[list["Access"]] = relation("Access.policy_id")
    roles: Mapped[list["Access"]] = relation("Access.policy_id")


class Access(Base):
    """Attaches one policy to a role, to a user or, with neither, to everyone."""

    __tablename__ = "directus_access"

    id: Mapped[str] = mapped_column(UUIDText, primary_key=True)
    role_id: Mapped[str | None] = foreign_key("role", "roles", "CASCADE")
    user_id: Mapped[str | None] = foreign_key("user", "users", "CASCADE")
    policy_id: Mapped[str] = foreign_key("policy", "policies", "CASCADE", nullable=False)
    sort: Mapped[int | None] = mapped_column(Integer, info={"orders_rows": True})

    role: Mapped["Role | None"] = relation("Access.role_id")
    user: Mapped["User | None"] = relation("Access.user_id")
    policy: Mapped["Policy"] = relation("Access.policy_id")


class Permission(Base):
    """What a policy allows: one action on one collection."""

    __tablename__ = "directus_permissions"
    __table_args__ = AUTOINCREMENT

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    collection: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(10))
    permissions: Mapped[Any | None] = mapped_column(Json)
    validation: Mapped[Any | None] = mapped_column(Json)
    presets: Mapped[Any | None] = mapped_column(Json)
    fields: Mapped[list[str] | None] = mapped_column(Csv)
    policy_id: Mapped[str] = foreign_key("policy", "policies", "CASCADE", nullable=False)

    policy: Mapped["Policy"] = relation("Permission.policy_id")


class Settings(Base):
    """The project's settings, a single row."""

    __tablename__ = "directus_settings"
    __table_args__ = AUTOINCREMENT

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    project_name: Mapped[str] = mapped_column(String(100), server_default="Directus")
    project_url: Mapped[str | None] = mapped_column(String(255))
    project_color: Mapped[str] = mapped_column(
        String(255), server_default="#6644FF", info=note("field_options.directus_settings.project_color_note")
    )
    project_logo_id: Mapped[str | None] = foreign_key("project_logo", "files")
    public_foreground_id: Mapped[str | None] = foreign_key("public_foreground", "files")
    public_background_id: Mapped[str | None] = foreign_key("public_background", "files")
    public_note: Mapped[str | None] = mapped_column(Text)
    auth_login_attempts: Mapped[int | None] = mapped_column(Integer, server_default=sql("25"))
    auth_password_policy: Mapped[str | None] = mapped_column(String(100))
    storage_asset_transform: Mapped[str | None] = mapped_column(String(7), server_default="all")
    storage_asset_presets: Mapped[Any | None] = mapped_column(Json)
    custom_css: Mapped[str | None] = mapped_column(Text)
    storage_default_folder_id: Mapped[str | None] = foreign_key("storage_default_folder", "folders", "SET NULL")
    basemaps: Mapped[Any | None] = mapped_column(Json)
    mapbox_key: Mapped[str | None] = mapped_column(String(255))
    module_bar: Mapped[Any | None] = mapped_column(Json)
    project_descriptor: Mapped[str | None] = mapped_column(String(100))
    default_language: Mapped[str] = mapped_column(String(255), server_default="en-US")
    custom_aspect_ratios: Mapped[Any | None] = mapped_column(Json)
    public_favicon_id: Mapped[str | None] = foreign_key("public_favicon", "files")
    default_appearance: Mapped[str] = mapped_column(String(255), server_default="auto")
    default_theme_light: Mapped[str | None] = mapped_column(String(255))
    theme_light_overrides: Mapped[Any | None] = mapped_column(Json)
    default_theme_dark: Mapped[str | None] = mapped_column(String(255))
    theme_dark_overrides: Mapped[Any | None] = mapped_column(Json)
    report_error_url: Mapped[str | None] = mapped_column(String(255))
    report_bug_url: Mapped[str | None] = mapped_column(String(255))
    report_feature_url: Mapped[str | None] = mapped_column(String(255))
    public_registration: Mapped[bool] = mapped_column(
        Boolean, server_default=false(), info=note("fields.directus_settings.public_registration_note")
    )
    public_registration_verify_email: Mapped[bool] = mapped_column(
        Boolean, server_default=true(), info=note("fields.directus_settings.public_registration_verify_email_note")
    )
    public_registration_role_id: Mapped[str | None] = foreign_key("public_registration_role", "roles", "SET NULL")
    public_registration_email_filter: Mapped[Any | None] = mapped_column(
        Json, info=note("fields.directus_settings.public_registration_email_filter_note")
    )
    visual_editor_urls: Mapped[Any | None] = mapped_column(Json)
    project_id: Mapped[str | None] = mapped_column(UUIDText)
    mcp_enabled: Mapped[bool] = mapped_column(
        Boolean, server_default=false(), info=note("fields.directus_settings.mcp_enabled_note")
    )
    mcp_allow_deletes: Mapped[bool] = mapped_column(
        Boolean, server_default=false(), info=note("fields.directus_settings.mcp_allow_deletes_note")
    )
    mcp_prompts_collection: Mapped[str | None] = mapped_column(
        String(255), server_default=sql("NULL"), info=note("fields.directus_settings.mcp_prompts_collection_note")
    )
    mcp_system_prompt_enabled: Mapped[bool] = mapped_column(
        Boolean, server_default=true(), info=note("fields.directus_settings.mcp_system_prompt_enabled_note")
    )
    mcp_system_prompt: Mapped[str | None] = mapped_column(
        Text, info=note("fields.directus_settings.mcp_system_prompt_note")
    )
    project_owner: Mapped[str | None] = mapped_column(String(255))
    project_usage: Mapped[str | None] = mapped_column(String(255))
    org_name: Mapped[str | None] = mapped_column(String(255))
    product_updates: Mapped[bool | None] = mapped_column(Boolean)
    project_status: Mapped[str | None] = mapped_column(String(255))
    ai_openai_api_key: Mapped[str | None] = mapped_column(Text, info=CONCEALED)
    ai_anthropic_api_key: Mapped[str | None] = mapped_column(Text, info=CONCEALED)
    ai_system_prompt: Mapped[str | None] = mapped_column(
        Text, info=note("fields.directus_settings.ai_system_prompt_note")
    )
    ai_google_api_key: Mapped[str | None] = mapped_column(Text, info=CONCEALED)
    ai_openai_compatible_api_key: Mapped[str | None] = mapped_column(Text, info=CONCEALED)
    ai_openai_compatible_base_url: Mapped[str | None] = mapped_column(Text)
    ai_openai_compatible_name: Mapped[str | None] = mapped_column(Text)
    ai_openai_compatible_models: Mapped[Any | None] = mapped_column(Json)
    ai_openai_compatible_headers: Mapped[Any | None] = mapped_column(Json, info=CONCEALED)
    ai_openai_allowed_models: Mapped[Any | None] = mapped_column(Json)
    ai_anthropic_allowed_models: Mapped[Any | None] = mapped_column(Json)
    ai_google_allowed_models: Mapped[Any | None] = mapped_column(Json)
    collaborative_editing_enabled: Mapped[bool] = mapped_column(
        Boolean, server_default=false(), info=note("fields.directus_settings.collaborative_editing_note")
    )

    project_logo: Mapped["File | None"] = relation("Settings.project_logo_id")
    public_foreground: Mapped["File | None"] = relation("Settings.public_foreground_id")
    public_background: Mapped["File | None"] = relation("Settings.public_background_id")
    storage_default_folder: Mapped["Folder | None"] = relation("Settings.storage_default_folder_id")
    public_favicon: Mapped["File | None"] = relation("Settings.public_favicon_id")
    public_registration_role: Mapped["Role | None"] = relation("Settings.public_registration_role_id")


class Session(Base):
    """A session, under its current refresh token."""

    __tablename__ = "directus_sessions"

    token: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str | None] = foreign_key("user", "users", "CASCADE")
    expires: Mapped[datetime] = mapped_column(Timestamp)
    ip: Mapped[str | None] = mapped_column(String(255))
    user_agent: Mapped[str | None] = mapped_column(Text)
    # Directus also has a foreign key to directus_shares here, a table that Rollcall does not have.
    share: Mapped[str | None] = mapped_column(UUIDText)
    origin: Mapped[str | None] = mapped_column(String(255))
    next_token: Mapped[str | None] = mapped_column(String(64))

    user: Mapped["User | None"] = relation("Session.user_id")


class File(Base):
    """The metadata of an uploaded file."""

    __tablename__ = "directus_files"

    id: Mapped[str] = mapped_column(UUIDText, primary_key=True)
    storage: Mapped[str] = mapped_column(String(255))
    filename_disk: Mapped[str | None] = mapped_column(String(255))
    filename_download: Mapped[str] = mapped_column(String(255))
    title: Mapped[str | None] = mapped_column(String(255))
    type: Mapped[str | None] = mapped_column(String(255))
    folder_id: Mapped[str | None] = foreign_key("folder", "folders", "SET NULL")
    uploaded_by_id: Mapped[str | None] = foreign_key("uploaded_by", "users")
    created_on: Mapped[datetime] = mapped_column(Timestamp, server_default=Now())
    modified_by_id: Mapped[str | None] = foreign_key("modified_by", "users")
    modified_on: Mapped[datetime] = mapped_column(Timestamp, server_default=Now())
    charset: Mapped[str | None] = mapped_column(String(50))
    filesize: Mapped[int | None] = mapped_column(BigInteger)
    width: Mapped[int | None] = mapped_column(Integer)
    height: Mapped[int | None] = mapped_column(Integer)
    duration: Mapped[int | None] = mapped_column(Integer)
    embed: Mapped[str | None] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(Text)
    location: Mapped[str | None] = mapped_column(Text)
    tags: Mapped[Any | None] = mapped_column(JsonText)
    # SQLAlchemy reserves the attribute `metadata`.
    metadata_: Mapped[Any | None] = mapped_column("metadata", Json)
    focal_point_x: Mapped[int | None] = mapped_column(Integer)
    focal_point_y: Mapped[int | None] = mapped_column(Integer)
    tus_id: Mapped[str | None] = mapped_column(String(64))
    tus_data: Mapped[Any | None] = mapped_column(Json)
    uploaded_on: Mapped[datetime | None] = mapped_column(Timestamp)

    folder: Mapped["Folder | None"] = relation("File.folder_id")
    uploaded_by: Mapped["User | None"] = relation("File.uploaded_by_id")
    modified_by: Mapped["User | None"] = relation("File.modified_by_id")


class Folder(Base):
    """A folder of files."""

    __tablename__ = "directus_folders"

    id: Mapped[str] = mapped_column(UUIDText, primary_key=True)
    name: Mapped[str] = mapped_column(String(255))
    parent_id: Mapped[str | None] = foreign_key("parent", "folders")

    parent: Mapped["Folder | None"] = relation("Folder.parent_id", remote_side="Folder.id")


class Activity(Base):
    """An entry of the audit log: who did what, and when."""

    __tablename__ = "directus_activity"
    __table_args__ = AUTOINCREMENT

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    action: Mapped[str] = mapped_column(String(45))
    # No foreign key, so that the audit log outlives the account.
    user_id: Mapped[str | None] = mapped_column("user", UUIDText)
    timestamp: Mapped[datetime] = mapped_column(Timestamp, server_default=Now(), index=True)
    ip: Mapped[str | None] = mapped_column(String(50))
    user_agent: Mapped[str | None] = mapped_column(Text)
    collection: Mapped[str] = mapped_column(String(64))
    item: Mapped[str] = mapped_column(String(255))
    origin: Mapped[str | None] = mapped_column(String(255))

    user: Mapped["User | None"] = relation("Activity.user_id", primaryjoin="Activity.user_id == User.id")
    revisions: Mapped[list["Revision"]] = relation("Revision.activity_id")


class Revision(Base):
    """A row's values after a change."""

    __tablename__ = "directus_revisions"
    __table_args__ = AUTOINCREMENT

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    activity_id: Mapped[int] = foreign_key("activity", "activity", "CASCADE", nullable=False, index=True)
    collection: Mapped[str] = mapped_column(String(64))
    item: Mapped[str] = mapped_column(String(255))
    data: Mapped[Any | None] = mapped_column(Json)
    delta: Mapped[Any | None] = mapped_column(Json)
    parent_id: Mapped[int | None] = foreign_key("parent", "revisions", index=True)
    # Directus also has a foreign key to directus_versions here, a table that Rollcall does not have.
    version: Mapped[str | None] = mapped_column(UUIDText)

    activity: Mapped["Activity"] = relation("Revision.activity_id")
    parent: Mapped["Revision | None"] = relation("Revision.parent_id", remote_side="Revision.id")


class CollectionMeta(Base):
    """What Directus knows of a collection beyond its table."""

    __tablename__ = "directus_collections"

    collection: Mapped[str] = mapped_column(String(64), primary_key=True)
    icon: Mapped[str | None] = mapped_column(String(64))
    note: Mapped[str | None] = mapped_column(Text)
    display_template: Mapped[str | None] = mapped_column(String(255))
    hidden: Mapped[bool] = mapped_column(Boolean, server_default=false())
    singleton: Mapped[bool] = mapped_column(Boolean, server_default=false())
    translations: Mapped[Any | None] = mapped_column(Json)
    archive_field: Mapped[str | None] = mapped_column(String(64))
    archive_app_filter: Mapped[bool] = mapped_column(Boolean, server_default=true())
    archive_value: Mapped[str | None] = mapped_column(String(255))
    unarchive_value: Mapped[str | None] = mapped_column(String(255))
    sort_field: Mapped[str | None] = mapped_column(String(64))
    accountability: Mapped[str | None] = mapped_column(String(255), server_default="all")
    color: Mapped[str | None] = mapped_column(String(255))
    item_duplication_fields: Mapped[Any | None] = mapped_column(Json)
    sort: Mapped[int | None] = mapped_column(Integer)
    group: Mapped[str | None] = mapped_column(String(64), ForeignKey("directus_collections.collection"))
    collapse: Mapped[str] = mapped_column(String(255), server_default="open")
    preview_url: Mapped[str | None] = mapped_column(String(255))
    versioning: Mapped[bool] = mapped_column(Boolean, server_default=false())


class FieldMeta(Base):
    """What Directus knows of a field beyond its column. A column of a project is a field only if it has such a row."""

    __tablename__ = "directus_fields"
    __table_args__ = AUTOINCREMENT

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    collection: Mapped[str] = mapped_column(String(64))
    field: Mapped[str] = mapped_column(String(64))
    special: Mapped[list[str] | None] = mapped_column(Csv)
    interface: Mapped[str | None] = mapped_column(String(64))
    options: Mapped[Any | None] = mapped_column(Json)
    display: Mapped[str | None] = mapped_column(String(64))
    display_options: Mapped[Any | None] = mapped_column(Json)
    readonly: Mapped[bool] = mapped_column(Boolean, server_default=false())
    hidden: Mapped[bool] = mapped_column(Boolean, server_default=false())
    sort: Mapped[int | None] = mapped_column(Integer)
    width: Mapped[str | None] = mapped_column(String(30), server_default="full")
    translations: Mapped[Any | None] = mapped_column(Json)
    note: Mapped[str | None] = mapped_column(Text)
    conditions: Mapped[Any | None] = mapped_column(Json)
    required: Mapped[bool | None] = mapped_column(Boolean, server_default=false())
    group: Mapped[str | None] = mapped_column(String(64))
    validation: Mapped[Any | None] = mapped_column(Json)
    validation_message: Mapped[str | None] = mapped_column(Text)
    searchable: Mapped[bool] = mapped_column(Boolean, server_default=true())


class RelationMeta(Base):
    """What Directus knows of a relation: the many-to-one field, and the name of its one-to-many alias."""

    __tablename__ = "directus_relations"
    __table_args__ = AUTOINCREMENT

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    many_collection: Mapped[str] = mapped_column(String(64))
    many_field: Mapped[str] = mapped_column(String(64))
    one_collection: Mapped[str | None] = mapped_column(String(64))
    one_field: Mapped[str | None] = mapped_column(String(64))
    one_collection_field: Mapped[str | None] = mapped_column(String(64))
    one_allowed_collections: Mapped[list[str] | None] = mapped_column(Csv)
    junction_field: Mapped[str | None] = mapped_column(String(64))
    sort_field: Mapped[str | None] = mapped_column(String(64))
    one_deselect_action: Mapped[str] = mapped_column(String(255), server_default="nullify")


# One row. `token` changes with every write to the four tables that define permissions and the three that describe
# fields; `schema_token` only with those that describe fields.
VERSION = Table(
    "rollcall_version",
    Base.metadata,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    Column("token", UUIDText, nullable=False),
    Column("schema_token", UUIDText, nullable=False),
    Column("replicas", Boolean, nullable=False, server_default=false()),
)
# One row, locked FOR UPDATE by exclusive writes; locking the version row instead would deadlock with Directus' writes.
# `user_changes` counts the writes that changed the role or status of users, or deleted users.
LOCK = Table(
    "rollcall_lock",
    Base.metadata,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    Column("user_changes", BigInteger, nullable=False, server_default="0"),
)
# One row, which says whether Directus created the tables.
ORIGIN = Table(
    "rollcall_origin",
    Base.metadata,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    Column("adopted", Boolean, nullable=False),
)
# The nodes of a Directus on the same database: the version of the rights that each knows, and when it is due again.
DIRECTUS_NODES = Table(
    "rollcall_directus_nodes",
    Base.metadata,
    Column("url", String(255), primary_key=True),
    Column("version", String(64)),
    Column("due", Timestamp, nullable=False),
    Column("attempts", Integer, nullable=False),
)
# Queued mails; a row is deleted when its mail was sent. Only earlier versions set `sent`.
OUTBOX = Table(
    "rollcall_outbox",
    Base.metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("recipient", String(255)),
    Column("data", JsonText),
    Column("due", Timestamp, nullable=False, index=True),
    Column("attempts", Integer, nullable=False),
    Column("sent", Timestamp),
    Column("queued", Timestamp),
    sqlite_autoincrement=True,
)
# Counts of rate-limited attempts, and when each expires; `subject` is a hash.
ATTEMPTS = Table(
    "rollcall_attempts",
    Base.metadata,
    Column("subject", String(64), primary_key=True),
    Column("count", Integer, nullable=False),
    Column("expires", Timestamp, nullable=False, index=True),
)
# The last time step whose OTP a user has used, because a code is valid once. All rows have the same `purpose`.
USED_CODES = Table(
    "rollcall_used_codes",
    Base.metadata,
    Column("id", Integer, primary_key=True),
    Column("user", UUIDText, ForeignKey("directus_users.id", ondelete="CASCADE"), nullable=False),
    Column("purpose", String(16), nullable=False),
    Column("step", BigInteger, nullable=False),
    UniqueConstraint("user", "purpose"),
)
# Hashes of unused recovery codes.
RECOVERY_CODES = Table(
    "rollcall_recovery_codes",
    Base.metadata,
    Column("hash", String(64), primary_key=True),
    Column("user", UUIDText, ForeignKey("directus_users.id", ondelete="CASCADE"), nullable=False, index=True),
)
# When access rows expire; rows that last have none. `announced` and `recorded` say when the jobs did so, once each.
ACCESS_EXPIRY = Table(
    "rollcall_access_expiry",
    Base.metadata,
    Column("access", UUIDText, ForeignKey("directus_access.id", ondelete="CASCADE"), primary_key=True),
    Column("expires", Timestamp, index=True, info={"note": "When the policy stops applying, null for never"}),
    Column("announced", Timestamp),
    Column("recorded", Timestamp),
)
# API tokens. `scoped` says that a token has the rights of its rows in API_TOKEN_POLICIES only; of none, if these are
# gone. Without it, a token has all rights of its owner.
API_TOKENS = Table(
    "rollcall_tokens",
    Base.metadata,
    Column("id", UUIDText, primary_key=True),
    Column("user", UUIDText, ForeignKey("directus_users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("hash", String(64), nullable=False, unique=True),
    Column("name", String(255), nullable=False),
    Column("created", Timestamp, nullable=False),
    Column("expires", Timestamp),
    Column("read_only", Boolean, nullable=False, server_default=false()),
    Column("scoped", Boolean, nullable=False, server_default=false()),
    Column("ip_access", Csv),
    Column("last_used", Timestamp),
    Column("last_used_ip", String(255)),
)
# The policies that a scoped API token is limited to.
API_TOKEN_POLICIES = Table(
    "rollcall_token_policies",
    Base.metadata,
    Column("id", Integer, primary_key=True),
    Column("token", UUIDText, ForeignKey("rollcall_tokens.id", ondelete="CASCADE"), nullable=False),
    Column("policy", UUIDText, ForeignKey("directus_policies.id", ondelete="CASCADE"), nullable=False, index=True),
    UniqueConstraint("token", "policy"),
)
# Hashes of former passwords, at most PASSWORD_HISTORY of each user; `created` is when another one replaced it.
PASSWORD_HISTORY = Table(
    "rollcall_password_history",
    Base.metadata,
    Column("id", Integer, primary_key=True),
    Column("user", UUIDText, ForeignKey("directus_users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("hash", String(255), nullable=False),
    Column("created", Timestamp, nullable=False),
)
# Passkeys. `credential_id` and `public_key` are base64url; `sign_count` is what the authenticator counted last, and
# `counter_rejected` when it last presented a counter that had not increased.
PASSKEYS = Table(
    "rollcall_passkeys",
    Base.metadata,
    Column("id", UUIDText, primary_key=True),
    Column("user", UUIDText, ForeignKey("directus_users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", String(255), nullable=False),
    Column("credential_id", String(1400), nullable=False, unique=True),
    Column("public_key", String(1400), nullable=False),
    Column("sign_count", BigInteger, nullable=False),
    Column("transports", Csv),
    Column("synced", Boolean, nullable=False),
    Column("backed_up", Boolean, nullable=False),
    Column("created", Timestamp, nullable=False),
    Column("last_used", Timestamp),
    Column("counter_rejected", Timestamp),
)
# Sign-ins at a provider whose response was received, and challenges of passkeys that were answered, so that none is
# accepted twice.
USED_SIGN_INS = Table(
    "rollcall_used_sign_ins",
    Base.metadata,
    Column("hash", String(64), primary_key=True),
    Column("expires", Timestamp, nullable=False, index=True),
)
# Which rows a transaction wrote, and who may have lost a session or an API token. `xid` is PostgreSQL's id of the
# transaction. Without a key, every row of the collection is meant.
EVENTS = Table(
    "rollcall_events",
    Base.metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("xid", BigInteger, nullable=False),
    Column("collection", String(64), nullable=False),
    Column("key", String(64)),
    Column("action", String(16), nullable=False),
    sqlite_autoincrement=True,
)
# One row. Writes add events until the Unix time `active_until`, which servers that read them keep moving. Since the
# transaction `started_xid` they do so. Events of the generation at `pruned_mark` and `pruned_until` are deleted.
EVENT_CAPTURE = Table(
    "rollcall_event_capture",
    Base.metadata,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    Column("active_until", BigInteger, nullable=False),
    Column("started_xid", BigInteger, nullable=False),
    Column("generation_mark", Text, nullable=False),
    Column("generation_at", BigInteger, nullable=False),
    Column("pruned_mark", Text, nullable=False),
    Column("pruned_until", BigInteger, nullable=False),
)
# When a task that a single process runs is due next.
TASKS = Table(
    "rollcall_tasks",
    Base.metadata,
    Column("name", String(32), primary_key=True),
    Column("due", Timestamp, nullable=False),
)

# Directus' tables, each after those it references.
DIRECTUS_TABLES = [table for table in Base.metadata.sorted_tables if table.name.startswith("directus_")]
# The tables that describe collections, fields and relations. Earlier versions of Rollcall did not create them.
SCHEMA_TABLES = ("directus_collections", "directus_fields", "directus_relations")
