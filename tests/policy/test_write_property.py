"""Writes compared with a reference that shares no code with them: which are allowed, and the rows they result in."""

from copy import deepcopy

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from app.core.caller import Caller
from app.core.errors import RollcallError
from app.db.models import User
from tests.base_data import static_token, uid
from tests.policy.reference import OPERATORS, Reference
from tests.policy.strategies import IPS, USERS, directories, filters, replace

WRITTEN = ["first_name", "title"]
TEXTS = st.sampled_from(["a", "ab", "Č", "x"])
PAYLOADS = st.dictionaries(st.sampled_from(WRITTEN), TEXTS, min_size=1)
VALIDATIONS = st.sampled_from([None, None, {"title": {"_in": ["a", "ab"]}}, {"first_name": {"_neq": "x"}}])
PRESETS = st.sampled_from([None, None, {"title": "p"}])
KEYS = st.lists(st.sampled_from([*USERS, uid("nobody")]), min_size=1, max_size=2, unique=True)
NEW = uid("new")
CHIEF, ADMINS = uid("chief"), uid("admins")
"""An extra admin: without one, deleting users would fail because the last admin can't be deleted."""


@st.composite
def permission(draw, number, action):
    """Draw a permission to write users, of one of the policies that most users have."""
    return {
        "id": number,
        "policy": draw(st.sampled_from(["p0", "p0", "p1"]).map(uid)),
        "collection": "directus_users",
        "action": action,
        "fields": ",".join(draw(st.sampled_from([WRITTEN, ["title"], ["first_name"]]))),
        "permissions": draw(st.one_of(st.just({}), filters("users", 0, stored=True), filters("users", 1, stored=True))),
        "validation": draw(VALIDATIONS),
        "presets": draw(PRESETS),
    }


class WriteReference:
    """What a caller may write, in plain Python over rows in memory."""

    def __init__(self, tables, user, ip, action):
        self.tables, self.user, self.ip = tables, user, ip
        reference = Reference(tables, user, ip)
        self.admin = reference.admin
        policies = {policy["id"] for policy in reference.policies}
        self.permissions = [
            row for row in tables["permissions"] if row["action"] == action and row["policy"] in policies
        ]

    def matching(self, tables, row):
        """Return the permissions whose rule matches a row of these tables."""
        me = next((user for user in tables["users"] if self.user and user["id"] == self.user["id"]), None)
        reference = Reference(tables, me, self.ip)
        return [
            permission
            for permission in self.permissions
            if reference.matches("users", row, permission["permissions"], real=True)
        ]

    def allows(self, tables, row, fields):
        """Return whether a permission matches the row, and each field is listed by one that does."""
        permissions = self.matching(tables, row)
        allowed = {field for permission in permissions for field in permission["fields"].split(",")}
        return self.admin or (bool(permissions) and set(fields) <= allowed)


def apply_permissions(permissions, payload):
    """Return the payload with the permissions' presets; None if it fails one of their validations."""
    for permission in permissions:
        payload = {**(permission["presets"] or {}), **payload}
    for permission in permissions:
        for field, operators in (permission["validation"] or {}).items():
            for operator, operand in operators.items():
                if field in payload and not OPERATORS[operator](payload[field], operand):
                    return None
    return payload


def row_of(tables, key):
    return next((row for row in tables["users"] if row["id"] == key), None)


def updated(reference, keys, payload):
    """Return the tables after an update; None if it is not allowed."""
    tables = deepcopy(reference.tables)
    for key in keys:
        row = row_of(reference.tables, key)
        if row is None or not reference.allows(reference.tables, row, payload):
            return None
        permissions = [] if reference.admin else reference.matching(reference.tables, row)
        values = apply_permissions(permissions, payload)
        if values is None:
            return None
        row_of(tables, key).update(values)
    return tables if all(reference.allows(tables, row_of(tables, key), payload) for key in keys) else None


def created(reference, payload):
    values = apply_permissions([] if reference.admin else reference.permissions, payload)
    if values is None:
        return None
    tables = deepcopy(reference.tables)
    tables["users"].append({**dict.fromkeys(tables["users"][0]), "id": NEW, **values})
    return tables if reference.allows(tables, tables["users"][-1], payload) else None


def deleted(reference, keys):
    for key in keys:
        row = row_of(reference.tables, key)
        if not reference.admin and (row is None or not reference.matching(reference.tables, row)):
            return None
    tables = deepcopy(reference.tables)
    tables["users"] = [row for row in tables["users"] if row["id"] not in keys]
    tables["access"] = [row for row in tables["access"] if row["user"] not in keys]
    return tables


async def stored_users(system):
    async with system.database.transaction() as connection:
        rows = await connection.execute(select(User.first_name, User.title, User.role_id).order_by(User.first_name))
        return sorted(map(str, rows.all()))


def expected_users(tables):
    return sorted(str((row["first_name"], row["title"], row["role"])) for row in tables["users"])


async def write(users, reference, action, keys, payload):
    """Write users; return the tables that the reference predicts, None if it rejects the write, and the error code."""
    if action == "create":
        expected, attempt = created(reference, payload), users.create_one(payload)
    elif action == "update":
        expected, attempt = updated(reference, keys, payload), users.update_many(keys, payload)
    else:
        expected, attempt = deleted(reference, keys), users.delete_many(keys)
    try:
        await attempt
    except RollcallError as error:
        return expected, error.code
    return expected, None


@pytest.mark.one_database
@pytest.mark.parametrize("action", ["create", "update", "delete"])
@settings(max_examples=settings().max_examples // 4)  # each example replaces all rows
@given(data=st.data())
async def test_a_write_has_the_result_that_the_reference_predicts(scratch_db, action, data):
    tables, user = data.draw(directories())
    tables["users"].append({**dict.fromkeys(tables["users"][0]), "id": CHIEF, "token": static_token(CHIEF)})
    tables["policies"].append({"id": ADMINS, "name": "p", "ip_access": None, "admin_access": True})
    tables["access"].append({"id": uid("a9"), "policy": ADMINS, "role": None, "user": CHIEF})
    for row in tables["permissions"]:
        row |= {"validation": None, "presets": None}
    tables["permissions"] += [data.draw(permission(number, action)) for number in (50, 51, 52)]
    ip, payload, keys = data.draw(IPS), data.draw(PAYLOADS), data.draw(KEYS)
    reference = WriteReference(tables, user, ip, action)
    await replace(scratch_db, tables)
    users = scratch_db.directory(Caller(ip=ip) if user is None else Caller(token=user["token"], ip=ip))["users"]

    expected, code = await write(users, reference, action, keys, payload)

    event(f"{action}: {code}")
    assert code in {None, "FORBIDDEN", "FAILED_VALIDATION"}
    assert (code is None) is (expected is not None)
    assert await stored_users(scratch_db) == expected_users(expected or tables)
