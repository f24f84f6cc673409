"""Hypothesis strategies for random directories, users and filters."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import delete, insert, text

from tests.base_data import static_token, uid

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
CUSTOM_VALUES = {
    "code": TEXTS,
    "level": st.sampled_from([None, 0, 1, 2]),
    "born": st.sampled_from([None, "2023-12-31", "2024-01-01"]),
    "boss": st.sampled_from([None, *USERS]),
}
"""The values of custom fields of users, which only some registries have. `team` is the other side of `boss`."""
SEARCHES = st.sampled_from([None, None, "a", " B\t", "č", "x", " ", ROLES[0], USERS[1], f" {USERS[2]} "])
IPS = st.sampled_from(["10.1.0.1", "192.0.2.1"])


NO_OPERATORS: st.SearchStrategy[dict[str, Any]] = st.just({})
FLAGS = [True, False, None]


def pair(name, value):
    return st.fixed_dictionaries({name: value})


def comparison(texts, *, stored):
    """Return a strategy of operators on texts. Only `stored` filters may compare with "" and with an empty list."""
    words = st.one_of(st.sampled_from(["a", "A", "ab", "č"]), st.sampled_from(texts))
    single = st.one_of(words, st.just("")) if stored else words
    items = st.lists(st.one_of(words, words, st.sampled_from(["", None])), min_size=0 if stored else 1, max_size=2)
    flags = st.sampled_from([*FLAGS, ""] if stored else FLAGS)
    return st.one_of(
        pair("_eq", st.one_of(single, single, st.none())),
        pair("_neq", st.one_of(single, single, st.none())),
        pair("_in", items),
        pair("_nin", items),
        pair("_contains", st.sampled_from(["a", "b", "č"])),
        pair("_istarts_with", st.sampled_from(["A", "č"])),
        pair("_null", flags),
        pair("_empty", flags),
    )


def number(*values):
    return st.one_of(
        pair("_eq", st.sampled_from(values)),
        pair("_gt", st.sampled_from(values)),
        pair("_null", st.sampled_from(FLAGS)),
        NO_OPERATORS,
    )


ROLE_LISTS = st.one_of(
    st.lists(st.sampled_from([*ROLES, "$CURRENT_ROLES"]), min_size=1, max_size=2), st.just("$CURRENT_ROLES")
)
KEY = st.one_of(
    pair("_eq", st.sampled_from([*ROLES, "$CURRENT_ROLE", None])),
    pair("_in", ROLE_LISTS),
    pair("_nin", ROLE_LISTS),
    pair("_null", st.sampled_from(FLAGS)),
)
ME = st.one_of(st.just({"_eq": "$CURRENT_USER"}), st.just({"_neq": "$CURRENT_USER"}))
YEAR, COUNT = pair("year", number(2023, 2024)), pair("count", number(0, 1))
EMPTY = {
    "users": [pair("title", NO_OPERATORS), pair("role", NO_OPERATORS), pair("last_access_func", NO_OPERATORS)],
    "roles": [pair("name", NO_OPERATORS), pair("users", NO_OPERATORS), pair("users", pair("_some", NO_OPERATORS))],
}
"""Filters without any operator, and one that is true if there is any related row."""


def filters(collection, depth, *, stored=False, custom=()):
    """Return a strategy of filters on users or roles, at most `depth` relations deep; `stored` as in `comparison`.

    `custom` are the custom fields of users in the registry; every second comparison of users is of one of them.
    """
    text = comparison(["$CURRENT_USER.title", "$CURRENT_USER.first_name"], stored=stored)
    if collection == "users":
        leaves = [pair("first_name", text), pair("title", text), pair("role", KEY), pair("id", ME)]
        leaves += [pair("last_access_func", YEAR), pair("tags_func", COUNT)]
    else:
        leaves = [pair("name", text), pair("parent", KEY), pair("id", KEY), pair("users_func", COUNT)]
    if depth:
        inner = filters("users" if collection == "roles" else "roles", depth - 1, stored=stored, custom=custom)
        if collection == "users":
            leaves.append(pair("role", inner))
        else:
            leaves += [pair("users", inner), pair("users", pair("_some", inner)), pair("users", pair("_none", inner))]
    leaf = st.one_of(leaves)
    if collection == "users" and custom:
        leaf = st.one_of(leaf, st.one_of(custom_leaves(custom, depth, stored=stored)))
    empty = st.one_of(*EMPTY[collection], st.sampled_from([{}, {"_and": []}, {"_or": []}]))
    part = st.one_of(leaf, leaf, empty)
    parts = st.lists(st.one_of(part, part, pair("_and", st.lists(part, max_size=2))), max_size=3)
    return st.one_of(leaf, leaf, pair("_and", parts), pair("_or", parts), pair("_or", parts), empty)


def custom_leaves(custom, depth, *, stored):
    """Return strategies of filters on custom fields of users."""
    leaves = {
        "code": [pair("code", comparison(["$CURRENT_USER.code"], stored=stored))],
        "level": [pair("level", number(0, 1, 2))],
        "born": [pair("born", number("2023-12-31", "2024-01-01")), pair("born_func", YEAR)],
        "boss": [pair("boss", ME), pair("boss", pair("_in", st.lists(st.sampled_from(USERS), min_size=1, max_size=2)))],
        "team": [pair("team_func", COUNT)],
    }
    if depth:
        inner = filters("users", depth - 1, stored=stored, custom=custom)
        leaves["boss"].append(pair("boss", inner))
        leaves["team"] += [pair("team", inner), pair("team", pair("_some", inner)), pair("team", pair("_none", inner))]
    return [leaf for name in custom for leaf in leaves[name]]


@st.composite
def directories(draw, custom=()):
    """Draw tables of nested roles, users, policies, access rows and permissions, and the calling user or None.

    The caller has two policies, so that most queries are answered; the rest is random.
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
            **{name: draw(CUSTOM_VALUES[name]) for name in custom if name in CUSTOM_VALUES},
        }
        for key in USERS
    ]
    user = draw(st.sampled_from([None, *users]))
    policies = [
        {"id": key, "name": "p", "ip_access": draw(NETWORKS), "admin_access": draw(st.integers(0, 50)) == 50}
        for key in POLICIES
    ]
    holders = [draw(holder_of(user)), draw(holder_of(user)), *draw(st.lists(HOLDER, max_size=3))]
    access = [
        {"id": uid(f"a{n}"), "policy": POLICIES[n] if n < 2 else draw(st.sampled_from(POLICIES)), **row}
        for n, row in enumerate(holders)
    ]
    grants = [("users", 0), ("users", 1), ("roles", 0), ("roles", 1), *draw(st.lists(GRANT, max_size=3))]
    permissions = [draw(permission(n, name, policy, custom)) for n, (name, policy) in enumerate(grants, 1)]
    tables = {"roles": roles, "users": users, "policies": policies, "access": access, "permissions": permissions}
    return tables, user


