"""Users with write permissions, in addition to the base data, and what their policies allow.

Wes creates, updates and deletes active users of his own role. Rita manages roles, policies and their assignment but is
no administrator. Pat may change every user's token, because a policy names that field.
"""

import hashlib
from typing import Any

from sqlalchemy import select

from app.db.models import DIRECTUS_TABLES
from app.testing import TestSystem
from tests.base_data import IS_ACTIVE, IS_SELF, Rows, make_access, make_policy, make_role, make_user, uid

ACTIVE_IN_OWN_ROLE = {"_and": [{"role": {"_eq": "$CURRENT_ROLE"}}, IS_ACTIVE]}
EXAMPLE_COM_EMAIL = {"email": {"_ends_with": "@example.com"}}


def make_permission(
    number: int, policy: str, action: str, collection: str, fields: str | None, **values: Any
) -> dict[str, Any]:
    """Return one permission row of a policy."""
    return {
        "id": number,
        "policy": uid(f"policy-{policy}"),
        "collection": f"directus_{collection}",
        "action": action,
        "fields": fields,
        **values,
    }


RIGHTS_PERMISSIONS = [
    make_permission(200 + 10 * i + j, "Rights", action, collection, "*")
    for i, collection in enumerate(("users", "roles", "policies", "access", "permissions"))
    for j, action in enumerate(("create", "read", "update", "delete"))
]

EDITOR_ROWS: Rows = {
    "directus_roles": [make_role("Writer"), make_role("Rights"), make_role("Tokens")],
    "directus_users": [
        make_user("wes", "Writer", first_name="Wes"),
        make_user("will", "Writer", first_name="Will"),
        make_user("wanda", "Writer", status="archived"),
        make_user("rita", "Rights"),
        make_user("pat", "Tokens"),
    ],
    "directus_policies": [make_policy("Writers"), make_policy("Rights"), make_policy("Tokens")],
    "directus_access": [
        make_access("Writers", role="Writer"),
        make_access("Rights", role="Rights"),
        make_access("Tokens", role="Tokens"),
    ],
    "directus_permissions": [
        make_permission(
            100,
            "Writers",
            "read",
            "users",
            "id,email,first_name,title,status,role,description",
            permissions=ACTIVE_IN_OWN_ROLE,
        ),
        make_permission(
            101, "Writers", "create", "users", "email,first_name,title,role,password", validation=EXAMPLE_COM_EMAIL
        )
        | {"presets": {"role": "$CURRENT_ROLE", "title": "New here", "description": "$CURRENT_USER"}},
        make_permission(102, "Writers", "update", "users", "first_name,title,status", permissions=ACTIVE_IN_OWN_ROLE)
        | {"validation": {"title": {"_nempty": True}}, "presets": {"description": "touched"}},
        make_permission(103, "Writers", "update", "users", "email,last_name", permissions=IS_SELF),
        make_permission(
            104,
            "Writers",
            "delete",
            "users",
            None,
            permissions={"_and": [ACTIVE_IN_OWN_ROLE, {"id": {"_neq": "$CURRENT_USER"}}]},
        ),
        make_permission(105, "Writers", "read", "roles", "id,name,users"),
        make_permission(110, "Tokens", "update", "users", "token"),
        make_permission(111, "Tokens", "read", "users", "id,email,token"),
        *RIGHTS_PERMISSIONS,
    ],
}


async def checksum(system: TestSystem, *, exclude: tuple[str, ...] = ()) -> str:
    """Return a digest of every row of every Directus table, except the excluded ones."""
    digest = hashlib.sha256()
    async with system.database.transaction() as connection:
        for table in DIRECTUS_TABLES:
            if table.name not in exclude:
                rows = (await connection.execute(select(table).order_by(*table.primary_key))).all()
                digest.update(repr((table.name, [tuple(row) for row in rows])).encode())
    return digest.hexdigest()
