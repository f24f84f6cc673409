"""Hypothesis strategies for delegation: directories whose writer manages rights, and writes that may grant some."""

from hypothesis import strategies as st

from tests.base_data import static_token, uid

NAMES = ("roles", "users", "policies", "access", "permissions")
ROLES, USERS, POLICIES = ([uid(f"{kind}{n}") for n in range(3)] for kind in "rup")
WRITER, CHIEF, MANAGING, ADMINS = map(uid, ("writer", "chief", "managing", "admins"))
ACTIONS = ("create", "read", "update", "delete")
TITLE, DESCRIPTION, LOCATION = {"title": {"_eq": "a"}}, {"description": {"_eq": "a"}}, {"location": {"_null": True}}
DRAWN_KEYS = [*ROLES, *USERS, *POLICIES, WRITER, CHIEF, MANAGING, ADMINS, *(uid(f"a{number}") for number in range(20))]
"""The keys of all rows of a drawn world but permissions, whose keys are numbers."""
EQUAL_NAMES = ("action", "permissions", "validation", "presets", "fields")

LEAVES = st.sampled_from([TITLE, {"title": {"_in": ["a", "b"]}}, DESCRIPTION, LOCATION])
FILTERS = st.one_of(
    st.just({}),
    LEAVES,
    st.builds(lambda one, other: {**one, **other}, LEAVES, LEAVES),
    st.builds(lambda *parts: {"_and": list(parts)}, LEAVES, LEAVES),
    st.builds(lambda *parts: {"_or": list(parts)}, LEAVES, LEAVES),
)
CONTENT = st.fixed_dictionaries(
    {
        "action": st.sampled_from([*ACTIONS, "create", "create", "update", "update"]),
        "permissions": FILTERS,
        "validation": st.one_of(st.just(None), st.just(None), FILTERS, st.just({"title": {"_submitted": True}})),
        "presets": st.sampled_from([None, None, {"title": "a"}, {"description": "a"}, {"title": "b", "location": "a"}]),
        "fields": st.one_of(
            st.just("*"),
            st.sampled_from(["title", "description", "location"]),
            st.lists(st.sampled_from(["title", "description", "location"]), min_size=1, unique=True).map(",".join),
        ),
    }
)
"""A permission on files without its policy."""
FLAGS = st.fixed_dictionaries(
    {
        "ip_access": st.sampled_from([None, None, None, "10.1.0.0/16", "10.0.0.0/8", "10.1.0.1,10.2.0.1"]),
        "enforce_tfa": st.sampled_from([False, False, False, True]),
    }
)
FURTHER_FLAGS = st.sampled_from([{}, {}, {}, {"app_access": True}, {"admin_access": True}])
STATUSES = st.sampled_from(["active", "suspended", "suspended", "invited"])
OPTIONAL_ROLE = st.sampled_from([None, *ROLES])
USER_HOLDERS = st.sampled_from([{"user": key, "role": None} for key in USERS])
ROLE_HOLDERS = st.sampled_from([{"user": None, "role": key} for key in ROLES])
HOLDERS = st.one_of(USER_HOLDERS, ROLE_HOLDERS, st.just({"user": None, "role": None}))


