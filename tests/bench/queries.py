"""The benchmark's queries: in GraphQL, and as SQL written by hand for exactly that result."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from uuid import uuid4

import orjson

from tests.base_data import uid
from tests.bench.directory import ADMIN, GUEST, USER_COUNT, user_id

RunSQL = Callable[..., Awaitable[Sequence[Any]]]
"""Executes one statement with values and returns its rows."""
Write = Callable[[RunSQL, list[Any]], Awaitable[dict[str, Any]]]
"""Executes a write with a request's values and returns the object of the response."""

Row = Sequence[Any]
Rows = list[Row]


@dataclass(frozen=True, slots=True)
class Query:
    """One query of the benchmark; its functions take the number of the request.

    `rows` is SQL whose rows `shape` turns into the result, `json` is SQL that returns the result as text.
    """

    root: str
    text: Callable[[int], str]
    rows: str
    json: str
    shape: Callable[[Rows], Any]
    user: str = ADMIN
    path: str = "/graphql/system"
    """The path of the request; any other than the GraphQL path is requested by GET and returns the value of `root`."""
    write: Write | None = None
    """What a bare handler executes in one transaction instead of `rows` and `json`."""
    variables: Callable[[int], dict[str, Any]] = lambda _: {}
    arguments: Callable[[int], list[Any]] = lambda _: []


def objects(*names: str) -> Callable[[Rows], Any]:
    """Return a function that turns rows into objects with these keys."""
    return lambda rows: [dict(zip(names, row, strict=True)) for row in rows]


def with_role(*names: str) -> Callable[[Rows], Any]:
    """Return a function that turns rows ending in a role's id and name into objects with these keys and their role."""

    def to_object(row: Row) -> Any:
        user = dict(zip(names, row, strict=False))
        user["role"] = None if row[-2] is None else {"id": row[-2], "name": row[-1]}
        return user

    return lambda rows: [to_object(row) for row in rows]


def first(shape: Callable[[Rows], Any]) -> Callable[[Rows], Any]:
    """Return a function that shapes the only row."""
    return lambda rows: shape(rows)[0]


def by_role(rows: Rows) -> Any:
    """Turn rows of a role's and a user's columns, sorted by role, into roles with their users."""
    return [
        {
            "id": id_,
            "name": name,
            "users": [{"id": row[2], "email": row[3], "role": {"name": name}} for row in users],
        }
        for (id_, name), users in groupby(rows, key=lambda row: (row[0], row[1]))
    ]


def counts(rows: Rows) -> Any:
    """Turn rows of a status and its number into groups."""
    return [{"group": {"status": status}, "count": {"id": n}} for status, n in rows]


def prefix_and_limit(number: int) -> list[Any]:
    """Return the email prefix of ten users, and a limit: 30,000 different pairs."""
    return [f"person{number * 7919 % (USER_COUNT // 10):04}", 20 + number // (USER_COUNT // 10) % 30]


def bounds_and_limit(number: int) -> list[Any]:
    """Return the same for a bare handler: the prefix, the first text after all those with it, and the limit."""
    prefix, limit = prefix_and_limit(number)
    return [prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1), limit]


def as_json_array(rows: str, member: str) -> str:
    """Return SQL that aggregates rows into one JSON text, with `member` as the JSON of one row."""
    return f"SELECT coalesce(json_agg({member}), '[]')::text FROM ({rows}) x"


