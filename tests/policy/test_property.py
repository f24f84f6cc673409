"""The policy resolver compared with the reference, on random policies, users and queries."""

from hypothesis import event, given
from hypothesis import strategies as st

from app.core.caller import Caller
from tests.policy.query_reference import is_visible, ordered, sorts
from tests.policy.reference import Reference
from tests.policy.strategies import IPS, SEARCHES, directories, filters, replace

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


def reference_and_caller(tables, user, ip):
    return Reference(tables, user, ip), Caller(ip=ip) if user is None else Caller(token=user["token"], ip=ip)


async def execute_twice(system, query, variables, caller):
    """Execute a new query, then again from the plan that this created; both results must be equal."""
    first = await system.execute(query, variables, caller)
    second = await system.execute(query, variables, caller)

    assert (second.data, str(second.errors)) == (first.data, str(first.errors))
    return second


@given(data=st.data())
async def test_a_query_returns_the_rows_and_fields_that_the_reference_allows(scratch_db, data):
    name = data.draw(st.sampled_from(["users", "roles"]))
    tables, user = data.draw(directories())
    reference, caller = reference_and_caller(tables, user, data.draw(IPS))
    nested = data.draw(st.sampled_from([True, True, False]))
    variables = {
        "f": data.draw(st.one_of(st.just({}), filters(name, 0), filters(name, 2))),
        "s": data.draw(st.sampled_from(sorts(reference, name))),
        "t": data.draw(st.one_of(st.none(), st.none(), st.none(), SEARCHES)),
        "n": data.draw(st.one_of(st.just({}), filters(OTHER[name], 1))) if nested else {},
        "ns": data.draw(st.sampled_from(sorts(reference, "users"))) if nested and name == "roles" else [],
        "nt": data.draw(st.one_of(st.none(), st.none(), SEARCHES)),
        "nl": data.draw(st.sampled_from([-1, 1])),
    }
    visible = [field for field in PLAIN[name] if reference.allowed(name, field)]
    functions = [text for text in FUNCTIONS[name] if reference.allowed(name, text.split("_func")[0])]
    fields = [*(visible or PLAIN[name][:1]), *functions, *([NESTED[name]] if nested else [])]
    await replace(scratch_db, tables)

    query = QUERY % {"name": name, "more": MORE[name] if nested else "", "fields": " ".join(fields)}
    result = await execute_twice(scratch_db, query, variables, caller)

    if not is_allowed(reference, name, visible, variables, nested=nested):
        event("refused")
        assert result.data is None, "a query of fields outside the caller's schema was answered"
        return
    event(f"answered with {min(len(result.data[name]) if result.data else 0, 2)} rows or more")
    assert result.errors is None, result.errors
    rows = [row for row in reference.rows(name) if reference.matches(name, row, variables["f"])]
    rows = [row for row in rows if not variables["t"] or reference.search_matches(name, row, variables["t"])]
    rows = ordered(rows, variables["s"], lambda row, key: reference.value(name, row, key))
    assert result.data[name] == [expected_row(reference, name, row, visible, variables, nested=nested) for row in rows]


def expected_row(reference, name, row, fields, variables, *, nested):
    result = {field: reference.value(name, row, field) for field in fields}
    for text in FUNCTIONS[name]:
        field, function = text.split("_func")[0], text.split("{")[1].strip(" }")
        if reference.allowed(name, field):
            result[f"{field}_func"] = {function: reference.function(name, row, field, function)}
    if nested and name == "users":
        _, role = reference.related_row("users", row, "role")
        match = role if role and reference.matches("roles", role, variables["n"]) else None
        result["role"] = match and {"id": reference.value("roles", match, "name")}
    if nested and name == "roles":
        result["users"] = (
            expected_users(reference, row, variables) if reference.may_see("roles", row, "users") else None
        )
    return result


def expected_users(reference, role, variables):
    _, users = reference.related_rows("roles", role, "users")
    users = [user for user in users if reference.matches("users", user, variables["n"])]
    users = [user for user in users if not variables["nt"] or reference.search_matches("users", user, variables["nt"])]
    users = ordered(users, variables["ns"], lambda user, key: reference.value("users", user, key))
    return [{"id": reference.value("users", user, "id")} for user in users[: None if variables["nl"] == -1 else 1]]


def is_allowed(reference, name, visible, variables, *, nested):
    """Return whether everything that a query selects or uses is in the caller's schema."""
    if not visible or not is_visible(reference, name, variables["f"]):
        return False
    if not nested:
        return True
    needed = ("users", "role"), ("roles", "users"), (("roles", "name") if name == "users" else ("users", "id"))
    return all(reference.allowed(*place) for place in needed) and is_visible(reference, OTHER[name], variables["n"])
