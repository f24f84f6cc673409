"""Who is asked about: 10,000 people in 5 roles, one who runs the place, and one who sees part of it."""

from datetime import timedelta

from sqlalchemy import text

from app.core.clock import utc_now
from app.core.config import Settings
from app.core.tokens import sign_access_token
from app.flows.bootstrap import bootstrap
from app.testing import open_system
from tests.world import Rows, uid

PEOPLE, ROLES = 10_000, 5
SECRET = uid("bench")
CHIEF, GUEST = "chief", "guest"
STATUS = ("active", "active", "active", "suspended", "invited")


def person(number: int) -> str:
    """The id of one of the many."""
    return uid(f"person-{number}")


def role(number: int) -> str:
    """The id of one of the roles."""
    return uid(f"bench-role-{number}")


def token(name: str) -> str:
    """A signed token of the chief or the guest, good for a day."""
    return sign_access_token(SECRET, uid(name), ttl=timedelta(days=1), now=utc_now())


def _many() -> list[dict[str, object]]:
    return [
        {
            "id": person(number),
            "email": f"person{number:05}@example.com",
            "first_name": f"First {number * 7919 % PEOPLE}",
            "last_name": f"Last {number % 97}",
            "status": STATUS[number // ROLES % len(STATUS)],
            "role": role(number % ROLES),
        }
        for number in range(PEOPLE)
    ]


def _permission(number: int, collection: str, fields: str, rule: dict[str, object]) -> dict[str, object]:
    given = {"id": number, "policy": uid("bench-some"), "collection": collection, "action": "read"}
    return {**given, "fields": fields, "permissions": rule}


def crowd() -> Rows:
    """Everybody, and what the guest's policy lets them see: active people, and not all that is known of them."""
    return {
        "directus_roles": [{"id": role(number), "name": f"Role {number}"} for number in range(ROLES)],
        "directus_policies": [
            {"id": uid("bench-all"), "name": "All", "admin_access": True},
            {"id": uid("bench-some"), "name": "Some"},
        ],
        "directus_permissions": [
            _permission(901, "directus_users", "id,email,last_name,role,status", {"status": {"_eq": "active"}}),
            _permission(902, "directus_roles", "id,name,users", {"name": {"_neq": "Administrator"}}),
        ],
        "directus_users": [
            *_many(),
            {"id": uid(CHIEF), "email": "chief@example.com", "role": None, "status": "active"},
            {"id": uid(GUEST), "email": "guest@example.com", "role": None, "status": "active"},
        ],
        "directus_access": [
            {"id": uid("bench-access-1"), "policy": uid("bench-all"), "user": uid(CHIEF), "role": None},
            {"id": uid("bench-access-2"), "policy": uid("bench-some"), "user": uid(GUEST), "role": None},
        ],
    }


async def fill(settings: Settings) -> None:
    """Makes the tables, and everybody in them."""
    async with open_system(settings) as system:
        await bootstrap(system.database, settings)
        await system.load(crowd())
        async with system.database.transaction() as connection:
            await connection.execute(text("ANALYZE"))