@st.composite
def worlds(draw):
    """Draw tables in which the writer manages rights, and holds two policies with permissions on files."""
    roles = [
        {"id": key, "name": "r", "parent": draw(st.sampled_from([None, *ROLES[:number]]))}
        for number, key in enumerate(ROLES)
    ]
    users = [
        {"id": key, "role": draw(OPTIONAL_ROLE), "status": draw(STATUSES), "token": static_token(key)}
        for key in (WRITER, *USERS)
    ]
    users[0]["status"] = "active"
    chief = {"id": CHIEF, "role": None, "status": "active", "token": static_token(CHIEF)}
    flags = {"name": "p", "app_access": False, "admin_access": False, "ip_access": None, "enforce_tfa": False}
    policies = [
        {"id": ADMINS, **flags, "admin_access": True},
        {"id": MANAGING, **flags, **draw(FLAGS)},
        *({"id": key, **flags, **draw(FLAGS), "app_access": draw(st.integers(0, 4)) == 4} for key in POLICIES[:2]),
        {"id": POLICIES[2], **flags, **draw(FLAGS), **draw(FURTHER_FLAGS)},
    ]
    own = {"user": WRITER, "role": None}
    by_role = {"user": None, "role": users[0]["role"]} if users[0]["role"] else own
    attached = [(ADMINS, {"user": CHIEF, "role": None}), (MANAGING, own)]
    attached += [(key, draw(st.sampled_from([own, by_role]))) for key in POLICIES[:2]]
    others = st.sampled_from([*POLICIES, POLICIES[2], POLICIES[2]])
    attached += [(draw(others), draw(USER_HOLDERS)), (draw(others), draw(ROLE_HOLDERS))]
    attached += [(POLICIES[2], draw(ROLE_HOLDERS))]
    attached += draw(st.lists(st.tuples(st.sampled_from(POLICIES), HOLDERS), max_size=4))
    access = [{"id": uid(f"a{number}"), "policy": policy, **holder} for number, (policy, holder) in enumerate(attached)]
    unconditional = {"permissions": None, "validation": None, "presets": None, "fields": "*,token"}
    permissions = [
        {"policy": MANAGING, "collection": f"directus_{name}", "action": action, **unconditional}
        for name in NAMES
        for action in ACTIONS
    ]
    permissions += [
        {"policy": policy, "collection": "directus_files", **draw(CONTENT)}
        for policy in (*POLICIES, *draw(st.lists(st.sampled_from(POLICIES), max_size=4)))
    ]
    return {
        "roles": roles,
        "users": [*users, chief],
        "policies": policies,
        "access": access,
        "permissions": [{"id": number, **row} for number, row in enumerate(permissions, 1)],
    }


@st.composite
def writes(draw, kind, tables):
    """Draw a write of this kind: the collection, the method of its repository, and the arguments."""
    return WRITES[kind](lambda *choices: draw(st.sampled_from(choices)), draw, tables)


def _stored(pick, tables, keys):
    """Draw one of the keys of roles or policies that are still stored."""
    stored = {row["id"] for name in ("roles", "policies") for row in tables[name]}
    return pick(*([key for key in keys if key in stored] or keys))


def _similar(pick, draw, tables):
    """Draw a permission on files, and the content of one that is equal, or differs in a few parts."""
    rows = [row for row in tables["permissions"] if row["collection"] == "directus_files"] or tables["permissions"]
    row = pick(*rows)
    changes = {name: value for name, value in draw(CONTENT).items() if pick(*range(8)) == 0}
    content = {**{name: row[name] for name in EQUAL_NAMES}, **changes}
    if isinstance(content["fields"], str):
        content["fields"] = content["fields"].split(",")
    return row, content, [*changes] or ["presets"]


def _create_permission(pick, draw, tables):
    row, content, _ = _similar(pick, draw, tables)
    policy = pick(row["policy"], row["policy"], _stored(pick, tables, POLICIES))
    return "permissions", "create_one", {"policy": policy, "collection": "directus_files", **content}


def _change_permission(pick, draw, tables):
    row, content, changed = _similar(pick, draw, tables)
    return "permissions", "update_one", row["id"], {name: content[name] for name in changed}


def _drop_condition(pick, draw, tables):
    """Draw a removed condition, in half of the cases a preset that can't be replaced by a written value."""
    rows = [row for row in tables["permissions"] if row["action"] in ("create", "update")]
    conditions = [(row["id"], name) for row in rows for name in ("presets", "validation") if row[name]]
    forced = [
        (row["id"], "presets") for row in rows if row["presets"] and not {"*", *row["presets"]} & {*row["fields"]}
    ]
    key, name = pick(*(pick(conditions, forced) or conditions or [(1, "presets")]))
    return "permissions", "update_one", key, {name: None}


def _move_permission(pick, draw, tables):
    policy = _stored(pick, tables, POLICIES)
    return "permissions", "update_one", _similar(pick, draw, tables)[0]["id"], {"policy": policy}


def _delete_permission(pick, draw, tables):
    return "permissions", "delete_one", _similar(pick, draw, tables)[0]["id"]


def _copy_policy(pick, draw, tables):
    """Draw a copy of a policy, which may differ, for a user."""
    row = pick(*(row for row in tables["policies"] if row["id"] != ADMINS))
    flags = draw(FLAGS) if pick(*range(3)) == 0 else {name: row[name] for name in ("ip_access", "enforce_tfa")}
    rows = [
        one for one in tables["permissions"] if one["policy"] == row["id"] and one["collection"] == "directus_files"
    ]
    permissions = [
        {
            "collection": "directus_files",
            **{name: one[name] for name in EQUAL_NAMES},
        }
        for one in rows
        if pick(*range(4))
    ]
    networks = _network_list(flags)
    users = [{"user": pick(*USERS)}]
    return (
        "policies",
        "create_one",
        {**flags, "name": "n", "ip_access": networks, "permissions": permissions, "users": users},
    )


