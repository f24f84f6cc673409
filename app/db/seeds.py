"""The rows that bootstrap creates, as Directus' own bootstrap does, and whether a database holds no others."""

from typing import Any

from sqlalchemy import Connection, inspect, select

from app.db.models import DIRECTUS_TABLES

SeedRow = dict[str, Any]
"""The values of a row that are the same in every database."""

PUBLIC_POLICY: SeedRow = {
    "id": "abf8a154-5b1c-4a46-ac9c-7300570f4f17",
    "name": "$t:public_label",
    "icon": "public",
    "description": "$t:public_description",
}
ADMIN_POLICY: SeedRow = {
    "name": "Administrator",
    "icon": "verified",
    "description": "$t:admin_description",
    "admin_access": True,
    "app_access": True,
}
ADMIN_ROLE: SeedRow = {"name": "Administrator", "icon": "verified", "description": "$t:admin_description"}
ADMIN_USER: SeedRow = {"first_name": "Admin", "last_name": "User", "status": "active", "last_access": None}
SETTINGS: SeedRow = {
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

BOOTSTRAP_ROWS: dict[str, tuple[SeedRow, ...]] = {
    "directus_policies": (PUBLIC_POLICY, ADMIN_POLICY),
    "directus_roles": (ADMIN_ROLE,),
    "directus_users": (ADMIN_USER,),
    "directus_access": ({"user": None}, {"user": None}),
    "directus_settings": (SETTINGS,),
}
"""The rows that bootstrap creates in each table; it leaves the other tables empty."""


def is_pristine(connection: Connection) -> bool:
    """Return whether the database holds only rows of bootstrap, and all of them unchanged."""
    names = set(inspect(connection).get_table_names())  # migrating down drops some of the tables before it asks
    tables = (table for table in DIRECTUS_TABLES if table.name in names)
    return all(_holds_only(connection, table, BOOTSTRAP_ROWS.get(table.name, ())) for table in tables)


def _holds_only(connection: Connection, table: Any, seeds: tuple[SeedRow, ...]) -> bool:
    rows = connection.execute(select(table).limit(len(seeds) + 1)).mappings().all()
    unmatched = list(seeds)
    for row in rows:
        match = next((seed for seed in unmatched if all(row[name] == value for name, value in seed.items())), None)
        if match is None:
            return False
        unmatched.remove(match)
    return True
