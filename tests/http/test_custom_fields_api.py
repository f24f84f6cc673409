"""Creating, changing and dropping custom fields and relations over REST: DDL in one transaction, for admins only."""

import asyncio
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio
from sqlalchemy import inspect, text

from app.repositories.system.field_writer import MAX_CUSTOM_FIELDS
from tests.base_data import static_token, uid
from tests.conftest import BACKENDS, open_copy
from tests.http.test_graphql import bearer, served

ADA, ED, ANN = (bearer(static_token(name)) for name in ("ada", "ed", "ann"))
USERS = "/fields/directus_users"
EXAMPLES = {
    "string": ("x", {"max_length": 32}),
    "text": ("it's", {}),
    "integer": (3, {}),
    "bigInteger": (2**40, {}),
    "float": (1.5, {}),
    "decimal": (10.5, {"numeric_precision": 12, "numeric_scale": 2}),
    "boolean": (True, {}),
    "json": ({"a": [1]}, {}),
    "csv": (["a", "b"], {}),
    "uuid": (uid("ada"), {}),
    "date": ("2024-02-29", {}),
    "time": ("08:30:00", {}),
    "dateTime": ("2024-02-29T08:30:00", {}),
    "timestamp": ("2024-02-29T08:30:00Z", {}),
    "hash": ("x", {}),
}


@pytest_asyncio.fixture
async def client(writable_db):
    async with served(writable_db.settings) as client:
        yield client


@pytest_asyncio.fixture(scope="module", params=BACKENDS)
async def rejecting(request, templates, tmp_path_factory):
    """A server to which only invalid changes are sent, the schema that it has, and a function that returns it again."""
    async with AsyncExitStack() as stack:
        system = await open_copy(stack, request.param, templates, tmp_path_factory.mktemp("rejecting"))
        client = await stack.enter_async_context(served(system.settings))

        async def schema():
            return set(await columns(system)), await fetch(system, "SELECT count(*) FROM directus_fields")

        yield client, await schema(), schema


async def create(client, name, type_="string", **parts):
    response = await client.post(USERS, json={"field": name, "type": type_, **parts}, headers=ADA)
    assert response.status_code == 200, response.text
    return response.json()["data"]


async def fetch(system, query):
    async with system.database.transaction() as connection:
        return [tuple(row) for row in await connection.execute(text(query))]


async def run(system, statement):
    async with system.database.transaction() as connection:
        await connection.execute(text(statement))


async def columns(system, table="directus_users"):
    async with system.database.transaction() as connection:
        found = await connection.run_sync(lambda sync_connection: inspect(sync_connection).get_columns(table))
    return {column["name"]: column for column in found}


def code_of(response):
    return response.status_code, response.json()["errors"][0]["extensions"]["code"]


@pytest.mark.both_databases
@pytest.mark.parametrize("type_", EXAMPLES)
async def test_a_field_of_each_type_gets_a_column_a_row_and_its_default(client, writable_db, type_):
    default, options = EXAMPLES[type_]
    meta = {"note": "For tests", "width": "half"}
    field = await create(client, "extra", type_, schema={"default_value": default, **options}, meta=meta)

    assert (field["collection"], field["field"], field["type"]) == ("directus_users", "extra", type_)
    assert field["meta"].items() >= {**meta, "sort": 1, "hidden": False, "searchable": True}.items()
    assert field["schema"].items() >= {"is_nullable": True, **options}.items()
    assert "extra" in await columns(writable_db)
    assert await fetch(writable_db, "SELECT count(*) FROM directus_users WHERE extra IS NULL") == [(0,)]


@pytest.mark.parametrize(("type_", "special"), [("json", "cast-json"), ("csv", "cast-csv"), ("hash", "hash")])
async def test_a_type_that_its_column_does_not_show_is_marked_by_a_special(client, type_, special):
    assert (await create(client, "extra", type_))["meta"]["special"] == [special]
    assert (await create(client, "other", type_, meta={"special": [special]}))["meta"]["special"] == [special]


