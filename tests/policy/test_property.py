"""The policy resolver against a reference that shares nothing with it: random policies, people and questions."""

from hypothesis import given
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
    """Tables of roles several deep, people, policies with rules, and who holds which."""
    optional = st.sampled_from([None, *ROLES])
    roles = [{"id": key, "name": draw(TEXTS) or "", "parent": draw(optional)} for key in ROLES]
    users = [
        {"id": key, "first_name": draw(TEXTS), "title": draw(TEXTS), "role": draw(optional), "token": static_token(key)}
        for key in USERS
    ]
    networks = st.sampled_from([None, None, "10.0.0.0/8", "192.0.2.1,10.1.0.0/16"])
    policies = [
        {"id": key, "name": "p", "ip_access": draw(networks), "admin_access": draw(st.integers(0, 30)) == 30}
        for key in POLICIES
    ]
    access = [
        {"id": uid(f"a{n}"), "policy": draw(st.sampled_from(POLICIES)), "role": None, "user": None, **draw(holder)}
        for n in range(draw(st.integers(1, 5)))
    ]
    permissions = [draw(permission(number)) for number in range(1, draw(st.integers(2, 7)))]
    return {"roles": roles, "users": users, "policies": policies, "access": access, "permissions": permissions}


holder = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"role": st.sampled_from(ROLES)}),
    st.fixed_dictionaries({"user": st.sampled_from(USERS)}),
)


@st.composite
def permission(draw, number):
    name = draw(st.sampled_from(["users", "users", "roles"]))
    known = USER_FIELDS if name == "users" else ROLE_FIELDS
    fields = draw(st.lists(st.sampled_from(known), min_size=2, unique=True))
    rule = draw(st.one_of(st.none(), st.just({}), filters(name, 1), filters(name, 1)))
    return {
        "id": number,
        "policy": draw(st.sampled_from(POLICIES)),
        "collection": f"directus_{name}",
        "action": "read",
        "fields": ",".join(fields),
        "permissions": rule,
    }


QUERIES = {
    "users": "query($f: directus_users_filter, $s: [String]) { users(filter: $f, sort: $s, limit: -1) { %s } }",
    "roles": "query($f: directus_roles_filter, $s: [String]) { roles(filter: $f, sort: $s, limit: -1) { %s } }",
}


@given(data=st.data())
async def test_the_answer_is_the_references_rows_and_fields(scratch, data):
    collection = data.draw(st.sampled_from(["users", "roles"]))
    tables = data.draw(worlds())
    who = data.draw(st.sampled_from([None, *tables["users"]]))
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
        assert result.data is None, "what may not be seen was answered"
        return
    assert result.errors is None, result.errors
    assert result.data[collection] == expected(reference, collection, shown, filter_, sort, nested=nested)


def expected(reference, collection, shown, filter_, sort, *, nested):
    rows = [row for row in reference.rows(collection) if reference.holds(collection, row, filter_)]
    rows.sort(key=lambda row: row["id"])
    for key in sort:
        field, down = key.removeprefix("-"), key.startswith("-")
        rows.sort(key=lambda row: order(reference.seen(collection, row, field)), reverse=down)  # noqa: B023
        if down:  # a stable order among equals, also when reversed
            rows.sort(key=lambda row: row["id"])
            rows.sort(key=lambda row: order(reference.seen(collection, row, field)), reverse=True)  # noqa: B023
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
