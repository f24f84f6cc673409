"""Delegation of conditions: presets, validations, IP addresses and required TFA are part of what a caller grants."""

from contextlib import suppress

import pytest_asyncio

from app.core.errors import Forbidden
from tests.base_data import OFFICE_IP, Rows, caller, make_access, make_policy, make_role, make_user, uid
from tests.writes.editors import make_permission

COMPANY = {"email": {"_ends_with": "@example.com"}}
NAMED = {"first_name": {"_nnull": True}}
DRAFT = {"status": "draft"}
FOLDERS = {"name": {"_nempty": True}}


def manage(first, policy):
    """Return permissions to write everything that grants permissions."""
    targets = [(c, a) for c in ("roles", "policies", "access", "permissions") for a in ("create", "read", "update")]
    deletions = [(c, "delete") for c in ("roles", "policies", "access", "permissions")]
    rows = [*targets, *deletions, ("users", "read"), ("users", "update")]
    return [make_permission(first + n, policy, action, name, "*") for n, (name, action) in enumerate(rows)]


ROWS: Rows = {
    "directus_roles": [
        *map(make_role, ("Manager", "Namer", "Drafter", "Guarded", "Chief")),
        make_role("Member", "Manager"),
    ],
    "directus_users": [
        make_user("mia", "Manager"),
        make_user("mel", "Member"),
        make_user("tia", "Chief"),
        make_user("gus", "Guarded"),
        make_user("dan", "Drafter"),
    ],
    "directus_policies": [
        *map(make_policy, ("Managing", "Drafting", "Naming", "Secret", "Wide")),
        make_policy("Onsite", ip_access=["10.1.0.0/16"]),
        make_policy("Chiefs", enforce_tfa=True),
        make_policy("Guard", enforce_tfa=True),
    ],
    "directus_access": [
        *(make_access(name, role="Manager") for name in ("Managing", "Drafting", "Naming", "Onsite")),
        make_access("Naming", role="Namer"),
        make_access("Naming", role="Member"),
        make_access("Chiefs", role="Chief"),
        make_access("Guard", role="Guarded"),
        make_access("Secret", role="Guarded"),
        make_access("Drafting", role="Drafter"),
        make_access("Wide", role="Drafter"),
    ],
    "directus_permissions": [
        *manage(500, "Managing"),
        make_permission(530, "Drafting", "create", "users", "email,first_name,password,role", validation=COMPANY)
        | {"presets": DRAFT},
        make_permission(531, "Naming", "create", "users", "first_name"),
        make_permission(532, "Onsite", "read", "files", "id,title"),
        make_permission(533, "Drafting", "update", "folders", "name", permissions=FOLDERS)
        | {"validation": {"name": {"_neq": "x"}}},
        make_permission(534, "Wide", "create", "users", "*"),
        make_permission(535, "Secret", "read", "settings", "*"),
        *manage(540, "Chiefs"),
    ],
}

CREATE = {"collection": "directus_users", "action": "create", "fields": ["first_name"]}
UPDATE = {"collection": "directus_folders", "action": "update", "fields": ["name"]}
READ_FILES = {"collection": "directus_files", "action": "read", "fields": ["id"]}
STRICTER = {"_and": [COMPANY, NAMED]}
CONDITIONS = {"presets": DRAFT, "validation": COMPANY}


def new_policy(*permissions, **values):
    return "policies", ("create", {"name": "New", "permissions": [*permissions], **values})


def new_role(*policies):
    return "roles", ("create", {"name": "New", "policies": [{"policy": uid(f"policy-{name}")} for name in policies]})


def access(policy, role=None, user=None):
    return uid(f"access-{policy}-{role}-{user}")


