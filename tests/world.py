"""The one named world of the suite: who there is, and what their policies let them see.

Ada runs the place. Ed edits: he inherits from Staff, and sees e-mails of active people only. Vi views what is
public inside the house. Sam sees himself. Kit has rights only from the office's network. Ann uses the app and
nothing else. Nora has no role, so the public policy is hers too. Ida was invited, Sue is suspended.
"""

from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from app.core.caller import Caller
from app.core.hashing import HashCost, hash_password

Rows = dict[str, list[dict[str, Any]]]

OFFICE = "10.1.0.7"
CHEAP = HashCost(memory=8, time=1, parallelism=1)
"""What hashing costs here: it isn't argon2 that is tried."""


def hashed(password: str) -> str:
    """A hash that is right, and costs nothing to try."""
    return hash_password(password, CHEAP)


def uid(name: str) -> str:
    """The id of somebody or something in this world."""
    return str(uuid5(NAMESPACE_DNS, f"{name}.rollcall.example"))


def static_token(name: str) -> str:
    """The static token of a person of this world."""
    return f"static-of-{name}"


def caller(name: str | None, ip: str = "192.0.2.1") -> Caller:
    """Somebody of this world asking, by static token; None is the public."""
    return Caller(ip=ip) if name is None else Caller(token=static_token(name), ip=ip)


def _role(name: str, parent: str | None = None) -> dict[str, Any]:
    return {"id": uid(f"role-{name}"), "name": name, "parent": parent and uid(f"role-{parent}")}


def _person(name: str, role: str | None, status: str = "active", **more: Any) -> dict[str, Any]:
    return {
        "id": uid(name),
        "first_name": name.title(),
        "email": f"{name}@example.com",
        "status": status,
        "role": role and uid(f"role-{role}"),
        "token": static_token(name),
        **more,
    }


def _policy(name: str, **more: Any) -> dict[str, Any]:
    return {"id": uid(f"policy-{name}"), "name": name, **more}


def _access(policy: str, role: str | None = None, user: str | None = None) -> dict[str, Any]:
    return {
        "id": uid(f"access-{policy}-{role}-{user}"),
        "policy": uid(f"policy-{policy}"),
        "role": role and uid(f"role-{role}"),
        "user": user and uid(user),
    }


def _permission(number: int, policy: str, collection: str, fields: str, rule: Any = None) -> dict[str, Any]:
    return {
        "id": number,
        "policy": uid(f"policy-{policy}"),
        "collection": f"directus_{collection}",
        "action": "read",
        "fields": fields,
        "permissions": rule,
    }


ACTIVE = {"status": {"_eq": "active"}}
SELF = {"id": {"_eq": "$CURRENT_USER"}}

WORLD: Rows = {
    "directus_roles": [
        _role("Administrator"),
        _role("Staff"),
        _role("Editor", "Staff"),
        _role("Viewer"),
        _role("Self"),
        _role("Office"),
        _role("App"),
    ],
    "directus_users": [
        _person("ada", "Administrator", title="Director", tags=["a", "b"], last_access="2024-01-15T10:30:45.123456Z"),
        _person("ed", "Editor", title="Editor", last_name="Edelman", last_access="2023-12-31T00:00:00Z"),
        _person("vi", "Viewer", title="Viewer", password="$argon2id$not-a-hash", tfa_secret="NOTASECRET"),
        _person("sam", "Self", auth_data={"refresh": "hidden"}, last_name="Čapek"),
        _person("kit", "Office"),
        _person("ann", "App", language="cs-CZ", theme_light_overrides={"a": 1, "b": {"c": 2}}),
        _person("nora", None),
        _person("ida", "Editor", status="invited", title="Editor"),
        _person("sue", "Staff", status="suspended", title="Staff"),
    ],
    "directus_policies": [
        _policy("Administrators", admin_access=True, app_access=True),
        _policy("Staff"),
        _policy("Editors"),
        _policy("Viewers"),
        _policy("Themselves"),
        _policy("Office", ip_access=["10.1.0.0/16"]),
        _policy("App", app_access=True),
        _policy("Public"),
    ],
    "directus_access": [
        _access("Administrators", role="Administrator"),
        _access("Staff", role="Staff"),
        _access("Editors", role="Editor"),
        _access("Viewers", role="Viewer"),
        _access("Themselves", role="Self"),
        _access("Office", role="Office"),
        _access("App", role="App"),
        _access("Public"),
    ],
    "directus_permissions": [
        _permission(1, "Staff", "users", "id,first_name,role"),
        _permission(2, "Staff", "roles", "id,name,parent,children,users"),
        _permission(3, "Editors", "users", "id,email,status,title", ACTIVE),
        _permission(4, "Viewers", "users", "id,first_name,title,password,token", {"title": {"_nnull": True}}),
        _permission(5, "Viewers", "users", "no_such_field"),
        _permission(6, "Themselves", "users", "*", SELF),
        _permission(7, "Office", "users", "id,email"),
        _permission(8, "Public", "roles", "id,name", {"name": {"_in": ["Staff", "Viewer"]}}),
        _permission(9, "Viewers", "roles", "id,name", {"no_such_field": {"_eq": 1}}),
    ],
}
