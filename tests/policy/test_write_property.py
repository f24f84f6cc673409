"""Writes against a reference that shares nothing with them: what is allowed, and what the tables hold afterwards."""

from copy import deepcopy

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from app.core.caller import Caller
from app.core.errors import RollcallError
from app.db.models import User
from tests.policy.reference import OPERATORS, Reference
from tests.policy.strategies import IPS, USERS, filters, replace, worlds
from tests.world import static_token, uid

WRITTEN = ["first_name", "title"]
TEXTS = st.sampled_from(["a", "ab", "Č", "x"])
PAYLOADS = st.dictionaries(st.sampled_from(WRITTEN), TEXTS, min_size=1)
VALIDATIONS = st.sampled_from([None, None, {"title": {"_in": ["a", "ab"]}}, {"first_name": {"_neq": "x"}}])
PRESETS = st.sampled_from([None, None, {"title": "p"}])
KEYS = st.lists(st.sampled_from([*USERS, uid("nobody")]), min_size=1, max_size=2, unique=True)
NEW = uid("new")
CHIEF, ADMINS = uid("chief"), uid("admins")
"""Somebody has to be an admin, or nobody could be deleted."""


@st.composite
def permission(draw, number, action):
    """A permission to write users; most people of a world hold the policies it may be of."""
    return {
        "id": number,
        "policy": draw(st.sampled_from(["p0", "p0", "p1"]).map(uid)),
        "collection": "directus_users",
        "action": action,
        "fields": ",".join(draw(st.sampled_from([WRITTEN, ["title"], ["first_name"]]))),
        "permissions": draw(st.one_of(st.just({}), filters("users", 0), filters("users", 1))),
        "validation": draw(VALIDATIONS),
        "presets": draw(PRESETS),
    }


class Writing:
    """What a caller may write, in plain Python over rows in memory."""

    def __init__(self, tables, who, ip, action):
        self.tables, self.who, self.ip = tables, who, ip
        self.admin = Reference(tables, who, ip).admin
        held = {policy["id"] for policy in Reference(tables, who, ip).policies}
        self.granted = [row for row in tables["permissions"] if row["action"] == action and row["policy"] in held]

    def reaching(self, tables, row):
        """The permissions whose rule holds for a row of these tables."""
        me = next((user for user in tables["users"] if self.who and user["id"] == self.who["id"]), None)
        eyes = Reference(tables, me, self.ip)
        return [one for one in self.granted if eyes.holds("users", row, one["permissions"], real=True)]

    def allows(self, tables, row, fields):
        """Whether one of them reaches the row, and each field is given by some that do."""
        found = self.reaching(tables, row)
        given = {field for one in found for field in one["fields"].split(",")}
        return self.admin or (bool(found) and set(fields) <= given)


def filled(permissions, payload):
    """A payload with what these permissions fill in; None where one of them finds it invalid."""
    for one in permissions:
        payload = {**(one["presets"] or {}), **payload}
    for one in permissions:
        for field, asked in (one["validation"] or {}).items():
            for operator, wanted in asked.items():
                if field in payload and not OPERATORS[operator](payload[field], wanted):
                    return None
    return payload


def row_of(tables, key):
    return next((row for row in tables["users"] if row["id"] == key), None)


def updated(writing, keys, payload):
    """The tables after an update; None where it may not be."""
    tables = deepcopy(writing.tables)
    for key in keys:
        row = row_of(writing.tables, key)
        if row is None or not writing.allows(writing.tables, row, payload):
            return None
        values = filled([] if writing.admin else writing.reaching(writing.tables, row), payload)
        if values is None:
            return None
        row_of(tables, key).update(values)
    return tables if all(writing.allows(tables, row_of(tables, key), payload) for key in keys) else None


def created(writing, payload):
    values = filled([] if writing.admin else writing.granted, payload)
    if values is None:
        return None
    tables = deepcopy(writing.tables)
    nothing = dict.fromkeys(("first_name", "title", "role", "last_access", "tags"))
    tables["users"].append({**nothing, "id": NEW, **values})
    return tables if writing.allows(tables, tables["users"][-1], payload) else None


def deleted(writing, keys):
    for key in keys:
        row = row_of(writing.tables, key)
        if not writing.admin and (row is None or not writing.reaching(writing.tables, row)):
            return None
    tables = deepcopy(writing.tables)
    tables["users"] = [row for row in tables["users"] if row["id"] not in keys]
    tables["access"] = [row for row in tables["access"] if row["user"] not in keys]
    return tables


async def stored(system):
    async with system.database.transaction() as connection:
        rows = await connection.execute(select(User.first_name, User.title, User.role_id).order_by(User.first_name))
        return sorted(map(str, rows.all()))


def told(tables):
    return sorted(str((row["first_name"], row["title"], row["role"])) for row in tables["users"])


@pytest.mark.parametrize("action", ["create", "update", "delete"])
@settings(max_examples=settings().max_examples // 4)  # each makes a world of its own
@given(data=st.data())
async def test_what_is_written_is_what_the_reference_says(scratch, action, data):
    tables, who = data.draw(worlds())
    tables["users"].append({**dict.fromkeys(tables["users"][0]), "id": CHIEF, "token": static_token(CHIEF)})
    tables["policies"].append({"id": ADMINS, "name": "p", "ip_access": None, "admin_access": True})
    tables["access"].append({"id": uid("a9"), "policy": ADMINS, "role": None, "user": CHIEF})
    for row in tables["permissions"]:
        row |= {"validation": None, "presets": None}
    tables["permissions"] += [data.draw(permission(number, action)) for number in (50, 51, 52)]
    ip, payload, keys = data.draw(IPS), data.draw(PAYLOADS), data.draw(KEYS)
    writing = Writing(tables, who, ip, action)
    await replace(scratch, tables)
    users = scratch.directory(Caller(ip=ip) if who is None else Caller(token=who["token"], ip=ip))["users"]

    if action == "create":
        expected, doing = created(writing, payload), users.create_one(payload)
    elif action == "update":
        expected, doing = updated(writing, keys, payload), users.update_many(keys, payload)
    else:
        expected, doing = deleted(writing, keys), users.delete_many(keys)
    try:
        await doing
        refusal = None
    except RollcallError as error:
        refusal = error.code

    event(f"{action}: {refusal}")
    assert refusal in {None, "FORBIDDEN", "FAILED_VALIDATION"}
    found, right = await stored(scratch), told(expected or tables)
    assert (refusal is None) is (expected is not None)
    assert found == right