ME_SQL = "SELECT u.id::text AS id, u.email FROM directus_users u WHERE u.id = $1::uuid"
SELECT_WITH_ROLE = (
    "SELECT u.id::text AS id, u.email, u.first_name, u.last_name, u.status, r.id::text AS rid, r.name FROM"
)
ROLE_JSON = "'role', CASE WHEN rid IS NULL THEN NULL ELSE json_build_object('id', rid, 'name', name) END"
USER_JSON = f"""json_build_object('id', id, 'email', email, 'first_name', first_name, 'last_name', last_name,
'status', status, {ROLE_JSON})"""
USERS_WITH_ROLE_SQL = f"""{SELECT_WITH_ROLE} (SELECT * FROM directus_users ORDER BY id LIMIT 100) u
LEFT JOIN directus_roles r ON r.id = u.role ORDER BY u.id"""
BY_ID_SQL = f"{SELECT_WITH_ROLE} directus_users u LEFT JOIN directus_roles r ON r.id = u.role WHERE u.id = $1::uuid"
USERS_UNDER_RULES_SQL = """SELECT u.id::text AS id, u.email, u.last_name, r.id::text AS rid, r.name
FROM (SELECT * FROM directus_users WHERE status = 'active' ORDER BY id LIMIT 100) u
LEFT JOIN directus_roles r ON r.id = u.role AND r.name <> 'Administrator' ORDER BY u.id"""
FILTERED_SQL = """SELECT u.id::text AS id, u.email, u.last_name FROM directus_users u WHERE u.email COLLATE "C" >= $1
AND u.email COLLATE "C" < $2 AND u.status = 'active' ORDER BY u.last_name DESC, u.email LIMIT $3"""
COUNTS_SQL = "SELECT u.status, count(*) AS n FROM directus_users u GROUP BY u.status ORDER BY u.status"
TWENTY_USERS = "LATERAL (SELECT id, email FROM directus_users WHERE role = r.id ORDER BY email LIMIT 20) u ON true"
TWENTY_USERS_SQLITE = """directus_users u ON u.id IN (
SELECT id FROM directus_users WHERE role = r.id ORDER BY email LIMIT 20)"""
NESTED_SQL = f"""SELECT r.id::text AS id, r.name, u.id::text AS uid, u.email FROM directus_roles r
JOIN {TWENTY_USERS} WHERE r.name LIKE 'Role%' ORDER BY r.name, u.email"""
NESTED_JSON_SQL = f"""SELECT json_agg(one)::text FROM (SELECT json_build_object('id', id, 'name', name, 'users',
json_agg(json_build_object('id', uid, 'email', email, 'role', json_build_object('name', name)))) AS one
FROM ({NESTED_SQL}) y GROUP BY id, name ORDER BY name) x"""

FULL_SELECTION = "id email first_name last_name status role { id name }"
FILTER = 'filter: { email: { _starts_with: %s }, status: { _eq: "active" } }, sort: ["-last_name", "email"], limit: %s'
FILTERED_JSON = "json_build_object('id', id, 'email', email, 'last_name', last_name)"
UNDER_RULES_JSON = (
    "json_build_object('id', id, 'email', email, 'last_name', last_name, 'role', CASE WHEN rid IS NULL THEN NULL "
)
UNDER_RULES_JSON += "ELSE json_build_object('id', rid, 'name', name) END)"


REST_PATH = "/users?limit=100&fields=id,email,first_name,last_name,status,role.id,role.name"


async def create(run_sql: RunSQL, values: list[Any]) -> dict[str, Any]:
    """Insert a user with its activity and revision."""
    email, first_name, last_name = values
    key, columns = str(uuid4()), {"email": email, "first_name": first_name, "last_name": last_name}
    await run_sql("INSERT INTO directus_users (id, email, first_name, last_name) VALUES ($1, $2, $3, $4)", key, *values)
    await insert_audit_rows(run_sql, "create", key, orjson.dumps({"id": key, **columns}).decode())
    return {"id": key, "email": email, "first_name": first_name}


async def update(run_sql: RunSQL, values: list[Any]) -> dict[str, Any]:
    """Update a user's title and insert its activity and revision."""
    title, key = values
    await run_sql("UPDATE directus_users SET title = $1 WHERE id = $2", title, key)
    await insert_audit_rows(run_sql, "update", key, orjson.dumps({"title": title}).decode())
    return {"id": key, "title": title}


async def insert_audit_rows(run_sql: RunSQL, action: str, key: str, data: str) -> None:
    activity = """INSERT INTO directus_activity (action, "user", collection, item, ip)
    VALUES ($1, $2, 'directus_users', $3, '127.0.0.1') RETURNING id"""
    revision = """INSERT INTO directus_revisions (activity, collection, item, data, delta)
    VALUES ($1, 'directus_users', $2, $3, $4)"""
    activity_id = (await run_sql(activity, action, uid(ADMIN), key))[0][0]
    await run_sql(revision, activity_id, key, data, data)


def constant(text: str) -> Callable[[int], str]:
    return lambda _: text


def new_user(number: int) -> list[Any]:
    """Return the values of a user that no request before has created."""
    return [f"newcomer{number}@example.com", f"First{number}", "Last"]


