"""The benchmark's data: 10,000 users in 5 roles, an administrator, and a guest with limited permissions."""

from datetime import timedelta

from sqlalchemy import text

from app.core.caller import SYSTEM
from app.core.clock import utc_now
from app.core.config import Settings
from app.core.tokens import sign_access_token
from app.flows.bootstrap import bootstrap
from app.testing import open_system
from tests.base_data import Rows, uid

USER_COUNT, ROLE_COUNT = 10_000, 5
SECRET = uid("bench")
ADMIN, GUEST = "chief", "guest"
EXTRA_TYPES = ("string", "integer", "boolean", "date", "json")
STATUSES = ("active", "active", "active", "suspended", "invited")


def user_id(number: int) -> str:
    """Return the id of one of the users."""
    return uid(f"person-{number}")


def role_id(number: int) -> str:
    """Return the id of one of the roles."""
    return uid(f"bench-role-{number}")


def token(name: str) -> str:
    """Return an access token of the administrator or the guest, valid for a day."""
    return sign_access_token(SECRET, uid(name), ttl=timedelta(days=1), now=utc_now())


def _users() -> list[dict[str, object]]:
    return [
        {
            "id": user_id(number),
            "email": f"person{number:05}@example.com",
            "first_name": f"First {number * 7919 % USER_COUNT}",
            "last_name": f"Last {number % 97}",
            "status": STATUSES[number // ROLE_COUNT % len(STATUSES)],
            "role": role_id(number % ROLE_COUNT),
        }
        for number in range(USER_COUNT)
    ]


def _make_permission(number: int, collection: str, fields: str, rule: dict[str, object]) -> dict[str, object]:
    values = {"id": number, "policy": uid("bench-some"), "collection": collection, "action": "read"}
    return {**values, "fields": fields, "permissions": rule}


def make_rows() -> Rows:
    """Return all rows. The guest's policy allows reading some fields of active users."""
    return {
        "directus_roles": [{"id": role_id(number), "name": f"Role {number}"} for number in range(ROLE_COUNT)],
        "directus_policies": [
            {"id": uid("bench-all"), "name": "All", "admin_access": True},
            {"id": uid("bench-some"), "name": "Some"},
        ],
        "directus_permissions": [
            _make_permission(901, "directus_users", "id,email,last_name,role,status", {"status": {"_eq": "active"}}),
            _make_permission(902, "directus_roles", "id,name,users", {"name": {"_neq": "Administrator"}}),
        ],
        "directus_users": [
            *_users(),
            {"id": uid(ADMIN), "email": "chief@example.com", "role": None, "status": "active"},
            {"id": uid(GUEST), "email": "guest@example.com", "role": None, "status": "active"},
        ],
        "directus_access": [
            {"id": uid("bench-access-1"), "policy": uid("bench-all"), "user": uid(ADMIN), "role": None},
            {"id": uid("bench-access-2"), "policy": uid("bench-some"), "user": uid(GUEST), "role": None},
        ],
    }


async def fill(settings: Settings, extra_fields: int = 0) -> None:
    """Create the tables, with so many custom fields of users, and insert the rows."""
    async with open_system(settings) as system:
        await bootstrap(system.database, settings)
        writer = system.directory(SYSTEM).field_writer
        for number in range(extra_fields):
            field = {"field": f"extra_{number}", "type": EXTRA_TYPES[number % len(EXTRA_TYPES)]}
            await writer.create("directus_users", field)
        await system.load(make_rows())
        async with system.database.transaction() as connection:
            await connection.execute(text("ANALYZE"))