NETWORKS = st.sampled_from([None, None, None, None, "10.0.0.0/8", "192.0.2.1,10.1.0.0/16"])
HOLDER = st.one_of(
    st.just({"role": None, "user": None}),
    st.fixed_dictionaries({"role": st.sampled_from(ROLES), "user": st.none()}),
    st.fixed_dictionaries({"user": st.sampled_from(USERS), "role": st.none()}),
)
GRANT = st.tuples(st.sampled_from(["users", "roles"]), st.integers(0, 2))


def holder_of(user):
    """Return a strategy of access rows that apply to a user: by id or role, or to the public if it is None."""
    if user is None:
        return st.just({"role": None, "user": None})
    by_id = {"role": None, "user": user["id"]}
    return st.sampled_from([by_id, {"role": user["role"], "user": None} if user["role"] else by_id])


@st.composite
def permission(draw, number, name, policy, custom):
    """Draw a read permission: the first policy covers many rows and few fields, the second few rows and most fields."""
    fields = [*USER_FIELDS, *custom] if name == "users" else ROLE_FIELDS
    some = st.lists(st.sampled_from(USERS if name == "users" else ROLES), min_size=1, max_size=2)
    narrow = st.one_of(
        pair("id", pair("_in", some)), pair("id", pair("_in", some)), filters(name, 1, stored=True, custom=custom)
    )
    rule = draw(st.one_of(st.just({}), st.just({}), narrow) if policy == 0 else narrow)
    many, few = st.sets(st.sampled_from(fields[1:]), min_size=2), st.sets(st.sampled_from(fields), max_size=1)
    omitted = draw(many if policy == 0 else few)
    return {
        "id": number,
        "policy": POLICIES[policy],
        "collection": f"directus_{name}",
        "action": "read",
        "fields": ",".join(field for field in fields if field not in omitted),
        "permissions": rule,
    }


RESTART_KEYS = """
SELECT setval(pg_get_serial_sequence('directus_permissions', 'id'), coalesce(max(id), 1)) FROM directus_permissions
"""
"""Lets a new permission get the next free key, as it does on SQLite, instead of one that a drawn permission has."""


async def replace(system, tables):
    """Replace all rows of these tables."""
    async with system.database.transaction() as connection:
        registry = system.services.registry
        for name in ("permissions", "access", "policies", "users", "roles"):
            await connection.execute(delete(registry[f"directus_{name}"].table))
        roles = registry["directus_roles"].table
        await connection.execute(insert(roles), [{**role, "parent": None} for role in tables["roles"]])
        for role in tables["roles"]:
            if role["parent"]:
                await connection.execute(roles.update().where(roles.c.id == role["id"]).values(parent=role["parent"]))
        for name in ("users", "policies", "access", "permissions"):
            if tables[name]:
                await connection.execute(insert(registry[f"directus_{name}"].table), tables[name])
        if system.database.dialect == "postgresql":
            await connection.execute(text(RESTART_KEYS))