async def test_a_field_may_be_unique_and_indexed(client, writable_db):
    field = await create(client, "badge", "integer", schema={"is_unique": True, "is_indexed": True})
    await run(writable_db, f"UPDATE directus_users SET badge = 1 WHERE id = '{uid('ada')}'")
    with pytest.raises(Exception, match=r"(?i)unique"):
        await run(writable_db, f"UPDATE directus_users SET badge = 1 WHERE id = '{uid('ed')}'")

    assert (field["schema"]["is_unique"], field["schema"]["is_indexed"]) == (True, True)


async def test_an_alias_has_no_column(client, writable_db):
    field = await create(client, "reports", "alias", schema=None, meta={"special": ["o2m"]})

    assert (field["type"], field["schema"]) == ("alias", None)
    assert "reports" not in await columns(writable_db)


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"type": "string"}, '"field" is required'),
        ({"field": "", "type": "string"}, "not allowed to be empty"),
        ({"field": 5, "type": "string"}, "must be a string"),
        ({"field": "extra"}, '"type" is required'),
        ({"field": "extra", "type": "money"}, '"type" must be one of'),
        ({"field": "extra", "type": ["string"]}, '"type" must be one of'),
        ({"field": "email", "type": "string"}, '"email" already exists'),
        ({"field": "EMAIL", "type": "string"}, '"email" already exists'),
        ({"field": "a" * 64, "type": "string"}, "at most 63"),
        *(
            ({"field": name, "type": "string"}, "must begin with a letter")
            for name in ("a b", "1a", 'a"b', "a-b", "a.b", "$a", "_and", "__x", "größe", "a;--", "a'b", "a\0")
        ),
        *(({"field": name, "type": "string"}, "is reserved") for name in ("xmin", "ROWID", "tags_func")),
        ({"field": "extra", "type": "string", "foo": 1}, '"foo" is not allowed'),
        ({"field": "extra", "type": "string", "meta": {"foo": 1}}, '"meta.foo" is not allowed'),
        ({"field": "extra", "type": "string", "schema": {"foo": 1}}, '"schema.foo" is not allowed'),
        ({"field": "extra", "type": "string", "meta": []}, '"meta" must be of type object'),
        ({"field": "extra", "type": "string", "meta": {"special": ["foo"]}}, '"meta.special" must be a list of'),
        ({"field": "extra", "type": "integer", "meta": {"special": ["conceal"]}}, 'special "conceal" needs'),
        ({"field": "extra", "type": "string", "meta": {"hidden": "yes"}}, '"meta.hidden" must be a boolean'),
        ({"field": "extra", "type": "string", "meta": {"width": "x" * 31}}, "at most 30 characters"),
        ({"field": "extra", "type": "string", "meta": {"note": "a\0"}}, '"meta.note" must be a string'),
        *(
            (
                {"field": "extra", "type": "integer", "meta": {"validation": validation}},
                '"meta.validation" is no filter',
            )
            for validation in ({"extra": {"_foo": 1}}, {"other": {"_eq": 1}}, {"extra": {"_gte": "x"}}, [1], "x")
        ),
        ({"field": "extra", "type": "string", "schema": {"max_length": 0}}, '"schema.max_length" must be a number'),
        ({"field": "extra", "type": "string", "schema": {"max_length": "x"}}, '"schema.max_length" must be a number'),
        ({"field": "extra", "type": "decimal", "schema": {"numeric_precision": 2, "numeric_scale": 3}}, "from 0 to 2"),
        ({"field": "extra", "type": "string", "schema": {"is_nullable": False}}, "needs a"),
        ({"field": "extra", "type": "integer", "schema": {"is_primary_key": True}}, "one key"),
        ({"field": "extra", "type": "timestamp", "schema": {"default_value": "now()"}}, "date-created"),
        *(
            ({"field": "extra", "type": type_, "schema": {"default_value": value}}, '"schema.default_value" must be')
            for type_, value in [
                ("string", 5),
                ("integer", "abc"),
                ("integer", 2**31),
                ("integer", True),
                ("bigInteger", 2**63),
                ("float", "x"),
                ("decimal", "NaN"),
                ("boolean", "maybe"),
                ("uuid", "x"),
                ("date", "2023-02-29"),
                ("time", "25:00"),
                ("dateTime", "x"),
                ("timestamp", "x"),
                ("string", "a\0"),
            ]
        ),
    ],
)
async def test_an_invalid_field_is_rejected_with_the_reason(rejecting, payload, message):
    client, before, schema = rejecting
    response = await client.post(USERS, json=payload, headers=ADA)

    assert code_of(response) == (400, "INVALID_PAYLOAD")
    assert message in response.json()["errors"][0]["message"]
    assert await schema() == before


