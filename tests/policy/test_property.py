"""The policy resolver against a reference that shares nothing with it: random policies, people and questions."""

from hypothesis import event, given
from hypothesis import strategies as st

from app.core.caller import Caller
from tests.policy.query_reference import admits, ordered, sorts
from tests.policy.reference import Reference
from tests.policy.strategies import IPS, SEARCHES, filters, replace, worlds

QUERY = """
query($f: directus_%(name)s_filter, $s: [String], $t: String%(more)s) {
  %(name)s(filter: $f, sort: $s, search: $t, limit: -1) { %(fields)s }
}
"""
MORE = {
    "users": ", $n: directus_roles_filter",
    "roles": ", $n: directus_users_filter, $ns: [String], $nt: String, $nl: Int",
}
NESTED = {
    "users": "role(filter: $n) { id: name }",
    "roles": "users(filter: $n, sort: $ns, search: $nt, limit: $nl) { id }",
}
FUNCTIONS = {"users": ["last_access_func { year }", "tags_func { count }"], "roles": ["users_func { count }"]}
PLAIN = {"users": ["id", "first_name", "title", "token"], "roles": ["id", "name"]}
OTHER = {"users": "roles", "roles": "users"}


def asking(tables, who, ip):
    return Reference(tables, who, ip), Caller(ip=ip) if who is None else Caller(token=who["token"], ip=ip)


async def twice(system, query, asked, caller):
    """Asked as nobody has before, and again from the plan that was made then: the answer is the same."""
    first = await system.execute(query, asked, caller)
    again = await system.execute(query, asked, caller)

    assert (again.data, str(again.errors)) == (first.data, str(first.errors))
    return again


@given(data=st.data())
async def test_the_answer_is_the_references_rows_and_fields(scratch, data):
    name = data.draw(st.sampled_from(["users", "roles"]))
    tables, who = data.draw(worlds())
    reference, caller = asking(tables, who, data.draw(IPS))
    nested = data.draw(st.sampled_from([True, True, False]))
    asked = {
        "f": data.draw(st.one_of(st.just({}), filters(name, 0), filters(name, 2))),
        "s": data.draw(st.sampled_from(sorts(reference, name))),
        "t": data.draw(st.one_of(st.none(), st.none(), st.none(), SEARCHES)),
        "n": data.draw(st.one_of(st.just({}), filters(OTHER[name], 1))) if nested else {},
        "ns": data.draw(st.sampled_from(sorts(reference, "users"))) if nested and name == "roles" else [],
        "nt": data.draw(st.one_of(st.none(), st.none(), SEARCHES)),
        "nl": data.draw(st.sampled_from([-1, 1])),
    }
    shown = [field for field in PLAIN[name] if reference.allowed(name, field)]
    functions = [spelled for spelled in FUNCTIONS[name] if reference.allowed(name, spelled.split("_func")[0])]
    fields = [*(shown or PLAIN[name][:1]), *functions, *([NESTED[name]] if nested else [])]
    await replace(scratch, tables)

    query = QUERY % {"name": name, "more": MORE[name] if nested else "", "fields": " ".join(fields)}
    result = await twice(scratch, query, asked, caller)

    if not admitted(reference, name, shown, asked, nested=nested):
        event("refused")
        assert result.data is None, "what may not be seen was answered"
        return
    event(f"answered with {min(len(result.data[name]) if result.data else 0, 2)} rows or more")
    assert result.errors is None, result.errors
    rows = [row for row in reference.rows(name) if reference.holds(name, row, asked["f"])]
    rows = [row for row in rows if not asked["t"] or reference.finds(name, row, asked["t"])]
    rows = ordered(rows, asked["s"], lambda row, key: reference.seen(name, row, key))
    assert result.data[name] == [answer(reference, name, row, shown, asked, nested=nested) for row in rows]


def answer(reference, name, row, shown, asked, *, nested):
    told = {field: reference.seen(name, row, field) for field in shown}
    for spelled in FUNCTIONS[name]:
        field, function = spelled.split("_func")[0], spelled.split("{")[1].strip(" }")
        if reference.allowed(name, field):
            told[f"{field}_func"] = {function: reference.function(name, row, field, function)}
    if nested and name == "users":
        _, role = reference.one("users", row, "role")
        found = role if role and reference.holds("roles", role, asked["n"]) else None
        told["role"] = found and {"id": reference.seen("roles", found, "name")}
    if nested and name == "roles":
        told["users"] = people(reference, row, asked) if reference.may("roles", row, "users") else None
    return told


def people(reference, role, asked):
    _, users = reference.many("roles", role, "users")
    users = [user for user in users if reference.holds("users", user, asked["n"])]
    users = [user for user in users if not asked["nt"] or reference.finds("users", user, asked["nt"])]
    users = ordered(users, asked["ns"], lambda user, key: reference.seen("users", user, key))
    return [{"id": reference.seen("users", user, "id")} for user in users[: None if asked["nl"] == -1 else 1]]


def admitted(reference, name, shown, asked, *, nested):
    """Whether everything asked for is in the caller's schema."""
    if not shown or not admits(reference, name, asked["f"]):
        return False
    if not nested:
        return True
    needed = ("users", "role"), ("roles", "users"), (("roles", "name") if name == "users" else ("users", "id"))
    return all(reference.allowed(*place) for place in needed) and admits(reference, OTHER[name], asked["n"])
