"""The rows every directory begins with, and how to tell one that holds no others."""

from typing import Any

from sqlalchemy import Connection, select

from app.db.models import DIRECTUS_TABLES

Row = dict[str, Any]

PUBLIC_POLICY = "abf8a154-5b1c-4a46-ac9c-7300570f4f17"
PUBLIC: Row = {"name": "$t:public_label", "icon": "public", "description": "$t:public_description"}
ADMIN: Row = {"name": "Administrator", "icon": "verified", "description": "$t:admin_description"}
FIRST_ADMIN: Row = {"first_name": "Admin", "last_name": "User", "status": "active"}
SETTINGS: Row = {
    "id": 1,
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

# What bootstrap's rows say of themselves; their random ids, the admin's e-mail and the like are left out.
SEEDS: dict[str, list[Row]] = {
    "directus_policies": [
        {"id": PUBLIC_POLICY, **PUBLIC, "admin_access": False, "app_access": False},
        {**ADMIN, "admin_access": True, "app_access": True},
    ],
    "directus_roles": [{**ADMIN, "parent": None}],
    "directus_access": [
        {"policy": PUBLIC_POLICY, "role": None, "user": None, "sort": 1},
        {"user": None, "sort": None},
    ],
    "directus_users": [FIRST_ADMIN],
    "directus_settings": [SETTINGS],
}


def pristine(connection: Connection) -> bool:
    """Whether Directus' tables hold nothing but what bootstrap puts there, if that."""
    for table in DIRECTUS_TABLES:
        seeds = SEEDS.get(table.name, [])
        rows = connection.execute(select(table).limit(len(seeds) + 1)).mappings().all()
        if len(rows) > len(seeds) or not all(any(seed.items() <= dict(row).items() for seed in seeds) for row in rows):
            return False
    return True
