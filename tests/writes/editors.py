"""People who may write something, beside the named world: who they are, and what their policies let them do.

Wes writes about active people of his own role: he makes, changes and takes away. Rita sees to roles, policies and
who has them, but is no admin. Pat may change everybody's token, since a policy names it.
"""

import hashlib
from typing import Any

from sqlalchemy import select

from app.db.models import DIRECTUS_TABLES
from app.testing import TestSystem
from tests.world import ACTIVE, SELF, Rows, uid
from tests.world import _access as access
from tests.world import _person as person
from tests.world import _policy as policy
from tests.world import _role as role

MINE = {"_and": [{"role": {"_eq": "$CURRENT_ROLE"}}, ACTIVE]}
HOUSE = {"email": {"_ends_with": "@example.com"}}


def may(number: int, of: str, action: str, collection: str, fields: str | None, **more: Any) -> dict[str, Any]:
    """One permission."""
    return {
        "id": number,
        "policy": uid(f"policy-{of}"),
        "collection": f"directus_{collection}",
        "action": action,
        "fields": fields,
        **more,
    }


EVERYTHING = [
    may(200 + 10 * at + nth, "Rights", action, collection, "*")
    for at, collection in enumerate(("users", "roles", "policies", "access", "permissions"))
    for nth, action in enumerate(("create", "read", "update", "delete"))
]

DESK: Rows = {
    "directus_roles": [role("Writer"), role("Rights"), role("Tokens")],
    "directus_users": [
        person("wes", "Writer", first_name="Wes"),
        person("will", "Writer", first_name="Will"),
        person("wanda", "Writer", status="archived"),
        person("rita", "Rights"),
        person("pat", "Tokens"),
    ],
    "directus_policies": [policy("Writers"), policy("Rights"), policy("Tokens")],
    "directus_access": [
        access("Writers", role="Writer"),
        access("Rights", role="Rights"),
        access("Tokens", role="Tokens"),
    ],
    "directus_permissions": [
        may(100, "Writers", "read", "users", "id,email,first_name,title,status,role,description", permissions=MINE),
        may(101, "Writers", "create", "users", "email,first_name,title,role,password", validation=HOUSE)
        | {"presets": {"role": "$CURRENT_ROLE", "title": "New here", "description": "$CURRENT_USER"}},
        may(102, "Writers", "update", "users", "first_name,title,status", permissions=MINE)
        | {"validation": {"title": {"_nempty": True}}, "presets": {"description": "touched"}},
        may(103, "Writers", "update", "users", "email,last_name", permissions=SELF),
        may(104, "Writers", "delete", "users", None, permissions={"_and": [MINE, {"id": {"_neq": "$CURRENT_USER"}}]}),
        may(105, "Writers", "read", "roles", "id,name,users"),
        may(110, "Tokens", "update", "users", "token"),
        may(111, "Tokens", "read", "users", "id,email,token"),
        *EVERYTHING,
    ],
}


async def checksum(system: TestSystem, *, but: tuple[str, ...] = ()) -> str:
    """A sum over every row of every table, but for those of some."""
    told = hashlib.sha256()
    async with system.database.transaction() as connection:
        for table in DIRECTUS_TABLES:
            if table.name not in but:
                rows = (await connection.execute(select(table).order_by(*table.primary_key))).all()
                told.update(repr((table.name, [tuple(row) for row in rows])).encode())
    return told.hexdigest()
