"""What is asked: in GraphQL, and in SQL as one would write it by hand for that answer and no other."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from uuid import uuid4

import orjson

from tests.bench.directory import CHIEF, GUEST, PEOPLE, person
from tests.world import uid

Run = Callable[..., Awaitable[Sequence[Any]]]
"""One statement and its values -> its rows."""
Change = Callable[[Run, list[Any]], Awaitable[dict[str, Any]]]
"""Writes what a request's values say; what is answered."""

Row = Sequence[Any]
Rows = list[Row]


@dataclass(frozen=True, slots=True)
class Question:
    """One question; its functions take the number of the request that asks it.

    `rows` is SQL whose rows `shape` turns into the answer, `json` is SQL that gives the answer as text.
    """

    root: str
    text: Callable[[int], str]
    rows: str
    json: str
    shape: Callable[[Rows], Any]
    who: str = CHIEF
    path: str = "/graphql/system"
    """Where it is asked; any other path is asked by GET, and answers what `root` would hold."""
    changes: Change | None = None
    """What a bare handler writes, in one transaction; then `rows` and `json` are left alone."""
    variables: Callable[[int], dict[str, Any]] = lambda _: {}
    arguments: Callable[[int], list[Any]] = lambda _: []


def objects(*names: str) -> Callable[[Rows], Any]:
    """Rows -> objects with those keys."""
    return lambda rows: [dict(zip(names, row, strict=True)) for row in rows]


def with_role(*names: str) -> Callable[[Rows], Any]:
    """Rows that end in a role's id and name -> objects with those keys, and with their role."""

    def one(row: Row) -> Any:
        told = dict(zip(names, row, strict=False))
        told["role"] = None if row[-2] is None else {"id": row[-2], "name": row[-1]}
        return told

    return lambda rows: [one(row) for row in rows]


def first(shape: Callable[[Rows], Any]) -> Callable[[Rows], Any]:
    """The one row that there is."""
    return lambda rows: shape(rows)[0]


def by_role(rows: Rows) -> Any:
    """Rows of a role's and a user's columns, sorted by role -> roles with their users, and those with their role."""
    return [
        {
            "id": id_,
            "name": name,
            "users": [{"id": row[2], "email": row[3], "role": {"name": name}} for row in some],
        }
        for (id_, name), some in groupby(rows, key=lambda row: (row[0], row[1]))
    ]


def counts(rows: Rows) -> Any:
    """Rows of a status and how many have it."""
    return [{"group": {"status": status}, "count": {"id": n}} for status, n in rows]