QUERIES = {
    "users_me": Query(
        "users_me",
        constant("{ users_me { id email } }"),
        ME_SQL,
        f"SELECT json_build_object('id', id, 'email', email)::text FROM ({ME_SQL}) x",
        first(objects("id", "email")),
        arguments=lambda _: [uid(ADMIN)],
    ),
    "by id": Query(
        "users_by_id",
        constant(f"query($id: ID!) {{ users_by_id(id: $id) {{ {FULL_SELECTION} }} }}"),
        BY_ID_SQL,
        f"SELECT {USER_JSON}::text FROM ({BY_ID_SQL}) x",
        first(with_role("id", "email", "first_name", "last_name", "status")),
        variables=lambda n: {"id": user_id(n % USER_COUNT)},
        arguments=lambda n: [user_id(n % USER_COUNT)],
    ),
    "100 with role": Query(
        "users",
        constant(f"{{ users(limit: 100) {{ {FULL_SELECTION} }} }}"),
        USERS_WITH_ROLE_SQL,
        as_json_array(USERS_WITH_ROLE_SQL, USER_JSON),
        with_role("id", "email", "first_name", "last_name", "status"),
    ),
    "100 under rules": Query(
        "users",
        constant("{ users(limit: 100) { id email last_name role { id name } } }"),
        USERS_UNDER_RULES_SQL,
        as_json_array(USERS_UNDER_RULES_SQL, UNDER_RULES_JSON),
        with_role("id", "email", "last_name"),
        user=GUEST,
    ),
    "filter, variables": Query(
        "users",
        constant(
            "query($start: String!, $most: Int!) { users(" + FILTER % ("$start", "$most") + ") { id email last_name } }"
        ),
        FILTERED_SQL,
        as_json_array(FILTERED_SQL, FILTERED_JSON),
        objects("id", "email", "last_name"),
        variables=lambda n: dict(zip(("start", "most"), prefix_and_limit(n), strict=True)),
        arguments=bounds_and_limit,
    ),
    "filter, literals": Query(
        "users",
        lambda n: (
            "{ users(" + FILTER % (f'"{prefix_and_limit(n)[0]}"', prefix_and_limit(n)[1]) + ") { id email last_name } }"
        ),
        FILTERED_SQL,
        as_json_array(FILTERED_SQL, FILTERED_JSON),
        objects("id", "email", "last_name"),
        arguments=bounds_and_limit,
    ),
    "aggregate": Query(
        "users_aggregated",
        constant('{ users_aggregated(groupBy: ["status"], sort: ["status"]) { group count { id } } }'),
        COUNTS_SQL,
        as_json_array(
            COUNTS_SQL,
            "json_build_object('group', json_build_object('status', status), 'count', json_build_object('id', n))",
        ),
        counts,
    ),
    "three levels": Query(
        "roles",
        constant("""{ roles(filter: { name: { _starts_with: "Role" } }, sort: ["name"]) {
            id name users(sort: ["email"], limit: 20) { id email role { name } } } }"""),
        NESTED_SQL,
        NESTED_JSON_SQL,
        by_role,
    ),
    "unseen text": Query(
        "users_me",
        lambda n: f"{{ users_me {{ id email again{n}: email }} }}",
        ME_SQL,
        f"SELECT json_build_object('id', id, 'email', email)::text FROM ({ME_SQL}) x",
        first(objects("id", "email")),
        arguments=lambda _: [uid(ADMIN)],
    ),
    "REST, 100 with role": Query(
        "",
        constant(""),
        USERS_WITH_ROLE_SQL,
        as_json_array(USERS_WITH_ROLE_SQL, USER_JSON),
        with_role("id", "email", "first_name", "last_name", "status"),
        path=REST_PATH,
    ),
    "create": Query(
        "create_users_item",
        constant("mutation($d: create_directus_users_input!) { create_users_item(data: $d) { id email first_name } }"),
        "",
        "",
        objects(),
        write=create,
        variables=lambda n: {"d": dict(zip(("email", "first_name", "last_name"), new_user(n), strict=True))},
        arguments=new_user,
    ),
    "update by id": Query(
        "update_users_item",
        constant(
            "mutation($i: ID!, $d: update_directus_users_input!) { update_users_item(id: $i, data: $d) { id title } }"
        ),
        "",
        "",
        objects(),
        write=update,
        variables=lambda n: {"i": user_id(n % USER_COUNT), "d": {"title": f"Title {n}"}},
        arguments=lambda n: [f"Title {n}", user_id(n % USER_COUNT)],
    ),
}