@pytest.mark.parametrize("body", ['"x"', "[]", '{"field":', ""])
async def test_a_body_that_is_no_object_is_rejected(rejecting, body):
    client, before, schema = rejecting
    response = await client.post(USERS, content=body, headers={**ADA, "Content-Type": "application/json"})

    assert code_of(response) == (400, "INVALID_PAYLOAD")
    assert await schema() == before


@pytest.mark.sampled
@pytest.mark.parametrize("headers", [{}, ED, ANN])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", USERS, {"field": "extra", "type": "string"}),
        ("PATCH", f"{USERS}/email", {"meta": {"note": "x"}}),
        ("DELETE", f"{USERS}/email", None),
        ("POST", "/relations", {"collection": "directus_users", "field": "x", "related_collection": "directus_users"}),
        ("DELETE", "/relations/directus_users/role", None),
    ],
)
async def test_only_admins_change_the_schema(rejecting, headers, method, path, body):
    client, before, schema = rejecting
    response = await client.request(method, path, json=body, headers=headers)

    assert code_of(response) == (403, "FORBIDDEN")
    assert await schema() == before


@pytest.mark.parametrize(
    ("method", "path"),
    [("PATCH", f"{USERS}/email"), ("DELETE", f"{USERS}/email"), ("DELETE", f"{USERS}/id"), ("DELETE", f"{USERS}/role")],
)
async def test_a_built_in_field_stays_as_it_is(rejecting, method, path):
    client, before, schema = rejecting
    response = await client.request(method, path, json={"meta": {"note": "x"}}, headers=ADA)

    assert code_of(response) == (400, "INVALID_PAYLOAD")
    assert "built in" in response.json()["errors"][0]["message"]
    assert await schema() == before


async def test_a_built_in_field_stays_even_if_a_row_describes_it(client, writable_db):
    await run(writable_db, "INSERT INTO directus_fields (collection, field) VALUES ('directus_users', 'email')")
    response = await client.delete(f"{USERS}/email", headers=ADA)

    assert code_of(response) == (400, "INVALID_PAYLOAD")
    assert "email" in await columns(writable_db)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("DELETE", f"{USERS}/nothing", 403),
        ("PATCH", f"{USERS}/nothing", 403),
        ("POST", "/fields/directus_nothing", 403),
        ("POST", "/fields/directus_activity", 400),
        ("PUT", USERS, 404),
        ("DELETE", USERS, 404),
    ],
)
async def test_what_does_not_exist_cannot_be_changed(rejecting, method, path, status):
    client, _, _ = rejecting
    response = await client.request(method, path, json={"field": "extra", "type": "string"}, headers=ADA)

    assert response.status_code == status


async def test_the_meta_of_a_field_is_changed(client):
    await create(client, "phone", meta={"note": "Old", "special": ["conceal"]})
    response = await client.patch(f"{USERS}/phone", json={"meta": {"note": "New", "required": True}}, headers=ADA)
    meta = response.json()["data"]["meta"]

    assert (meta["note"], meta["required"], meta["special"]) == ("New", True, ["conceal"])


async def test_a_validation_holds_for_what_is_written_afterwards(client):
    validation = {"_and": [{"level": {"_gte": 1}}, {"level": {"_lte": 9}}]}
    await create(client, "level", "integer", meta={"validation": validation})
    rejected = await client.patch(f"/users/{uid('vi')}", json={"level": 0}, headers=ADA)
    unreadable = await client.patch(
        f"{USERS}/level", json={"meta": {"validation": {"level": {"_foo": 1}}}}, headers=ADA
    )

    assert code_of(rejected) == (400, "FAILED_VALIDATION")
    assert code_of(unreadable) == (400, "INVALID_PAYLOAD")