def some(number: int) -> list[Any]:
    """The beginning of ten people's addresses, and how many of them at most: 30,000 times something else."""
    return [f"person{number * 7919 % (PEOPLE // 10):04}", 20 + number // (PEOPLE // 10) % 30]


def found(number: int) -> list[Any]:
    """The same as a bare handler is given it: the beginning, the first text beyond all that begin so, and how many."""
    beginning, most = some(number)
    return [beginning, beginning[:-1] + chr(ord(beginning[-1]) + 1), most]


def aggregated(rows: str, member: str) -> str:
    """SQL -> the same, with its answer as one text of JSON; `member` is one row's."""
    return f"SELECT coalesce(json_agg({member}), '[]')::text FROM ({rows}) x"


ME = "SELECT u.id::text AS id, u.email FROM directus_users u WHERE u.id = $1::uuid"
WITH_ROLE = "SELECT u.id::text AS id, u.email, u.first_name, u.last_name, u.status, r.id::text AS rid, r.name FROM"
ROLE = "'role', CASE WHEN rid IS NULL THEN NULL ELSE json_build_object('id', rid, 'name', name) END"
PERSON = f"""json_build_object('id', id, 'email', email, 'first_name', first_name, 'last_name', last_name,
'status', status, {ROLE})"""
LISTED = f"""{WITH_ROLE} (SELECT * FROM directus_users ORDER BY id LIMIT 100) u
LEFT JOIN directus_roles r ON r.id = u.role ORDER BY u.id"""
BY_ID = f"{WITH_ROLE} directus_users u LEFT JOIN directus_roles r ON r.id = u.role WHERE u.id = $1::uuid"
RULED = """SELECT u.id::text AS id, u.email, u.last_name, r.id::text AS rid, r.name
FROM (SELECT * FROM directus_users WHERE status = 'active' ORDER BY id LIMIT 100) u
LEFT JOIN directus_roles r ON r.id = u.role AND r.name <> 'Administrator' ORDER BY u.id"""
FOUND = """SELECT u.id::text AS id, u.email, u.last_name FROM directus_users u WHERE u.email COLLATE "C" >= $1
AND u.email COLLATE "C" < $2 AND u.status = 'active' ORDER BY u.last_name DESC, u.email LIMIT $3"""
COUNTED = "SELECT u.status, count(*) AS n FROM directus_users u GROUP BY u.status ORDER BY u.status"
TWENTY = "LATERAL (SELECT id, email FROM directus_users WHERE role = r.id ORDER BY email LIMIT 20) u ON true"
TWENTY_IN_SQLITE = """directus_users u ON u.id IN (
SELECT id FROM directus_users WHERE role = r.id ORDER BY email LIMIT 20)"""
NESTED = f"""SELECT r.id::text AS id, r.name, u.id::text AS uid, u.email FROM directus_roles r
JOIN {TWENTY} WHERE r.name LIKE 'Role%' ORDER BY r.name, u.email"""
NESTED_JSON = f"""SELECT json_agg(one)::text FROM (SELECT json_build_object('id', id, 'name', name, 'users',
json_agg(json_build_object('id', uid, 'email', email, 'role', json_build_object('name', name)))) AS one
FROM ({NESTED}) y GROUP BY id, name ORDER BY name) x"""

FULL = "id email first_name last_name status role { id name }"
FILTER = 'filter: { email: { _starts_with: %s }, status: { _eq: "active" } }, sort: ["-last_name", "email"], limit: %s'
MEMBER = "json_build_object('id', id, 'email', email, 'last_name', last_name)"
ACTIVE = "json_build_object('id', id, 'email', email, 'last_name', last_name, 'role', CASE WHEN rid IS NULL THEN NULL "
ACTIVE += "ELSE json_build_object('id', rid, 'name', name) END)"


REST = "/users?limit=100&fields=id,email,first_name,last_name,status,role.id,role.name"


async def create(run: Run, values: list[Any]) -> dict[str, Any]:
    """A user, its activity and its revision."""
    email, first_name, last_name = values
    key, new = str(uuid4()), {"email": email, "first_name": first_name, "last_name": last_name}
    await run("INSERT INTO directus_users (id, email, first_name, last_name) VALUES ($1, $2, $3, $4)", key, *values)
    await _told(run, "create", key, orjson.dumps({"id": key, **new}).decode())
    return {"id": key, "email": email, "first_name": first_name}


async def update(run: Run, values: list[Any]) -> dict[str, Any]:
    """A user's title, its activity and its revision."""
    title, key = values
    await run("UPDATE directus_users SET title = $1 WHERE id = $2", title, key)
    await _told(run, "update", key, orjson.dumps({"title": title}).decode())
    return {"id": key, "title": title}


async def _told(run: Run, action: str, key: str, data: str) -> None:
    activity = """INSERT INTO directus_activity (action, "user", collection, item, ip)
    VALUES ($1, $2, 'directus_users', $3, '127.0.0.1') RETURNING id"""
    revision = """INSERT INTO directus_revisions (activity, collection, item, data, delta)
    VALUES ($1, 'directus_users', $2, $3, $4)"""
    number = (await run(activity, action, uid(CHIEF), key))[0][0]
    await run(revision, number, key, data, data)


def _same(text: str) -> Callable[[int], str]:
    return lambda _: text


def newcomer(number: int) -> list[Any]:
    """Somebody whom nobody has seen before."""
    return [f"newcomer{number}@example.com", f"First{number}", "Last"]


QUESTIONS = {
    "users_me": Question(
        "users_me",
        _same("{ users_me { id email } }"),
        ME,
        f"SELECT json_build_object('id', id, 'email', email)::text FROM ({ME}) x",
        first(objects("id", "email")),
        arguments=lambda _: [uid(CHIEF)],
    ),
    "by id": Question(
        "users_by_id",
        _same(f"query($id: ID!) {{ users_by_id(id: $id) {{ {FULL} }} }}"),
        BY_ID,
        f"SELECT {PERSON}::text FROM ({BY_ID}) x",
        first(with_role("id", "email", "first_name", "last_name", "status")),
        variables=lambda n: {"id": person(n % PEOPLE)},
        arguments=lambda n: [person(n % PEOPLE)],
    ),
    "100 with role": Question(
        "users",
        _same(f"{{ users(limit: 100) {{ {FULL} }} }}"),
        LISTED,
        aggregated(LISTED, PERSON),
        with_role("id", "email", "first_name", "last_name", "status"),
    ),
    "100 under rules": Question(
        "users",
        _same("{ users(limit: 100) { id email last_name role { id name } } }"),
        RULED,
        aggregated(RULED, ACTIVE),
        with_role("id", "email", "last_name"),
        who=GUEST,
    ),
    "filter, variables": Question(
        "users",
        _same(
            "query($start: String!, $most: Int!) { users(" + FILTER % ("$start", "$most") + ") { id email last_name } }"
        ),
        FOUND,
        aggregated(FOUND, MEMBER),
        objects("id", "email", "last_name"),
        variables=lambda n: dict(zip(("start", "most"), some(n), strict=True)),
        arguments=found,
    ),
    "filter, literals": Question(
        "users",
        lambda n: "{ users(" + FILTER % (f'"{some(n)[0]}"', some(n)[1]) + ") { id email last_name } }",
        FOUND,
        aggregated(FOUND, MEMBER),
        objects("id", "email", "last_name"),
        arguments=found,
    ),
    "aggregate": Question(
        "users_aggregated",
        _same('{ users_aggregated(groupBy: ["status"], sort: ["status"]) { group count { id } } }'),
        COUNTED,
        aggregated(
            COUNTED,
            "json_build_object('group', json_build_object('status', status), 'count', json_build_object('id', n))",
        ),
        counts,
    ),
    "three levels": Question(
        "roles",
        _same("""{ roles(filter: { name: { _starts_with: "Role" } }, sort: ["name"]) {
            id name users(sort: ["email"], limit: 20) { id email role { name } } } }"""),
        NESTED,
        NESTED_JSON,
        by_role,
    ),
    "unseen text": Question(
        "users_me",
        lambda n: f"{{ users_me {{ id email again{n}: email }} }}",
        ME,
        f"SELECT json_build_object('id', id, 'email', email)::text FROM ({ME}) x",
        first(objects("id", "email")),
        arguments=lambda _: [uid(CHIEF)],
    ),
    "REST, 100 with role": Question(
        "",
        _same(""),
        LISTED,
        aggregated(LISTED, PERSON),
        with_role("id", "email", "first_name", "last_name", "status"),
        path=REST,
    ),
    "create": Question(
        "create_users_item",
        _same("mutation($d: create_directus_users_input!) { create_users_item(data: $d) { id email first_name } }"),
        "",
        "",
        objects(),
        changes=create,
        variables=lambda n: {"d": dict(zip(("email", "first_name", "last_name"), newcomer(n), strict=True))},
        arguments=newcomer,
    ),
    "update by id": Question(
        "update_users_item",
        _same(
            "mutation($i: ID!, $d: update_directus_users_input!) { update_users_item(id: $i, data: $d) { id title } }"
        ),
        "",
        "",
        objects(),
        changes=update,
        variables=lambda n: {"i": person(n % PEOPLE), "d": {"title": f"Title {n}"}},
        arguments=lambda n: [f"Title {n}", person(n % PEOPLE)],
    ),
}
