"""An API token has exactly the rights that are both its owner's and its scope's: compared with the reference."""

from itertools import count

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from app.core.api_tokens import hash_api_token
from app.core.caller import Caller
from app.core.clock import utc_now
from app.db.models import API_TOKEN_POLICIES, API_TOKENS
from tests.api_tokens.tokens import caller_with
from tests.base_data import static_token, uid
from tests.policy.reference import Reference
from tests.policy.strategies import IPS, POLICIES, directories, replace
from tests.policy.test_property import PLAIN
from tests.policy.test_write_property import (
    ADMINS,
    CHIEF,
    KEYS,
    PAYLOADS,
    WRITTEN,
    WriteReference,
    expected_users,
    permission,
    stored_users,
    write,
)

CONDITIONS = st.sampled_from(
    [
        {"validation": {"title": {"_in": ["a", "ab"]}}, "presets": None},
        {"validation": None, "presets": {"title": "p"}},
        {"validation": {"first_name": {"_neq": "x"}}, "presets": {"title": "a"}},
    ]
)
NUMBERS = count()


def limits(tables, user, scope):
    """Return the policies that a token is limited to: those of its scope and, if its owner has no role, the public."""
    if scope is None:
        return {policy["id"] for policy in tables["policies"]}
    public = {row["policy"] for row in tables["access"] if row["role"] is None and row["user"] is None}
    return scope | (public if user["role"] is None else set())


class TokenReference(Reference):
    """What a token lets its holder see."""

    def __init__(self, tables, user, ip, scope):
        super().__init__(tables, user, ip)
        allowed = limits(tables, user, scope)
        self.policies = [policy for policy in self.policies if policy["id"] in allowed]
        self.admin = any(policy["admin_access"] for policy in self.policies)


class TokenWriteReference(WriteReference):
    """What a token lets its holder write: what its scope grants, under every condition that its owner is subject to."""

    def __init__(self, tables, user, ip, action, scope, *, read_only):
        super().__init__(tables, user, ip, action)
        is_exempt, allowed = self.admin, limits(tables, user, scope)
        self.admin = TokenReference(tables, user, ip, scope).admin and not read_only
        granted = [row for row in self.permissions if row["policy"] in allowed]
        self.granted = set() if read_only else {row["id"] for row in granted}
        if is_exempt or action == "delete":
            self.permissions = [] if read_only else granted

    def allows(self, tables, row, fields):
        permissions = [each for each in self.matching(tables, row) if each["id"] in self.granted]
        allowed = {field for each in permissions for field in each["fields"].split(",")}
        return self.admin or (bool(permissions) and set(fields) <= allowed)


def draw_permissions(data, action):
    """Draw permissions to write users: half of them for all rows, and those of the second policy with a condition."""
    permissions = [data.draw(permission(number, action)) for number in (50, 51, 52)]
    for row, policy in zip(permissions, POLICIES[:2], strict=False):
        row["policy"] = policy
        if data.draw(st.booleans()):
            row["permissions"] = {}
    permissions[0]["fields"] = ",".join(WRITTEN)
    permissions[1] |= data.draw(CONDITIONS)
    return permissions


async def issue(system, user, scope, *, read_only=False):
    """Store a token whose scope may hold policies that its owner has lost, and return the caller who uses it."""
    secret = f"token {next(NUMBERS)}"
    values = {"id": uid(secret), "user": user["id"], "hash": hash_api_token(secret), "name": secret}
    flags = {"created": utc_now(), "read_only": read_only, "scoped": scope is not None}
    async with system.database.transaction() as connection:
        await connection.execute(insert(API_TOKENS).values(**values, **flags))
        for policy in scope or ():
            await connection.execute(insert(API_TOKEN_POLICIES).values(token=values["id"], policy=policy))
    return secret


def draw_directory(data):
    """Draw tables with one more admin, and the user who owns the token."""
    tables, user = data.draw(directories())
    tables["users"].append({**dict.fromkeys(tables["users"][0]), "id": CHIEF, "token": static_token(CHIEF)})
    tables["policies"].append({"id": ADMINS, "name": "p", "ip_access": None, "admin_access": True})
    user = user or data.draw(st.sampled_from(tables["users"]))
    holders = [(ADMINS, CHIEF), *((policy, user["id"]) for policy in POLICIES[:2])]
    tables["access"] += [
        {"id": uid(f"a9{number}"), "policy": policy, "role": None, "user": holder}
        for number, (policy, holder) in enumerate(holders)
    ]
    return tables, user


def draw_scope(data):
    """Draw the policies of a scope, also such that the owner does not hold; None for a token without a scope."""
    some = st.sets(st.sampled_from([*POLICIES, *POLICIES[:2], ADMINS]), min_size=data.draw(st.integers(0, 1)))
    return data.draw(some) if data.draw(st.integers(0, 4)) else None


@pytest.mark.both_databases
@settings(max_examples=settings().max_examples // 2)  # each example replaces all rows
@given(data=st.data())
async def test_a_token_sees_the_rows_and_fields_of_the_intersection_and_never_more_than_its_owner(scratch_db, data):
    name = data.draw(st.sampled_from(["users", "roles"]))
    tables, user = draw_directory(data)
    ip, scope, read_only = data.draw(IPS), draw_scope(data), data.draw(st.booleans())
    reference = TokenReference(tables, user, ip, scope)
    await replace(scratch_db, tables)
    token = caller_with(await issue(scratch_db, user, scope, read_only=read_only), ip)
    visible = [field for field in PLAIN[name] if reference.allowed(name, field)]
    query = f"{{ {name}(limit: -1) {{ {' '.join(visible or PLAIN[name][:1])} }} }}"

    result = await scratch_db.execute(query, caller=token)
    of_owner = await scratch_db.execute(query, caller=Caller(token=user["token"], ip=ip))

    event(f"scoped: {scope is not None}, visible: {bool(visible)}")
    if not visible:
        assert result.data is None
        return
    expected = [{field: reference.value(name, row, field) for field in visible} for row in reference.rows(name)]
    assert sorted(map(str, result.data[name])) == sorted(map(str, expected))
    for row in result.data[name]:
        assert any(row.items() <= {**other, **dict.fromkeys(_hidden(row))}.items() for other in of_owner.data[name])


def _hidden(row):
    """Return the fields of a row that are null, perhaps because the token does not show them."""
    return [field for field, value in row.items() if value is None]


@settings(max_examples=settings().max_examples // 2)  # each example replaces all rows
@given(data=st.data())
async def test_a_token_writes_what_the_intersection_allows(scratch_db, data):
    action = data.draw(st.sampled_from(["create", "update", "delete"]))
    tables, user = draw_directory(data)
    for row in tables["permissions"]:
        row |= {"validation": None, "presets": None}
    tables["permissions"] += draw_permissions(data, action)
    scope, read_only = draw_scope(data), data.draw(st.integers(0, 5)) == 0
    ip, payload, keys = data.draw(IPS), data.draw(PAYLOADS), data.draw(KEYS)
    reference = TokenWriteReference(tables, user, ip, action, scope, read_only=read_only)
    await replace(scratch_db, tables)
    token = caller_with(await issue(scratch_db, user, scope, read_only=read_only), ip)
    users = scratch_db.directory(token)["users"]

    expected, code = await write(users, reference, action, keys, payload)

    event(f"{action}, scoped: {scope is not None}: {code}")
    assert code in {None, "FORBIDDEN", "FAILED_VALIDATION"}
    assert (code is None) is (expected is not None)
    assert await stored_users(scratch_db) == expected_users(expected or tables)