ALLOWED = {
    "a stricter validation": ("permissions", ("update", 530, {"validation": STRICTER})),
    "a reordered validation": ("permissions", ("update", 530, {"validation": {**NAMED, **COMPANY}})),
    "one more preset of a field that may be written": (
        "permissions",
        ("update", 530, {"presets": {**DRAFT, "first_name": "New"}}),
    ),
    "a copy with all conditions": new_policy({**CREATE, **CONDITIONS}),
    "a copy whose other permission imposes the conditions": new_policy(CREATE, {**CREATE, **CONDITIONS}),
    "fewer rows": new_policy(
        {
            **UPDATE,
            "permissions": {"_and": [FOLDERS, {"parent": {"_null": True}}]},
            "validation": {"name": {"_neq": "x"}},
        }
    ),
    "a role with the policy that imposes the conditions": new_role("Naming", "Drafting"),
    "a role with an inherited policy that imposes the conditions": (
        "users",
        ("update", "tia", {"role": uid("role-Member")}),
    ),
    "a deleted permission of which nothing else remains": ("permissions", ("delete", 533)),
    "a network within": ("policies", ("update", "policy-Onsite", {"ip_access": ["10.1.7.0/24", "10.1.0.1-10.1.0.9"]})),
    "a copy for a network within": new_policy(READ_FILES, ip_access=["10.1.7.1"]),
    "a permission under the same addresses": (
        "permissions",
        ("create", {**READ_FILES, "policy": uid("policy-Onsite")}),
    ),
    "a detached policy without conditions": ("access", ("delete", access("Onsite", "Manager"))),
}
FORBIDDEN = {
    "no presets": ("permissions", ("update", 530, {"presets": None})),
    "another preset": ("permissions", ("update", 530, {"presets": {"status": "active"}})),
    "a preset of a field that may not be written": (
        "permissions",
        ("update", 530, {"presets": {**DRAFT, "title": "x"}}),
    ),
    "no validation": ("permissions", ("update", 530, {"validation": None})),
    "a wider validation": ("permissions", ("update", 530, {"validation": {"_or": [COMPANY, NAMED]}})),
    "a validation that can't be read": (
        "permissions",
        ("update", 530, {"validation": {**COMPANY, "gone": {"_eq": 1}}}),
    ),
    "another action": ("permissions", ("update", 533, {"action": "create"})),
    "all rows": ("permissions", ("update", 533, {"permissions": {}})),
    "a copy without presets": new_policy({**CREATE, "validation": COMPANY}),
    "a copy without validation": new_policy({**CREATE, "presets": DRAFT}),
    "a copy beside another preset": new_policy({**CREATE, **CONDITIONS}, {**CREATE, "presets": {"status": "active"}}),
    "a copy whose condition applies elsewhere": new_policy(
        UPDATE | {"permissions": FOLDERS},
        UPDATE | {"permissions": {"parent": {"_null": True}}, "validation": {"name": {"_neq": "x"}}},
    ),
    "a role without the policy that imposes the conditions": new_role("Naming"),
    "a user with such a role": ("users", ("update", "tia", {"role": uid("role-Namer")})),
    "such a role for oneself": ("users", ("update", "mia", {"role": uid("role-Namer")})),
    "a policy without the one that imposes its conditions": (
        "access",
        ("create", {"policy": uid("policy-Naming"), "user": uid("tia")}),
    ),
    "a policy for the public": ("access", ("create", {"policy": uid("policy-Naming")})),
    "a deleted permission with conditions": ("permissions", ("delete", 530)),
    "a moved permission with conditions": ("permissions", ("update", 530, {"policy": uid("policy-Guard")})),
    "a detached policy with conditions": ("access", ("delete", access("Drafting", "Manager"))),
    "a policy with conditions attached elsewhere": (
        "access",
        ("update", "access-Drafting-Manager-None", {"role": uid("role-Chief")}),
    ),
    "a deleted policy with conditions": ("policies", ("delete", uid("policy-Drafting"))),
    "a policy replaced in a role": (
        "roles",
        (
            "update",
            "role-Manager",
            {"policies": [{"policy": uid("policy-Naming")}, {"policy": uid("policy-Managing")}]},
        ),
    ),
    "a role without its parent": ("roles", ("update", "role-Member", {"parent": None})),
    "a role with another parent": ("roles", ("update", "role-Member", {"parent": uid("role-Namer")})),
    "a deleted parent": ("roles", ("delete", uid("role-Manager"))),
    "conditions of another user": ("access", ("delete", access("Drafting", "Drafter"))),
    "conditions of another user by the user's role": ("users", ("update", "dan", {"role": uid("role-Namer")})),
    "conditions for fewer addresses": ("policies", ("update", "policy-Drafting", {"ip_access": ["10.1.0.0/16"]})),
    "every address": ("policies", ("update", "policy-Onsite", {"ip_access": None})),
    "no addresses": ("policies", ("update", "policy-Onsite", {"ip_access": []})),
    "a wider network": ("policies", ("update", "policy-Onsite", {"ip_access": ["10.0.0.0/15"]})),
    "one more network": ("policies", ("update", "policy-Onsite", {"ip_access": ["10.1.0.0/16", "10.2.0.1"]})),
    "a copy for every address": new_policy(READ_FILES),
    "a copy for another network": new_policy(READ_FILES, ip_access=["192.0.2.0/24"]),
    "a permission under every address": ("permissions", ("create", {**READ_FILES, "policy": uid("policy-Managing")})),
    "a permission moved to another policy": ("permissions", ("update", 532, {"policy": uid("policy-Managing")})),
}
TFA_ALLOWED = {
    "a policy with TFA": new_policy({**READ_FILES, "collection": "directus_roles"}, enforce_tfa=True),
    "a policy that grants nothing": new_policy(),
    "a role with a policy that requires TFA": new_role("Chiefs"),
    "TFA for others": ("access", ("create", {"policy": uid("policy-Guard"), "role": uid("role-Namer")})),
    "one's own policy removed": ("access", ("delete", access("Chiefs", "Chief"))),
}
TFA_FORBIDDEN = {
    "one's own policy without TFA": ("policies", ("update", "policy-Chiefs", {"enforce_tfa": False})),
    "a copy without TFA": new_policy({**READ_FILES, "collection": "directus_roles"}),
    "a permission in a policy without TFA": (
        "permissions",
        ("create", {**READ_FILES, "collection": "directus_roles", "policy": uid("policy-Naming")}),
    ),
    "a user without TFA": ("users", ("update", "mia", {"role": uid("role-Namer")})),
    "others no longer need TFA": ("policies", ("update", "policy-Guard", {"enforce_tfa": False})),
    "others need TFA at fewer addresses": ("policies", ("update", "policy-Guard", {"ip_access": ["10.1.0.1"]})),
    "others without the policy that requires TFA": ("access", ("delete", access("Guard", "Guarded"))),
    "a deleted policy that requires TFA": ("policies", ("delete", uid("policy-Guard"))),
}  # fmt: skip


