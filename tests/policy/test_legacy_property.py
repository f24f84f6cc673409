"""What Directus 10 called a role's flags and a permission's role is what the same caller could have put together.

Random policies, roles above one another, and rules on all that lies between them; whoever asks, asks twice: in Directus
11's words, of which the flags are told by hand here, and in Directus 10's.
"""

from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from app.core.errors import Forbidden
from app.testing import TestSystem
from tests.policy.strategies import POLICIES, ROLES, replace
from tests.world import caller, static_token, uid

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
def grants(draw, number, name):
    """A permission of the asker's to read: mostly all that matters of all rows, and now and then less."""
    every = list(FIELDS[name])
    fields = draw(st.sampled_from([every, every, every, every[:1], every[1:], draw(st.permutations(every))[:2]]))
    some = draw(st.sets(st.sampled_from(ROWS[name]), min_size=1))
    rule = {"id": {"_in": sorted(some)}} if draw(st.sampled_from([True, False, False])) else None
    told = {"collection": f"directus_{name}", "action": "read", "fields": ",".join(("id", *fields))}
    return {"id": number, "policy": uid("asks"), "permissions": rule, **told}


@st.composite
def worlds(draw):
    names, above = st.sampled_from([None, *ROLES]), draw(st.lists(st.sampled_from([None, *ROLES]), min_size=3))
    roles = [{"id": key, "name": key[:4], "parent": parent} for key, parent in zip(ROLES, above, strict=False)]
    asker = {"id": uid("asker"), "token": static_token("asker"), "role": None}
    flags = {name: st.booleans() for name in FLAGS}
    policies = [
        {"id": key, "name": "p", **draw(st.fixed_dictionaries(flags)), "ip_access": draw(ADDRESSES)} for key in POLICIES
    ]
    attached = [{"id": key, "policy": draw(st.sampled_from(POLICIES)), "role": draw(names)} for key in ROWS["access"]]
    holds = {"id": uid("holds"), "policy": uid("asks"), "role": None}
    kinds = draw(st.sampled_from([list(FIELDS), list(FIELDS), ["roles", "roles", "access", "policies"], ["roles"]]))
    granted = [draw(grants(number, name)) for number, name in enumerate((*kinds, draw(st.sampled_from(kinds))), 1)]
    shown = [
        {"id": key, "policy": draw(st.sampled_from(POLICIES)), "collection": "x", "action": "read"}
        for key in ROWS["permissions"]
    ]
    blank = {"permissions": None, "fields": None}
    return {
        "roles": roles,
        "users": [asker],
        "policies": [*policies, {"id": uid("asks"), "name": "asks", **dict.fromkeys(FLAGS, False), "ip_access": None}],
        "access": [*({**row, "user": None} for row in attached), {**holds, "user": asker["id"]}],
        "permissions": [*granted, *({**row, **blank} for row in shown)],
    }


async def told(system, query):
    """What is answered, None where it is refused: asked as nobody has before, and again from a plan."""
    first = await system.execute(query, caller=caller("asker"))
    again = await system.execute(query, caller=caller("asker"))

    assert again.data == first.data
    return None if first.errors else first.data


async def by_hand(system, name, *fields):
    """What Directus 11's own fields tell, None where one of them isn't to be seen at all."""
    try:
        rows = await system.directory(caller("asker"))[name].read_by_query({"fields": ["id", *fields], "limit": -1})
    except Forbidden:
        return None
    return {str(row.pop("id")): row for row in rows}


