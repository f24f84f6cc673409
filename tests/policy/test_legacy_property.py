"""Directus 10's flags of roles and role of permissions, compared with what the caller could compute from Directus 11's.

Random policies, nested roles, and permissions on everything between them. Each test queries the fields of Directus 11,
from which it computes the expected values, and those of Directus 10.
"""

from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from app.core.errors import Forbidden
from app.testing import TestSystem
from tests.base_data import caller, static_token, uid
from tests.policy.strategies import POLICIES, ROLES, replace

FLAGS = ("admin_access", "app_access", "enforce_tfa")
FIELDS = {
    "roles": ("parent", "policies", "name"),
    "access": ("role", "policy", "sort"),
    "policies": (*FLAGS, "ip_access", "roles", "name"),
    "permissions": ("policy", "collection", "action"),
}
ADDRESSES = st.sampled_from([None, None, "", "10.0.0.0/8", "192.0.2.1,10.0.0.0/8", "192.0.2.1"])
ROWS: dict[str, list[Any]] = {
    "roles": ROLES,
    "access": [uid(f"a{n}") for n in range(5)],
    "policies": POLICIES,
    "permissions": [91, 92, 93],
}


@st.composite
def permissions(draw, number, name):
    """Draw a read permission of the caller: mostly every relevant field of every row, sometimes less."""
    names = list(FIELDS[name])
    fields = draw(st.sampled_from([names, names, names, names[:1], names[1:], draw(st.permutations(names))[:2]]))
    some = draw(st.sets(st.sampled_from(ROWS[name]), min_size=1))
    rule = {"id": {"_in": sorted(some)}} if draw(st.sampled_from([True, False, False])) else None
    return {
        "id": number,
        "policy": uid("asks"),
        "permissions": rule,
        "collection": f"directus_{name}",
        "action": "read",
        "fields": ",".join(("id", *fields)),
    }


@st.composite
def directories(draw):
    role_or_none = st.sampled_from([None, *ROLES])
    parents = draw(st.lists(role_or_none, min_size=3))
    roles = [{"id": key, "name": key[:4], "parent": parent} for key, parent in zip(ROLES, parents, strict=False)]
    asker = {"id": uid("asker"), "token": static_token("asker"), "role": None}
    flags = {name: st.booleans() for name in FLAGS}
    policies = [
        {"id": key, "name": "p", **draw(st.fixed_dictionaries(flags)), "ip_access": draw(ADDRESSES)} for key in POLICIES
    ]
    policy = st.sampled_from(POLICIES)
    attached = [{"id": key, "policy": draw(policy), "role": draw(role_or_none)} for key in ROWS["access"]]
    own_access = {"id": uid("holds"), "policy": uid("asks"), "role": None, "user": asker["id"]}
    kinds = draw(st.sampled_from([list(FIELDS), list(FIELDS), ["roles", "roles", "access", "policies"], ["roles"]]))
    granted = [draw(permissions(number, name)) for number, name in enumerate((*kinds, draw(st.sampled_from(kinds))), 1)]
    others = [{"id": key, "policy": draw(policy), "collection": "x", "action": "read"} for key in ROWS["permissions"]]
    empty = {"permissions": None, "fields": None}
    return {
        "roles": roles,
        "users": [asker],
        "policies": [*policies, {"id": uid("asks"), "name": "asks", **dict.fromkeys(FLAGS, False), "ip_access": None}],
        "access": [*({**row, "user": None} for row in attached), own_access],
        "permissions": [*granted, *({**row, **empty} for row in others)],
    }


async def execute_twice(system, query):
    """Return the data of a new query, None if it is refused; executed again from its plan, the data must be equal."""
    first = await system.execute(query, caller=caller("asker"))
    second = await system.execute(query, caller=caller("asker"))

    assert second.data == first.data
    return None if first.errors else first.data


async def read_fields(system, name, *fields):
    """Return the values of Directus 11's fields by id, None if one of the fields is visible on no row."""
    repository = system.directory(caller("asker"))[name]
    try:
        for path in fields:  # beside others, those of a collection that the caller may not read would be omitted
            await repository.read_by_query({"fields": [path], "limit": 0})
        rows = await repository.read_by_query({"fields": ["id", *fields], "limit": -1})
    except Forbidden:
        return None
    return {str(row.pop("id")): row for row in rows}