@pytest_asyncio.fixture
async def managers(editors):
    """Mia's policies have presets, validations and IP addresses; Tia's requires TFA. Both manage all permissions."""
    await editors.load(ROWS)
    return editors


async def allowed(system, user, cases):
    """Return the names of the cases that a user may write; none is written."""
    names = []
    for name, (collection, (action, *arguments)) in cases.items():
        repository = system.directory(caller(user, OFFICE_IP))[collection]
        if action == "update":
            key, values = arguments
            command = repository.update_command([uid(key) if isinstance(key, str) else key], values)
        else:
            commands = {"create": repository.create_command, "delete": repository.delete_command}
            command = commands[action](arguments)
        with suppress(Forbidden):
            await repository.dry_run(command)
            names.append(name)
    return names


async def test_conditions_may_be_kept_or_become_stricter(managers):
    assert await allowed(managers, "mia", ALLOWED) == [*ALLOWED]


async def test_conditions_may_not_be_lost_or_become_wider(managers):
    assert await allowed(managers, "mia", FORBIDDEN) == []


async def test_rights_under_required_tfa_are_granted_with_required_tfa(managers):
    assert await allowed(managers, "tia", TFA_ALLOWED) == [*TFA_ALLOWED]


async def test_rights_under_required_tfa_are_not_granted_without_it(managers):
    assert await allowed(managers, "tia", TFA_FORBIDDEN) == []


async def test_an_admin_may_do_all_of_it(managers):
    cases = {**FORBIDDEN, **TFA_FORBIDDEN}

    assert await allowed(managers, "ada", cases) == [*cases]
