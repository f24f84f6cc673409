"""The policy resolver against a reference that shares nothing with it: random policies, people and questions."""

from hypothesis import event, given
from hypothesis import strategies as st
from sqlalchemy import delete, insert

from app.core.caller import Caller
from app.flows.transfer import TABLES
from tests.policy.reference import Reference
from tests.world import static_token, uid

ROLES, USERS, POLICIES = (
    [uid(f"r{n}") for n in range(3)],
    [uid(f"u{n}") for n in range(5)],
    [uid(f"p{n}") for n in range(3)],
)
TEXTS = st.sampled_from([None, "", "a", "A", "ab", "Č"])
USER_FIELDS = ["id", "first_name", "title", "token", "role"]
ROLE_FIELDS = ["id", "name", "parent", "users", "children"]


def comparison(texts):
    words = st.one_of(st.sampled_from(["a", "A", "ab", "č"]), st.sampled_from(texts))
    return st.one_of(
        st.fixed_dictionaries({"_eq": words}),
        st.fixed_dictionaries({"_neq": words}),
        st.fixed_dictionaries({"_in": st.lists(words, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"_nin": st.lists(words, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"_contains": st.sampled_from(["a", "b", "č"])}),
        st.fixed_dictionaries({"_istarts_with": st.sampled_from(["A", "č"])}),
        st.fixed_dictionaries({"_null": st.booleans()}),
        st.fixed_dictionaries({"_empty": st.booleans()}),
    )


TEXT = comparison(["$CURRENT_USER.title", "$CURRENT_USER.first_name"])
KEY = st.one_of(
    st.fixed_dictionaries({"_eq": st.sampled_from([*ROLES, "$CURRENT_ROLE"])}),
    st.fixed_dictionaries({"_in": st.lists(st.sampled_from([*ROLES, "$CURRENT_ROLES"]), min_size=1, max_size=2)}),
    st.fixed_dictionaries({"_null": st.booleans()}),
)
ME = st.one_of(st.just({"_eq": "$CURRENT_USER"}), st.just({"_neq": "$CURRENT_USER"}))


def filters(collection, depth):
    """A filter on users or roles, at most `depth` relations deep."""
    if collection == "users":
        leaves = [pair("first_name", TEXT), pair("title", TEXT), pair("role", KEY), pair("id", ME)]
    else:
        leaves = [pair("name", TEXT), pair("parent", KEY), pair("id", KEY)]
    if depth:
        inner = filters("users" if collection == "roles" else "roles", depth - 1)
        if collection == "users":
            leaves.append(pair("role", inner))
        else:
            leaves += [pair("users", inner), pair("users", pair("_some", inner)), pair("users", pair("_none", inner))]
    leaf = st.one_of(leaves)
    several = st.lists(leaf, max_size=2)
    return st.one_of(leaf, leaf, pair("_and", several), pair("_or", several), st.just({}))


def pair(name, value):
    return st.fixed_dictionaries({name: value})


@st.composite
def worlds(draw):
    """Tables of roles several deep, people, policies with rules, who holds which; and the one who asks, or None.

    The asker holds two policies, so that most questions are answered; the rest is left to chance.
    """
    optional = st.sampled_from([None, *ROLES, *ROLES])
    roles = [{"id": key, "name": draw(TEXTS) or "", "parent": draw(optional)} for key in ROLES]
    users = [
        {"id": key, "first_name": draw(TEXTS), "title": draw(TEXTS), "role": draw(optional), "token": static_token(key)}
        for key in USERS
    ]
    asker = draw(st.sampled_from([None, *users]))
    policies = [
        {"id": key, "name": "p", "ip_access": draw(NETWORKS), "admin_access": draw(st.integers(0, 50)) == 50}
        for key in POLICIES
    ]
    holders = [draw(holding(asker)), draw(holding(asker)), *draw(st.lists(HOLDER, max_size=3))]
    access = [
        {"id": uid(f"a{n}"), "policy": POLICIES[n] if n < 2 else draw(st.sampled_from(POLICIES)), **row}
        for n, row in enumerate(holders)
    ]
    granted = [("users", 0), ("users", 1), ("roles", 0), ("roles", 1), *draw(st.lists(GRANT, max_size=3))]
    permissions = [draw(permission(n, *grant)) for n, grant in enumerate(granted, 1)]
    tables = {"roles": roles, "users": users, "policies": policies, "access": access, "permissions": permissions}
    return tables, asker


NETWORKS = st.sampled_from([None, None, None, None, "10.0.0.0/8", "192.0.2.1,10.1.0.0/16"])
HOLDER = st.one_of(
    st.just({"role": None, "user": None}),
    st.fixed_dictionaries({"role": st.sampled_from(ROLES), "user": st.none()}),
    st.fixed_dictionaries({"user": st.sampled_from(USERS), "role": st.none()}),
)
GRANT = st.tuples(st.sampled_from(["users", "roles"]), st.integers(0, 2))


def holding(asker):
    """A row of access that is the asker's: as the public, by name, or by role."""
    if asker is None:
        return st.just({"role": None, "user": None})
    by_name = {"role": None, "user": asker["id"]}
    return st.sampled_from([by_name, {"role": asker["role"], "user": None} if asker["role"] else by_name])


@st.composite
def permission(draw, number, name, policy):
    known = USER_FIELDS if name == "users" else ROLE_FIELDS
    missing = draw(st.sets(st.sampled_from([*known, "users", "role"]), max_size=2))
    rule = draw(st.one_of(st.just({}), filters(name, 0), filters(name, 0), filters(name, 1)))
    return {
        "id": number,
        "policy": POLICIES[policy],
        "collection": f"directus_{name}",
        "action": "read",
        "fields": ",".join(field for field in known if field not in missing),
        "permissions": rule,
    }


QUERIES = {
    "users": "query($f: directus_users_filter, $s: [String]) { users(filter: $f, sort: $s, limit: -1) { %s } }",
    "roles": "query($f: directus_roles_filter, $s: [String]) { roles(filter: $f, sort: $s, limit: -1) { %s } }",
}


@given(data=st.data())
async def test_the_answer_is_the_references_rows_and_fields(scratch, data):
    collection = data.draw(st.sampled_from(["users", "roles"]))
    tables, who = data.draw(worlds())
    ip = data.draw(st.sampled_from(["10.1.0.1", "192.0.2.1"]))
    filter_ = data.draw(filters(collection, 2))
    reference = Reference(tables, who, ip)
    nested = data.draw(st.booleans())
    plain = ["id", "first_name", "title", "token"] if collection == "users" else ["id", "name"]
    shown = [field for field in plain if reference.allowed(collection, field)]
    sort = data.draw(st.sampled_from([[], *([key] for field in shown for key in (field, f"-{field}"))]))
    await replace(scratch, tables)

    asked = " ".join(
        [*(shown or plain[:1]), *([("role { id: name }", "users { id }")[collection == "roles"]] if nested else [])]
    )
    result = await scratch.execute(
        QUERIES[collection] % asked,
        {"f": filter_, "s": sort},
        caller=Caller(ip=ip) if who is None else Caller(token=who["token"], ip=ip),
    )

    if not admitted(reference, collection, shown, filter_, nested=nested):
        event("refused")
        assert result.data is None, "what may not be seen was answered"
        return
    event(f"answered with {min(len(result.data[collection]) if result.data else 0, 2)} rows or more")
    assert result.errors is None, result.errors
    assert result.data[collection] == expected(reference, collection, shown, filter_, sort, nested=nested)


def expected(reference, collection, shown, filter_, sort, *, nested):
    rows = [row for row in reference.rows(collection) if reference.holds(collection, row, filter_)]
    rows.sort(key=lambda row: row["id"])
    for key in sort:
        field, down = key.removeprefix("-"), key.startswith("-")
        rows.sort(key=lambda row: order(reference.seen(collection, row, field)), reverse=down)
        if down:  # a stable order among equals, also when reversed
            rows.sort(key=lambda row: row["id"])
            rows.sort(key=lambda row: order(reference.seen(collection, row, field)), reverse=True)
    return [answer(reference, collection, row, shown, nested=nested) for row in rows]


def order(value):
    return (value is None, value or "")


def answer(reference, collection, row, shown, *, nested):
    told = {field: reference.seen(collection, row, field) for field in shown}
    if nested and collection == "users":
        _, role = reference.one("users", row, "role")
        told["role"] = role and {"id": reference.seen("roles", role, "name")}
    if nested and collection == "roles":
        _, users = reference.many("roles", row, "users")
        ids = [reference.seen("users", user, "id") for user in sorted(users, key=lambda user: user["id"])]
        told["users"] = [{"id": key} for key in ids] if reference.may("roles", row, "users") else None
    return told


def admitted(reference, collection, shown, filter_, *, nested):
    """Whether everything asked for is in the caller's schema."""
    if not shown or not touches(reference, collection, filter_):
        return False
    if not nested:
        return True
    needed = ("users", "role"), ("roles", "users"), (("roles", "name") if collection == "users" else ("users", "id"))
    return all(reference.allowed(*place) for place in needed)


def touches(reference, collection, filter_):
    for key, asked in filter_.items():
        if key in ("_and", "_or"):
            if not all(touches(reference, collection, part) for part in asked):
                return False
            continue
        if not reference.allowed(collection, key):
            return False
        inner = asked.get("_some", asked.get("_none", asked))
        through = key == "users" or (
            key == "role" and not all(op.startswith("_") and op not in ("_and", "_or") for op in asked)
        )
        if through:
            there, back = ("users", "role") if key == "users" else ("roles", "users")
            if (asked or key == "users") and not reference.allowed(there, back) and asked:
                return False
            if not touches(reference, there, inner):
                return False
        if not variables_known(reference, asked):
            return False
    return True


def variables_known(reference, asked):
    values = [v for value in asked.values() for v in (value if isinstance(value, list) else [value])]
    fields = [v.split(".")[1] for v in values if isinstance(v, str) and v.startswith("$CURRENT_USER.")]
    return reference.user is None or all(reference.allowed("users", field) for field in fields)


async def replace(system, tables):
    async with system.database.transaction() as connection:
        for name in ("permissions", "access", "policies", "users", "roles"):
            await connection.execute(delete(TABLES[f"directus_{name}"]))
        roles = TABLES["directus_roles"]
        await connection.execute(insert(roles), [{**role, "parent": None} for role in tables["roles"]])
        for role in tables["roles"]:
            if role["parent"]:
                await connection.execute(roles.update().where(roles.c.id == role["id"]).values(parent=role["parent"]))
        for name in ("users", "policies", "access", "permissions"):
            if tables[name]:
                await connection.execute(insert(TABLES[f"directus_{name}"]), tables[name])