@settings(max_examples=settings().max_examples // 8)
@given(tables=directories(), flag=st.sampled_from([*FLAGS, "ip_access"]))
async def test_a_flag_of_a_role_combines_the_policies_that_its_reader_may_read(scratch_db, tables, flag):
    await replace(scratch_db, tables)
    system = TestSystem(scratch_db.database, scratch_db.settings.model_copy(update={"compatibility": "10"}))
    rows = await read_fields(system, "roles", "policies.role", f"policies.policy.{flag}")
    parent_rows = await read_fields(system, "roles", "parent.id") or {}
    data = await execute_twice(system, f"{{ roles(limit: -1) {{ id {flag} }} }}")

    assert (data is None) == (rows is None)
    if rows is None:
        event("refused")
        return
    attached = {role: row["policies"] for role, row in rows.items()}
    parents = {role: (row["parent"] or {}).get("id") for role, row in parent_rows.items()}
    expected = {role: combined_flag(flag, role, attached, parents) for role in attached}
    event(f"values: {sorted({str(value) for value in expected.values()})}")
    assert {role["id"]: role[flag] for role in data["roles"]} == expected
    await check_filters_sorts_and_groups(system, flag, expected)


def combined_flag(flag, role, attached, parents):
    if attached[role] is None:
        return None
    line = [role]
    while (parent := parents.get(line[-1])) in attached and parent not in line:
        line.append(parent)
    policies = [row["policy"] for ancestor in line for row in attached[ancestor] or () if row["policy"]]
    values = [policy[flag] for policy in policies if policy[flag] is not None]
    if flag != "ip_access":
        return any(values)
    addresses = [ip for text in sorted(",".join(value) for value in values if value) for ip in text.split(",")]
    return list(dict.fromkeys(addresses)) if values else None


async def check_filters_sorts_and_groups(system, flag, expected):
    """Check that filters, sorts and groups use the same values of a flag as the output."""
    literal, operand = ('"10.0.0.0/8"', ["10.0.0.0/8"]) if flag == "ip_access" else ("true", True)
    equal = await execute_twice(system, f"{{ roles(limit: -1, filter: {{ {flag}: {{ _eq: {literal} }} }}) {{ id }} }}")
    assert {row["id"] for row in equal["roles"]} == {role for role, value in expected.items() if value == operand}
    null = await execute_twice(system, f"{{ roles(limit: -1, filter: {{ {flag}: {{ _null: true }} }}) {{ id }} }}")
    assert {row["id"] for row in null["roles"]} == {role for role, value in expected.items() if value is None}
    ordered = await execute_twice(system, f'{{ roles(limit: -1, sort: ["-{flag}"]) {{ id }} }}')
    values = [expected[row["id"]] for row in ordered["roles"]]
    present = [",".join(value) if isinstance(value, list) else value for value in values if value is not None]
    assert values[: len(values) - len(present)] == [None] * (len(values) - len(present))
    assert present == sorted(present, reverse=True)
    groups = await execute_twice(system, f'{{ roles_aggregated(groupBy: ["{flag}"]) {{ group count {{ id }} }} }}')
    counts = [(group["group"][flag], group["count"]["id"]) for group in groups["roles_aggregated"]]
    assert [count for _, count in counts] == [list(expected.values()).count(value) for value, _ in counts]


@settings(max_examples=settings().max_examples // 8)
@given(tables=directories())
async def test_a_permissions_role_is_the_only_readable_role_of_its_policy(scratch_db, tables):
    await replace(scratch_db, tables)
    system = TestSystem(scratch_db.database, scratch_db.settings.model_copy(update={"compatibility": "10"}))
    # The roles of a policy come from its access rows: a caller who may not read their link sees no role.
    rows = await read_fields(system, "permissions", "policy.roles.role", "policy.roles.policy")
    data = await execute_twice(system, "{ permissions(limit: -1) { id role } }")

    assert (data is None) == (rows is None)
    if rows is None:
        event("refused")
        return
    expected = {key: only_role(row["policy"]) for key, row in rows.items()}
    event(f"{sum(map(bool, expected.values()))} roles visible")
    assert {row["id"]: row["role"] for row in data["permissions"]} == expected
    for role in ROLES:
        query = f'{{ permissions(limit: -1, filter: {{ role: {{ _eq: "{role}" }} }}) {{ id }} }}'
        data = await execute_twice(system, query)
        assert {row["id"] for row in data["permissions"]} == {key for key, value in expected.items() if value == role}


def only_role(policy):
    roles = {row["role"] for row in (policy or {}).get("roles") or () if row["role"]}
    return roles.pop() if len(roles) == 1 else None