def _network_list(flags):
    networks = flags["ip_access"]
    return networks.split(",") if isinstance(networks, str) else networks


def _change_policy(pick, draw, tables):
    networks = _network_list(draw(FLAGS))
    changes = (
        {"ip_access": networks},
        {"enforce_tfa": False},
        {"enforce_tfa": True},
        {"app_access": True},
    )
    return "policies", "update_one", pick(*POLICIES, MANAGING), pick(*changes)


def _take_user(pick, draw, tables):
    credentials = pick(
        {"password": "known to the writer"}, {"token": "known-to-the-writer"}, {"email": "mine@example.com"}
    )
    more = pick({}, {}, {"role": None}, {"role": _stored(pick, tables, ROLES)}, {"status": "suspended"})
    return "users", "update_one", pick(*USERS), {**credentials, **more}


def _take_user_by_role(pick, draw, tables):
    taken = {"id": pick(*USERS), "password": "known to the writer"}
    users = {"create": [], "update": [taken], "delete": []}
    return "roles", "update_one", _stored(pick, tables, ROLES), {"users": users}


def _take_stripped_user(pick, draw, tables):
    user = pick(*USERS)
    return "users", "update_batch", [{"id": user, "role": None}, {"id": user, "token": "known-to-the-writer"}]


def _create_user(pick, draw, tables):
    rights = pick({"role": _stored(pick, tables, ROLES)}, {"policies": [{"policy": _stored(pick, tables, POLICIES)}]})
    return "users", "create_one", {"email": "new@example.com", "password": "known to the writer", **rights}


def _create_role(pick, draw, tables):
    values = {
        "name": "n",
        "parent": pick(None, None, _stored(pick, tables, ROLES)),
        "policies": [{"policy": _stored(pick, tables, POLICIES)}],
        "users": pick([], [pick(*USERS)]),
    }
    return "roles", "create_one", values


def _change_parent(pick, draw, tables):
    number = pick(*range(1, len(ROLES)))
    return "roles", "update_one", ROLES[number], {"parent": pick(None, *3 * ROLES[:number])}


def _access_key(pick, tables):
    keys = [row["id"] for row in tables["access"] if row["policy"] not in (ADMINS, MANAGING)]
    return pick(*(keys or [uid("none")]))


def _change_status(pick, draw, tables):
    suspended = [row["id"] for row in tables["users"] if row["status"] == "suspended"]
    return "users", "update_one", pick(*(suspended or USERS)), {"status": pick("active", "active", "invited", "draft")}


WRITES = {
    "create a permission": _create_permission,
    "change a permission": _change_permission,
    "drop a condition": _drop_condition,
    "move a permission": _move_permission,
    "delete a permission": _delete_permission,
    "copy a policy": _copy_policy,
    "change a policy": _change_policy,
    "delete a policy": lambda pick, _, tables: ("policies", "delete_one", _stored(pick, tables, POLICIES)),
    "attach a policy": lambda pick, draw, tables: (
        "access",
        "create_one",
        {"policy": _stored(pick, tables, POLICIES), **draw(HOLDERS)},
    ),
    "detach a policy": lambda pick, _, tables: ("access", "delete_one", _access_key(pick, tables)),
    "change an access row": lambda pick, draw, tables: (
        "access",
        "update_one",
        _access_key(pick, tables),
        pick({"policy": _stored(pick, tables, POLICIES)}, draw(HOLDERS)),
    ),
    "change a role of a user": lambda pick, draw, tables: (
        "users",
        "update_one",
        pick(*USERS, WRITER),
        {"role": pick(None, *3 * [_stored(pick, tables, ROLES)])},
    ),
    "change a status": _change_status,
    "take a user": _take_user,
    "take a user by its role": _take_user_by_role,
    "strip and take a user": _take_stripped_user,
    "create a user": _create_user,
    "change a parent": _change_parent,
    "replace policies": lambda pick, _, tables: (
        "roles",
        "update_one",
        _stored(pick, tables, ROLES),
        {"policies": [{"policy": _stored(pick, tables, POLICIES)}]},
    ),
    "create a role": _create_role,
    "delete a role": lambda pick, _, tables: ("roles", "delete_one", _stored(pick, tables, ROLES)),
}
"""The kinds of writes, each with a function that draws one."""
