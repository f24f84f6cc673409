"""Random worlds, people and filters, as strategies of Hypothesis."""

from datetime import UTC, datetime

from hypothesis import strategies as st
from sqlalchemy import delete, insert

from app.flows.import_export import TABLES
from tests.world import static_token, uid

ROLES, USERS, POLICIES = (
    [uid(f"r{n}") for n in range(3)],
    [uid(f"u{n}") for n in range(5)],
    [uid(f"p{n}") for n in range(3)],
)
TEXTS = st.sampled_from([None, "", "a", "A", "ab", "Č"])
MOMENTS = st.sampled_from([None, datetime(2023, 12, 31, 23, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC)])
LISTS = st.sampled_from([None, [], ["a"], ["a", "b"]])
USER_FIELDS = ["id", "first_name", "title", "token", "role", "last_access", "tags"]
ROLE_FIELDS = ["id", "name", "parent", "users", "children"]
SEARCHES = st.sampled_from([None, None, "a", "B", "č", "x", ROLES[0], USERS[1]])
IPS = st.sampled_from(["10.1.0.1", "192.0.2.1"])


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


def number(*values):
    return st.one_of(
        st.fixed_dictionaries({"_eq": st.sampled_from(values)}),
        st.fixed_dictionaries({"_gt": st.sampled_from(values)}),
        st.fixed_dictionaries({"_null": st.booleans()}),
    )


TEXT = comparison(["$CURRENT_USER.title", "$CURRENT_USER.first_name"])
ROLE_LISTS = st.one_of(
    st.lists(st.sampled_from([*ROLES, "$CURRENT_ROLES"]), min_size=1, max_size=2), st.just("$CURRENT_ROLES")
)
KEY = st.one_of(
    st.fixed_dictionaries({"_eq": st.sampled_from([*ROLES, "$CURRENT_ROLE"])}),
    st.fixed_dictionaries({"_in": ROLE_LISTS}),
    st.fixed_dictionaries({"_nin": ROLE_LISTS}),
    st.fixed_dictionaries({"_null": st.booleans()}),
)
ME = st.one_of(st.just({"_eq": "$CURRENT_USER"}), st.just({"_neq": "$CURRENT_USER"}))


def pair(name, value):
    return st.fixed_dictionaries({name: value})


YEAR, COUNT = pair("year", number(2023, 2024)), pair("count", number(0, 1))


def filters(collection, depth):
    """A filter on users or roles, at most `depth` relations deep."""
    if collection == "users":
        leaves = [pair("first_name", TEXT), pair("title", TEXT), pair("role", KEY), pair("id", ME)]
        leaves += [pair("last_access_func", YEAR), pair("tags_func", COUNT)]
    else:
        leaves = [pair("name", TEXT), pair("parent", KEY), pair("id", KEY), pair("users_func", COUNT)]
    if depth:
        inner = filters("users" if collection == "roles" else "roles", depth - 1)
        if collection == "users":
            leaves.append(pair("role", inner))
        else:
            leaves += [pair("users", inner), pair("users", pair("_some", inner)), pair("users", pair("_none", inner))]
    leaf = st.one_of(leaves)
    several = st.lists(leaf, max_size=2)
    return st.one_of(leaf, leaf, pair("_and", several), pair("_or", several), st.just({}))


@st.composite
def worlds(draw):
    """Tables of roles several deep, people, policies with rules, who holds which; and the one who asks, or None.

    The asker holds two policies, so that most questions are answered; the rest is left to chance.
    """
    optional = st.sampled_from([None, *ROLES, *ROLES])
    roles = [{"id": key, "name": draw(TEXTS) or "", "parent": draw(optional)} for key in ROLES]
    users = [
        {
            "id": key,
            "first_name": draw(TEXTS),
            "title": draw(TEXTS),
            "role": draw(optional),
            "token": static_token(key),
            "last_access": draw(MOMENTS),
            "tags": draw(LISTS),
        }
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
    """The first policy reaches most rows and shows little of them, the second the other way round: much is hidden."""
    known = USER_FIELDS if name == "users" else ROLE_FIELDS
    some = st.lists(st.sampled_from(USERS if name == "users" else ROLES), min_size=1, max_size=2)
    narrow = st.one_of(pair("id", pair("_in", some)), pair("id", pair("_in", some)), filters(name, 1))
    rule = draw(st.one_of(st.just({}), st.just({}), narrow) if policy == 0 else narrow)
    hidden = (
        st.sets(st.sampled_from(known[1:]), min_size=2) if policy == 0 else st.sets(st.sampled_from(known), max_size=1)
    )
    missing = draw(hidden)
    return {
        "id": number,
        "policy": POLICIES[policy],
        "collection": f"directus_{name}",
        "action": "read",
        "fields": ",".join(field for field in known if field not in missing),
        "permissions": rule,
    }


async def replace(system, tables):
    """Makes these the only rows there are."""
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
