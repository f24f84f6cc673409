"""A hundred users in one role, so that a query which follows that role back and forth takes far longer than allowed.

Eve, one of them, may read and write all users and read all roles.
"""

from tests.base_data import Rows, make_access, make_policy, make_role, make_user, uid

SIZE = 100
DEEP_SORT = "role.users.role.users.role.users.email"


def _permission(number: int, action: str, collection: str) -> dict[str, object]:
    policy = uid("policy-Crowd")
    return {"id": number, "policy": policy, "collection": f"directus_{collection}", "action": action, "fields": "*"}


CROWD_ROWS: Rows = {
    "directus_roles": [make_role("Crowd")],
    "directus_policies": [make_policy("Crowd")],
    "directus_access": [make_access("Crowd", role="Crowd")],
    "directus_permissions": [
        _permission(7_001, "read", "roles"),
        *(_permission(7_002 + n, action, "users") for n, action in enumerate(("create", "read", "update", "delete"))),
    ],
    "directus_users": [
        make_user("eve", "Crowd"),
        *(make_user(f"crowd{number}", "Crowd", token=None) for number in range(SIZE)),
    ],
}