@settings(max_examples=settings().max_examples // 8)
@given(tables=worlds(), flag=st.sampled_from([*FLAGS, "ip_access"]))
async def test_a_flag_is_what_the_policies_come_to_that_its_reader_may_read(scratch, tables, flag):
    await replace(scratch, tables)
    system = TestSystem(scratch.database, scratch.settings.model_copy(update={"compatibility": "10"}))
    rows = await by_hand(system, "roles", "policies.role", f"policies.policy.{flag}")
    above = await by_hand(system, "roles", "parent.id") or {}
    found = await told(system, f"{{ roles(limit: -1) {{ id {flag} }} }}")

    assert (found is None) == (rows is None)
    if rows is None:
        event("refused")
        return
    attached = {role: row["policies"] for role, row in rows.items()}
    parents = {role: (row["parent"] or {}).get("id") for role, row in above.items()}
    expected = {role: summed(flag, role, attached, parents) for role in attached}
    event(f"told: {sorted({str(value) for value in expected.values()})}")
    assert {role["id"]: role[flag] for role in found["roles"]} == expected
    await asked_for_alike(system, flag, expected)


def summed(flag, role, attached, parents):
    if attached[role] is None:
        return None
    line = [role]
    while (parent := parents.get(line[-1])) in attached and parent not in line:
        line.append(parent)
    rows = [row["policy"] for one in line for row in attached[one] or () if row["policy"]]
    values = [row[flag] for row in rows if row[flag] is not None]
    if flag != "ip_access":
        return any(values)
    words = [word for text in sorted(",".join(value) for value in values if value) for word in text.split(",")]
    return list(dict.fromkeys(words)) if values else None


async def asked_for_alike(system, flag, expected):
    """Filtered, sorted and grouped a flag is what it is told to be."""
    wanted, value = ('"10.0.0.0/8"', ["10.0.0.0/8"]) if flag == "ip_access" else ("true", True)
    found = await told(system, f"{{ roles(limit: -1, filter: {{ {flag}: {{ _eq: {wanted} }} }}) {{ id }} }}")
    assert {row["id"] for row in found["roles"]} == {role for role, has in expected.items() if has == value}
    missing = await told(system, f"{{ roles(limit: -1, filter: {{ {flag}: {{ _null: true }} }}) {{ id }} }}")
    assert {row["id"] for row in missing["roles"]} == {role for role, has in expected.items() if has is None}
    order = await told(system, f'{{ roles(limit: -1, sort: ["-{flag}"]) {{ id }} }}')
    values = [expected[row["id"]] for row in order["roles"]]
    there = [",".join(has) if isinstance(has, list) else has for has in values if has is not None]
    assert values[: len(values) - len(there)] == [None] * (len(values) - len(there))
    assert there == sorted(there, reverse=True)
    groups = await told(system, f'{{ roles_aggregated(groupBy: ["{flag}"]) {{ group count {{ id }} }} }}')
    counted = [(group["group"][flag], group["count"]["id"]) for group in groups["roles_aggregated"]]
    alike = [list(expected.values()).count(has) for has, _ in counted]
    assert [count for _, count in counted] == alike


@settings(max_examples=settings().max_examples // 8)
@given(tables=worlds())
async def test_a_permissions_role_is_the_only_one_that_its_reader_finds_behind_its_policy(scratch, tables):
    await replace(scratch, tables)
    system = TestSystem(scratch.database, scratch.settings.model_copy(update={"compatibility": "10"}))
    # Which roles a policy has is told by the rows between: whoever may not read their link is told of none.
    rows = await by_hand(system, "permissions", "policy.roles.role", "policy.roles.policy")
    found = await told(system, "{ permissions(limit: -1) { id role } }")

    assert (found is None) == (rows is None)
    if rows is None:
        event("refused")
        return
    expected = {key: only(row["policy"]) for key, row in rows.items()}
    event(f"{sum(map(bool, expected.values()))} roles told")
    assert {row["id"]: row["role"] for row in found["permissions"]} == expected
    for role in ROLES:
        asked = await told(system, f'{{ permissions(limit: -1, filter: {{ role: {{ _eq: "{role}" }} }}) {{ id }} }}')
        assert {row["id"] for row in asked["permissions"]} == {key for key, has in expected.items() if has == role}


def only(policy):
    roles = {row["role"] for row in (policy or {}).get("roles") or () if row["role"]}
    return roles.pop() if len(roles) == 1 else None
