"""The rows that bootstrap makes, as Directus' own bootstrap does, and whether a database holds nothing else."""

from typing import Any

from sqlalchemy import Connection, select

from app.db.models import DIRECTUS_TABLES

Rows = dict[str, Any]

PUBLIC_POLICY: Rows = {
    "id": "abf8a154-5b1c-4a46-ac9c-7300570f4f17",
    "name": "$t:public_label",
    "icon": "public",
    "description": "$t:public_description",
}
ADMIN_POLICY: Rows = {
    "name": "Administrator",
    "icon": "verified",
    "description": "$t:admin_description",
    "admin_access": True,
    "app_access": True,
}
ADMIN_ROLE: Rows = {"name": "Administrator", "icon": "verified", "description": "$t:admin_description"}
ADMIN_USER: Rows = {"first_name": "Admin", "last_name": "User", "status": "active", "last_access": None}
SETTINGS: Rows = {
    "project_name": "Directus",
    "ai_openai_allowed_models": ["gpt-5-nano", "gpt-5-mini", "gpt-5"],
    "ai_anthropic_allowed_models": ["claude-haiku-4-5", "claude-sonnet-4-5"],
    "ai_google_allowed_models": [
        "gemini-3-pro-preview",
        "gemini-3-flash-preview",
        "gemini-2.5-pro",
        "gemini-2.5-flash",
    ],
}

BOOTSTRAP_ROWS: dict[str, tuple[Rows, ...]] = {
    "directus_policies": (PUBLIC_POLICY, ADMIN_POLICY),
    "directus_roles": (ADMIN_ROLE,),
    "directus_users": (ADMIN_USER,),
    "directus_access": ({"user": None}, {"user": None}),
    "directus_settings": (SETTINGS,),
}
"""What bootstrap leaves in each table; other tables stay empty."""


def is_pristine(connection: Connection) -> bool:
    """Whether every row is one that bootstrap made and nobody has touched since."""
    return all(_only(connection, table, BOOTSTRAP_ROWS.get(table.name, ())) for table in DIRECTUS_TABLES)


def _only(connection: Connection, table: Any, made: tuple[Rows, ...]) -> bool:
    rows = connection.execute(select(table).limit(len(made) + 1)).mappings().all()
    left = list(made)
    for row in rows:
        like = next((seed for seed in left if all(row[name] == value for name, value in seed.items())), None)
        if like is None:
            return False
        left.remove(like)
    return True
