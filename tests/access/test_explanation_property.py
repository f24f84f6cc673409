"""Explanations agree with what the resolver does, on random policies, users and rows."""

from hypothesis import event, given, settings
from hypothesis import strategies as st

from app.core.caller import SYSTEM, Caller
from app.core.errors import Forbidden
from app.flows.access.explanation import AccessExplainer, AccessQuestion
from tests.base_data import uid
from tests.policy.strategies import IPS, USERS, directories, filters, replace

FIELDS = ["first_name", "title", "role"]


def explain(system, user, ip, action, **question):
    explainer = AccessExplainer(system.directory(SYSTEM))
    return explainer.explain(AccessQuestion("users", action, user=user["id"], ip=ip, **question))


async def draw_system(system, data, *permissions):
    """Fill the database with a random directory and these permissions; return its rows, a user and an address."""
    tables, user = data.draw(directories())
    user = user or tables["users"][0]
    add_admin(tables)  # the last one could not be deleted
    tables["permissions"] += permissions
    await replace(system, tables)
    return tables, user, data.draw(IPS)


@settings(max_examples=settings().max_examples // 2)  # each example replaces all rows
@given(data=st.data())
async def test_an_explained_read_is_what_a_read_returns(scratch_db, data):
    tables, user, ip = await draw_system(scratch_db, data)
    key, field = data.draw(st.sampled_from(USERS)), data.draw(st.sampled_from(FIELDS))
    users = scratch_db.directory(Caller(user=user["id"], ip=ip))["users"]

    row, value = await explain(scratch_db, user, ip, "read", item=key), None
    visible = await explain(scratch_db, user, ip, "read", item=key, field=field)

    assert row.allowed is bool(await rows_of(users, key, "*"))
    stored = next(row for row in tables["users"] if row["id"] == key)[field]
    value = next((found[field] for found in await rows_of(users, key, field)), None)
    if stored is not None:  # a hidden value is null, too
        assert visible.allowed is (value is not None)
    assert visible.allowed <= row.allowed
    assert visible.allowed is (not visible.enough)
    event(f"row {row.allowed}, field {visible.allowed}")


def add_admin(tables):
    tables["users"].append({**dict.fromkeys(tables["users"][0]), "id": uid("chief"), "token": "static-of-chief"})
    tables["policies"].append({"id": uid("admins"), "name": "p", "ip_access": None, "admin_access": True})
    tables["access"].append({"id": uid("a9"), "policy": uid("admins"), "role": None, "user": uid("chief")})


async def rows_of(users, key, field):
    try:
        return await users.read_many([key], {"fields": [field]})
    except Forbidden:
        return []


@settings(max_examples=settings().max_examples // 2)
@given(data=st.data())
async def test_an_explained_write_is_what_a_write_does(scratch_db, data):
    action = data.draw(st.sampled_from(["create", "update", "update", "delete"]))
    permissions = [data.draw(write_permission(number, action)) for number in (50, 51)]
    _, user, ip = await draw_system(scratch_db, data, *permissions)
    key, field = data.draw(st.sampled_from(USERS)), data.draw(st.sampled_from(FIELDS[:2]))
    users = scratch_db.directory(Caller(user=user["id"], ip=ip))["users"]
    question = {"create": {"field": field}, "update": {"item": key, "field": field}, "delete": {"item": key}}[action]
    command = {
        "create": lambda: users.create_command([{field: "x"}]),
        "update": lambda: users.update_command([key], {field: "x"}),
        "delete": lambda: users.delete_command([key]),
    }[action]()

    explanation = await explain(scratch_db, user, ip, action, **question)

    allowed = await is_allowed(users, command)
    if not any(one.checks_written_row for policy in explanation.policies for one in policy.permissions):
        assert explanation.allowed is allowed
    assert allowed <= explanation.allowed  # a written row may no longer match the rule that allowed to write it
    event(f"{action}: {explanation.allowed}")


async def is_allowed(users, command):
    try:
        await users.dry_run(command)
    except Forbidden:
        return False
    return True


@st.composite
def write_permission(draw, number, action):
    return {
        "id": number,
        "policy": draw(st.sampled_from(["p0", "p0", "p1"]).map(uid)),
        "collection": "directus_users",
        "action": action,
        "fields": draw(st.sampled_from(["first_name,title", "title", "*"])),
        "permissions": draw(st.one_of(st.just({}), filters("users", 0, stored=True), filters("users", 1, stored=True))),
    }
