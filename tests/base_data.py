"""The base data of the tests: users and what their policies let them read.

Ada is an administrator. Ed is an editor: he inherits from Staff, and reads emails of active users only. Vi reads users
that have a title. Sam reads himself. Kit has permissions only from the office's network. Ann has app access and nothing
else. Nora has no role, so only the public policy applies to her. Ida is invited, Sue is suspended.
"""

from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from app.core.caller import Caller
from app.core.hash_parameters import HashCost
from app.core.hashing import hash_password

Rows = dict[str, list[dict[str, Any]]]

OFFICE_IP = "10.1.0.7"
CHEAP_HASH_COST = HashCost(memory=8, time=1, parallelism=1)
"""The cheapest argon2 parameters: tests do not depend on the strength of hashes."""


def cheap_hash(password: str) -> str:
    """Return a valid hash of a password that takes almost no time to verify."""
    return hash_password(password, CHEAP_HASH_COST)


def uid(name: str) -> str:
    """Return the id of the row with this name, for example `ada` or `role-Editor`."""
    return str(uuid5(NAMESPACE_DNS, f"{name}.rollcall.example"))


def static_token(name: str) -> str:
    """Return the static token of a user."""
    return f"static-of-{name}"


def caller(name: str | None, ip: str = "192.0.2.1") -> Caller:
    """Return a user as a caller with their static token, or the public for None."""
    return Caller(ip=ip) if name is None else Caller(token=static_token(name), ip=ip)


def make_role(name: str, parent: str | None = None) -> dict[str, Any]:
    return {"id": uid(f"role-{name}"), "name": name, "parent": parent and uid(f"role-{parent}")}


def make_user(name: str, role: str | None, status: str = "active", **values: Any) -> dict[str, Any]:
    return {
        "id": uid(name),
        "first_name": name.title(),
        "email": f"{name}@example.com",
        "status": status,
        "role": role and uid(f"role-{role}"),
        "token": static_token(name),
        **values,
    }


def make_policy(name: str, **values: Any) -> dict[str, Any]:
    return {"id": uid(f"policy-{name}"), "name": name, **values}


def make_access(policy: str, role: str | None = None, user: str | None = None) -> dict[str, Any]:
    return {
        "id": uid(f"access-{policy}-{role}-{user}"),
        "policy": uid(f"policy-{policy}"),
        "role": role and uid(f"role-{role}"),
        "user": user and uid(user),
    }


def make_read_permission(number: int, policy: str, collection: str, fields: str, rule: Any = None) -> dict[str, Any]:
    return {
        "id": number,
        "policy": uid(f"policy-{policy}"),
        "collection": f"directus_{collection}",
        "action": "read",
        "fields": fields,
        "permissions": rule,
    }


IS_ACTIVE = {"status": {"_eq": "active"}}
IS_SELF = {"id": {"_eq": "$CURRENT_USER"}}

BASE_ROWS: Rows = {
    "directus_roles": [
        make_role("Administrator"),
        make_role("Staff"),
        make_role("Editor", "Staff"),
        make_role("Viewer"),
        make_role("Self"),
        make_role("Office"),
        make_role("App"),
    ],
    "directus_users": [
        make_user("ada", "Administrator", title="Director", tags=["a", "b"], last_access="2024-01-15T10:30:45.123456Z"),
        make_user("ed", "Editor", title="Editor", last_name="Edelman", last_access="2023-12-31T00:00:00Z"),
        make_user("vi", "Viewer", title="Viewer", password="$argon2id$not-a-hash", tfa_secret="NOTASECRET"),
        make_user("sam", "Self", auth_data={"refresh": "hidden"}, last_name="Čapek"),
        make_user("kit", "Office"),
        make_user("ann", "App", language="cs-CZ", theme_light_overrides={"a": 1, "b": {"c": 2}}),
        make_user("nora", None),
        make_user("ida", "Editor", status="invited", title="Editor"),
        make_user("sue", "Staff", status="suspended", title="Staff"),
    ],
    "directus_policies": [
        make_policy("Administrators", admin_access=True, app_access=True),
        make_policy("Staff"),
        make_policy("Editors"),
        make_policy("Viewers"),
        make_policy("Themselves"),
        make_policy("Office", ip_access=["10.1.0.0/16"]),
        make_policy("App", app_access=True),
        make_policy("Public"),
    ],
    "directus_access": [
        make_access("Administrators", role="Administrator"),
        make_access("Staff", role="Staff"),
        make_access("Editors", role="Editor"),
        make_access("Viewers", role="Viewer"),
        make_access("Themselves", role="Self"),
        make_access("Office", role="Office"),
        make_access("App", role="App"),
        make_access("Public"),
    ],
    "directus_permissions": [
        make_read_permission(1, "Staff", "users", "id,first_name,role"),
        make_read_permission(2, "Staff", "roles", "id,name,parent,children,users"),
        make_read_permission(3, "Editors", "users", "id,email,status,title", IS_ACTIVE),
        make_read_permission(4, "Viewers", "users", "id,first_name,title,password,token", {"title": {"_nnull": True}}),
        make_read_permission(5, "Viewers", "users", "no_such_field"),
        make_read_permission(6, "Themselves", "users", "*", IS_SELF),
        make_read_permission(7, "Office", "users", "id,email"),
        make_read_permission(8, "Public", "roles", "id,name", {"name": {"_in": ["Staff", "Viewer"]}}),
        make_read_permission(9, "Viewers", "roles", "id,name", {"no_such_field": {"_eq": 1}}),
    ],
}