async def test_several_fields_are_changed_together_or_not_at_all(client):
    for name in ("one", "two"):
        await create(client, name)
    changes = [{"field": name, "meta": {"sort": 7}} for name in ("one", "two")]
    changed = await client.patch(USERS, json=changes, headers=ADA)
    rejected = await client.patch(USERS, json=[{"field": "one", "meta": {"sort": 9}}, {"field": "email"}], headers=ADA)
    again = await client.patch(USERS, json=[{"field": "one"}], headers=ADA)

    assert [field["meta"]["sort"] for field in changed.json()["data"]] == [7, 7]
    assert rejected.status_code == 400
    assert again.json()["data"][0]["meta"]["sort"] == 7


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("old", "value", "change", "expected"),
    [
        ("string", "'abc'", {"type": "text"}, ("abc", "text")),
        ("text", "'abc'", {"type": "string", "schema": {"max_length": 3}}, ("abc", "string")),
        ("string", "'abc'", {"schema": {"max_length": 3}}, ("abc", "string")),
        ("string", "'abc'", {"schema": {"default_value": "x"}}, ("abc", "string")),
        ("integer", "7", {"type": "bigInteger"}, (7, "bigInteger")),
        ("integer", "7", {"type": "decimal"}, (7, "decimal")),
        ("bigInteger", "7", {"type": "integer"}, (7, "integer")),
        ("integer", "7", {"schema": {"is_nullable": False, "default_value": 1}}, (7, "integer")),
        ("integer", "7", {"schema": {"is_unique": True}}, (7, "integer")),
        ("string", "NULL", {"type": "boolean"}, (None, "boolean")),
        ("integer", "NULL", {"type": "json"}, (None, "json")),
    ],
)
async def test_a_field_changes_its_type_and_keeps_its_values(client, writable_db, old, value, change, expected):
    await create(client, "extra", old)
    nullable = change.get("schema", {}).get("is_nullable") is not False
    where = f"WHERE id = '{uid('ada')}'" if "is_unique" in change.get("schema", {}) or nullable else ""
    await run(writable_db, f"UPDATE directus_users SET extra = {value} {where}")
    response = await client.patch(f"{USERS}/extra", json=change, headers=ADA)

    assert response.status_code == 200, response.text
    assert response.json()["data"]["type"] == expected[1]
    assert await fetch(writable_db, f"SELECT extra FROM directus_users WHERE id = '{uid('ada')}'") == [expected[:1]]


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("old", "value", "change", "code"),
    [
        ("string", "'abc'", {"type": "integer"}, "INVALID_PAYLOAD"),
        ("string", "'abc'", {"schema": {"max_length": 2}}, "INVALID_PAYLOAD"),
        ("bigInteger", str(2**40), {"type": "integer"}, "INVALID_PAYLOAD"),
        ("json", "'{}'", {"type": "boolean"}, "INVALID_PAYLOAD"),
        ("string", "NULL", {"schema": {"is_nullable": False, "default_value": "x"}}, "CONTAINS_NULL_VALUES"),
        ("string", "'abc'", {"schema": {"is_unique": True}}, "RECORD_NOT_UNIQUE"),
        ("string", "'abc'", {"field": "other"}, "INVALID_PAYLOAD"),
        ("string", "'abc'", {"type": "alias"}, "INVALID_PAYLOAD"),
        ("string", "'abc'", {"schema": {"default_value": 5}}, "INVALID_PAYLOAD"),
    ],
)
async def test_a_change_that_existing_values_do_not_allow_is_rejected(client, writable_db, old, value, change, code):
    await create(client, "extra", old)
    await run(writable_db, f"UPDATE directus_users SET extra = {value}")
    before = await columns(writable_db)
    response = await client.patch(f"{USERS}/extra", json=change, headers=ADA)

    assert code_of(response) == (400, code)
    assert {name: str(column["type"]) for name, column in (await columns(writable_db)).items()} == {
        name: str(column["type"]) for name, column in before.items()
    }


