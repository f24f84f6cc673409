"""Simulations agree with what the changes really do, on random directories and changes."""

from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from app.core.caller import Caller
from app.core.errors import ChangeRejected, Forbidden, InvalidCredentials, RollcallError
from app.flows.access.simulated_changes import parse_changes
from app.flows.access.simulation import AccessSimulation
from app.query.collection import BUILT_IN
from app.query.read import Read
from tests.access.contents import contents_of
from tests.access.test_explanation_property import add_admin
from tests.base_data import uid
from tests.policy.strategies import IPS, NETWORKS, POLICIES, ROLES, USERS, directories, filters, replace

CHIEF = Caller(token="static-of-chief")
COLLECTIONS = ("directus_users", "directus_roles")
RULE: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}), filters("users", 0, stored=True), filters("users", 1, stored=True)
)
FIELDS = st.sampled_from([["id", "token"], ["id", "first_name", "role"], ["*"], ["token"]])


def change(collection, action, **parts):
    members: dict[str, st.SearchStrategy[Any]] = {"collection": st.just(collection), "action": st.just(action), **parts}
    return st.fixed_dictionaries(members)


PERMISSION_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "policy": st.sampled_from(POLICIES),
    "collection": st.just("directus_users"),
    "action": st.sampled_from(["read", "read", "update", "create", "delete"]),
    "fields": FIELDS,
    "permissions": RULE,
}
PERMISSION = st.fixed_dictionaries(PERMISSION_FIELDS)
HOLDER = st.sampled_from([{}, *({"role": key} for key in ROLES), *({"user": key} for key in USERS)])
CHANGES = st.one_of(
    change("permissions", "create", data=PERMISSION),
    change("permissions", "update", key=st.integers(1, 5), data=st.fixed_dictionaries({"permissions": RULE})),
    change("permissions", "update", key=st.integers(1, 4), data=st.fixed_dictionaries({"fields": FIELDS})),
    change("permissions", "delete", key=st.integers(1, 5)),
    change("policies", "update", key=st.sampled_from(POLICIES), data=st.fixed_dictionaries({"ip_access": NETWORKS})),
    change(
        "policies",
        "update",
        key=st.sampled_from(POLICIES),
        data=st.fixed_dictionaries({"app_access": st.booleans(), "admin_access": st.booleans()}),
    ),
    change("policies", "delete", key=st.sampled_from(POLICIES)),
    change("access", "create", data=st.builds(dict, HOLDER, policy=st.sampled_from(POLICIES))),
    change("access", "delete", key=st.sampled_from(["a0", "a1", "a2"]).map(uid)),
    change(
        "roles",
        "update",
        key=st.sampled_from(ROLES),
        data=st.fixed_dictionaries({"parent": st.sampled_from([None, *ROLES])}),
    ),
    change("roles", "delete", key=st.sampled_from(ROLES)),
    change(
        "users",
        "update",
        key=st.sampled_from(USERS),
        data=st.fixed_dictionaries({"role": st.sampled_from([None, *ROLES])}),
    ),
    change(
        "users",
        "update",
        key=st.sampled_from(USERS),
        data=st.fixed_dictionaries({"status": st.sampled_from(["active", "suspended"])}),
    ),
    change("users", "delete", key=st.sampled_from(USERS)),
)