async def test_a_dropped_field_is_gone_with_its_row_and_its_permissions_and_says_what_is_lost(client, writable_db):
    await create(client, "phone", schema={"is_unique": True, "is_indexed": True})
    await run(writable_db, f"UPDATE directus_users SET phone = '1' WHERE id = '{uid('ada')}'")
    await run(writable_db, f"UPDATE directus_users SET phone = '2' WHERE id = '{uid('ed')}'")
    await run(
        writable_db,
        "INSERT INTO directus_permissions (policy, collection, action, fields) "
        f"VALUES ('{uid('policy-Staff')}', 'directus_users', 'read', 'id,phone,telephone')",
    )
    response = await client.delete(f"{USERS}/phone", headers=ADA)

    assert (response.status_code, response.content, response.headers["x-values-lost"]) == (204, b"", "2")
    assert "phone" not in await columns(writable_db)
    assert await fetch(writable_db, "SELECT count(*) FROM directus_fields") == [(0,)]
    assert ("id,telephone",) in await fetch(writable_db, "SELECT fields FROM directus_permissions")
    assert (await client.delete(f"{USERS}/phone", headers=ADA)).status_code == 403


async def test_changes_are_recorded_as_activity(client, writable_db):
    await create(client, "phone")
    await client.patch(f"{USERS}/phone", json={"meta": {"note": "x"}}, headers=ADA)
    await client.delete(f"{USERS}/phone", headers=ADA)
    query = "SELECT action, \"user\" FROM directus_activity WHERE collection = 'directus_fields' ORDER BY id"

    assert [(action, str(user)) for action, user in await fetch(writable_db, query)] == [
        (action, uid("ada")) for action in ("create", "update", "delete")
    ]


async def test_a_change_renews_the_schema_token_once_it_is_made(client, writable_db):
    before = await fetch(writable_db, "SELECT schema_token FROM rollcall_version")
    await client.post(USERS, json={"field": "email", "type": "string"}, headers=ADA)
    rejected = await fetch(writable_db, "SELECT schema_token FROM rollcall_version")
    await create(client, "phone")

    assert before == rejected
    assert await fetch(writable_db, "SELECT schema_token FROM rollcall_version") != before


async def test_of_two_requests_for_the_same_field_one_succeeds(writable_db):
    async with served(writable_db.settings) as one, served(writable_db.settings) as two:
        payload = {"field": "phone", "type": "string"}
        responses = await asyncio.gather(*(each.post(USERS, json=payload, headers=ADA) for each in (one, two)))

    assert sorted(response.status_code for response in responses) == [200, 400]
    assert await fetch(writable_db, "SELECT field FROM directus_fields") == [("phone",)]


async def test_a_change_that_fails_after_its_ddl_leaves_nothing(client, writable_db):
    await run(writable_db, "INSERT INTO directus_fields (collection, field) VALUES ('directus_files', 'phone')")
    await run(writable_db, "CREATE UNIQUE INDEX own_index ON directus_fields (field)")
    response = await client.post(USERS, json={"field": "phone", "type": "string"}, headers=ADA)

    assert code_of(response) == (400, "RECORD_NOT_UNIQUE")
    assert "phone" not in await columns(writable_db)


async def test_a_collection_has_a_limited_number_of_custom_fields(client, writable_db):
    rows = ", ".join(f"('directus_users', 'extra{number}')" for number in range(MAX_CUSTOM_FIELDS))
    await run(writable_db, f"INSERT INTO directus_fields (collection, field) VALUES {rows}")
    response = await client.post(USERS, json={"field": "phone", "type": "string"}, headers=ADA)

    assert code_of(response) == (400, "INVALID_PAYLOAD")
    assert "the most it can have" in response.json()["errors"][0]["message"]
    assert "phone" not in await columns(writable_db)