@settings(max_examples=settings().max_examples // 5)  # each example replaces all rows
@given(data=st.data())
async def test_a_simulation_says_what_the_changes_do(scratch_db, data):
    tables, _ = data.draw(directories())
    add_admin(tables)
    await replace(scratch_db, tables)
    raw, ip = data.draw(st.lists(CHANGES, min_size=1, max_size=3)), data.draw(IPS)
    stored = await contents_of(scratch_db)
    before = {user: await access_of(scratch_db, user, ip) for user in (None, *USERS)}

    report, rejected = None, None
    try:
        simulation = AccessSimulation(scratch_db.directory(CHIEF))
        report = await simulation.run(parse_changes(raw), ip)
    except ChangeRejected as error:
        rejected = error

    assert await contents_of(scratch_db) == stored
    failure = await apply(scratch_db, raw)
    event(f"rejected {rejected is not None}, effects {report and report.effects_total}")
    if rejected is not None:
        assert failure == (rejected.extensions["change"], rejected.code)
        return
    assert failure is None
    rows_written = any(one["collection"] in ("roles", "users") for one in raw)
    for user in (None, *USERS):
        check(report, user, before[user], await access_of(scratch_db, user, ip), rows_written=rows_written)


async def apply(system, raw):
    """Write the changes one after the other; return the index and the code of the one that fails, if one does."""
    for index, one in enumerate(raw):
        repository = system.directory(CHIEF)[one["collection"]]
        try:
            match one["action"]:
                case "create":
                    await repository.create_one(one["data"])
                case "update":
                    await repository.update_one(one["key"], one["data"])
                case _:
                    await repository.delete_one(one["key"])
        except RollcallError as error:
            return index, error.code
    return None


async def access_of(system, user, ip):
    """Return what a user, or the public, may do, as the resolver says, and what it really reads.

    None if the user cannot sign in. Each collection has the fields by action, the visible keys, and those of the rows
    whose token is visible, which every user has.
    """
    caller = Caller(user=user, ip=ip)
    try:
        access = await system.services.access_cache.reload(caller)
    except InvalidCredentials:
        return None
    registry = system.services.registry
    fields = {
        (name, action): {field.name for field in access.fields(action, registry[name])}
        if action != "delete"
        else bool(access.granted(action, registry[name]))
        for name in COLLECTIONS
        for action in ("create", "read", "update", "delete")
    }
    rows = {name: await keys_of(system, caller, name) for name in COLLECTIONS}
    return {
        "admin": access.admin,
        "app": access.app,
        "fields": fields,
        "rows": rows,
        "tokens": await tokens(system, caller),
    }


async def keys_of(system, caller, name):
    """Return the keys of the rows that a caller sees, even if it may not see the keys."""
    repository = system.directory(caller)[name]
    access = await system.services.access_cache.access(caller)
    if not access.granted("read", repository.collection):
        return set()
    query = Read(repository.collection, ())
    return set(await repository.read_scoped(lambda current: repository.resolver(query, current).select_keys(query)))


async def tokens(system, caller):
    try:
        rows = await system.directory(caller)["users"].read_by_query({"fields": ["token"], "limit": -1})
    except Forbidden:
        return 0
    return sum(row["token"] is not None for row in rows)


def check(report, user, before, after, *, rows_written):
    effects = [one for one in report.effects if (one.public if user is None else user in one.users)]
    assert len(effects) <= 1
    nothing = {"admin": False, "app": False, "fields": {}, "rows": {}, "tokens": 0}
    old, new = before or nothing, after or nothing
    if not effects:
        assert (old["admin"], old["app"], old["fields"]) == (new["admin"], new["app"], new["fields"])
        assert rows_written or (old["rows"], old["tokens"]) == (new["rows"], new["tokens"])
        return
    (effect,) = effects
    assert (effect.before.active, effect.after.active) == (before is not None, after is not None)
    assert (effect.before.admin_access, effect.after.admin_access) == (old["admin"], new["admin"])
    assert (effect.before.app_access, effect.after.app_access) == (old["app"], new["app"])
    for name in COLLECTIONS:
        check_rows(effect, user, name, old, new, rows_written=rows_written)


def check_rows(effect, user, name, old, new, *, rows_written):
    changes = {one.action: one for one in effect.actions if one.collection == name}
    for action in ("create", "read", "update"):
        gained = new["fields"].get((name, action), set()) - old["fields"].get((name, action), set())
        lost = old["fields"].get((name, action), set()) - new["fields"].get((name, action), set())
        one = changes.get(action)
        assert names(one and one.fields_gained, name) == gained
        assert names(one and one.fields_lost, name) == lost
    old_rows, new_rows = old["rows"].get(name, set()), new["rows"].get(name, set())
    read = changes.get("read")
    if read is None or read.rows is None:
        assert rows_written or old_rows == new_rows
        return
    if read.rows_depend_on_user and user != (effect.users[0] if effect.users else None):
        return
    counts = (read.rows.before, read.rows.after, read.rows.gained, read.rows.lost)
    assert counts == (len(old_rows), len(new_rows), len(new_rows - old_rows), len(old_rows - new_rows))
    if name == "directus_users":
        field = next((one for one in read.field_rows if "token" in one.fields), None)
        if field is not None:
            assert (field.rows.before, field.rows.after) == (old["tokens"], new["tokens"])
        elif not rows_written:
            seen = {old["tokens"] == new["tokens"], (old["tokens"], new["tokens"]) == counts[:2]}
            assert True in seen


def names(reported, collection):
    return set(BUILT_IN[collection].fields) if reported == ("*",) else set(reported or ())
