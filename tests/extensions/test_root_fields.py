"""Root fields of extensions: who sees them, what they return, and that they don't exist for anyone else."""

from typing import Any

import pytest
import pytest_asyncio
import strawberry
from graphql import build_schema, get_introspection_query

from app.core.config import ConfigurationError
from app.graphql import schema as schema_module
from app.graphql.schema import schema
from app.main import create_app
from app.testing import open_system
from tests.base_data import BASE_ROWS, caller, static_token, uid
from tests.conftest import make_settings
from tests.extensions import root_fields
from tests.http.test_graphql import ADA, PATH, bearer, served
from tests.logs import captured_logs

VISIBLE = {
    None: {"greeting", "broken"},
    "sam": {"greeting", "broken", "headcount", "create_ticket"},
    "ann": {"greeting", "broken", "headcount", "create_ticket", "dashboard"},
    "ada": {"greeting", "broken", "headcount", "create_ticket", "dashboard", "secret", "secret_change"},
}
ADDED = VISIBLE["ada"]
TYPES = {"Color", "Headcount", "Secret", "SecretInput", "Ticket"}
OPERATIONS = {
    "greeting": "{ greeting }",
    "headcount": "{ headcount { active } }",
    "dashboard": "{ dashboard }",
    "secret": "query ($x: SecretInput) { secret(value: $x) { number } }",
    "create_ticket": 'mutation { create_ticket(ticket: {title: "moon"}) }',
    "secret_change": "mutation { secret_change { number } }",
}


@pytest_asyncio.fixture(scope="module")
async def extended(readonly_db):
    async with open_system(readonly_db.settings, extensions=[root_fields.register]) as system:
        yield system


@pytest_asyncio.fixture(scope="module")
async def client(readonly_db):
    async with served(readonly_db.settings, extensions=[root_fields.register]) as client:
        yield client


def headers_of(name):
    return bearer(static_token(name)) if name else {}


async def execute(client, query, name=None, **variables):
    response = await client.post(PATH, json={"query": query, "variables": variables}, headers=headers_of(name))
    return response.json()


@pytest.mark.parametrize("name", VISIBLE)
async def test_callers_see_the_root_fields_for_them_and_no_trace_of_others(client, name):
    result = await execute(client, get_introspection_query(), name)
    types = {type_["name"]: type_ for type_ in result["data"]["__schema"]["types"]}
    names = {field["name"] for root in ("Query", "Mutation") for field in types[root]["fields"]}
    hidden = {"Secret", "SecretInput"} if name != "ada" else set()
    unreachable = TYPES if name is None else hidden

    assert names & ADDED == VISIBLE[name]
    assert types.keys() & TYPES == TYPES - unreachable
    sdl = await client.get("/server/specs/graphql/system", headers=headers_of(name))
    assert build_schema(sdl.text).type_map.keys() & TYPES == TYPES - unreachable


@pytest.mark.sampled
@pytest.mark.parametrize("field", OPERATIONS)
@pytest.mark.parametrize("name", VISIBLE)
async def test_an_invisible_root_field_answers_like_an_unknown_one(client, name, field):
    query = OPERATIONS[field]
    for _ in range(2):
        result = await execute(client, query, name)
    unknown = await execute(client, query.replace(field, "x" * len(field)), name)

    if field in VISIBLE[name]:
        errors = [error["extensions"]["code"] for error in result.get("errors", [])]
        assert errors == (["UNPROCESSABLE_CONTENT"] if field == "create_ticket" else [])
    else:
        assert repr(result).replace(field, "x" * len(field)) == repr(unknown)
        assert "GRAPHQL_VALIDATION" in repr(result)


async def test_resolvers_read_with_the_rights_of_their_caller(client):
    query = "query ($limit: Int) { headcount(color: BLUE) { active color emails(limit: $limit) } users { email } }"
    sam, ada = await execute(client, query, "sam", limit=1), await execute(client, query, "ada", limit=1)

    assert sam["data"]["headcount"] == {"active": 1, "color": "BLUE", "emails": ["sam@example.com"]}
    assert ada["data"]["headcount"] == {"active": 7, "color": "BLUE", "emails": ["ada@example.com"]}
    assert len(ada["data"]["users"]) == len(BASE_ROWS["directus_users"])


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ('{ greeting(name: "you") }', {}),
        ('{ greeting(name: "you") __typename }', {}),
        ("query ($n: String) { greeting(name: $n) }", {"n": "you"}),
        ("query ($n: String!) { ...F } fragment F on Query { greeting(name: $n) }", {"n": "you"}),
    ],
)
async def test_arguments_are_passed_in_every_form(client, query, variables):
    for _ in range(3):
        assert (await execute(client, query, **variables))["data"]["greeting"] == "Hello, you"


async def test_a_mutation_takes_objects_and_writes_with_the_rights_of_its_caller(writable_db):
    query = "mutation ($ticket: Ticket!) { create_ticket(ticket: $ticket) }"
    ticket = {"title": "Fix", "color": "BLUE", "tags": ["a", "b"]}
    async with served(writable_db.settings, extensions=[root_fields.register]) as client:
        ada, sam = (
            await execute(client, query, "ada", ticket=ticket),
            await execute(client, query, "sam", ticket=ticket),
        )
        inline = 'mutation { create_ticket(ticket: {title: "More", tags: ["x"]}) }'
        more = await execute(client, inline, "ada")
        row = (await client.get(f"/users/{uid('ann')}?fields=title", headers=ADA)).json()["data"]

    assert (ada["data"], more["data"]) == ({"create_ticket": "Fix blue a,b"}, {"create_ticket": "More red x"})
    assert sam["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert row == {"title": "More"}


async def test_errors_have_the_usual_form_and_others_no_text(client):
    moon = await execute(client, OPERATIONS["create_ticket"], "sam")
    with captured_logs(schema_module) as events:
        broken = await execute(client, "{ broken greeting }")

    assert moon["errors"][0]["extensions"] == {"reason": "The moon is not full", "code": "UNPROCESSABLE_CONTENT"}
    assert broken["data"] == {"broken": None, "greeting": "Hello, world"}
    assert broken["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert "private" not in repr(broken)
    assert "resolver_failed" in [event["event"] for event in events]


@pytest.mark.both_databases
async def test_a_revoked_right_hides_a_root_field_at_the_next_request(writable_db):
    async with open_system(writable_db.settings, extensions=[root_fields.register]) as system:
        assert (await system.execute("{ dashboard }", caller=caller("ann"))).data == {"dashboard": 1}
        ada = writable_db.directory(caller("ada"))
        await ada["policies"].update_one(uid("policy-App"), {"app_access": False})
        hidden = await system.execute("{ dashboard }", caller=caller("ann"))
        assert "Cannot query field 'dashboard'" in str(hidden.errors)
        await ada["users"].update_one(uid("ann"), {"status": "suspended"})
        assert (await system.execute("{ greeting }", caller=caller("ann"))).errors


async def test_tests_execute_root_fields_without_http(extended):
    result = await extended.execute('{ greeting(name: "test") }')

    assert (result.errors, result.data) == (None, {"greeting": "Hello, test"})


async def test_root_fields_must_wait_for_two_factor_authentication(extended):
    result = await extended.execute("{ headcount { active } }", caller=caller("ada")._replace(tfa_setup_required=True))

    assert result.errors is None or "Two-factor" in result.errors[0].message


def test_the_schema_of_the_bare_tables_has_none_of_them():
    types: dict[str, Any] = schema.graphql.type_map

    assert not ADDED & {*types["Query"].fields, *types["Mutation"].fields}
    assert not TYPES & types.keys()


async def number() -> int:
    return 1


async def untyped():
    return 1


async def object_value() -> object:
    return 1


def returning(name):
    type_ = strawberry.type(type("T", (), {"__annotations__": {"a": int}}), name=name)

    async def resolve():
        return type_(a=1)

    resolve.__annotations__["return"] = type_
    return resolve


@pytest.mark.parametrize(
    ("function", "options", "expected"),
    [
        (number, {"name": "users", "visible": "user"}, 'Rollcall has a root field "users" itself'),
        (number, {"name": "a-b", "visible": "user"}, 'the name "a-b" must consist of letters, digits and underscores'),
        (number, {"name": "__a", "visible": "user"}, 'the name "__a" must consist of'),
        (number, {"visible": "everyone"}, '`visible` of "number" must be one of these: public, user, app, admin'),
        (untyped, {"visible": "user"}, "its GraphQL fields are invalid: "),
        (object_value, {"visible": "user"}, "its GraphQL fields are invalid: "),
        (returning("directus_users"), {"visible": "user"}, "its GraphQL fields are invalid: "),
        (
            returning("directus_more"),
            {"visible": "user"},
            'the type "directus_more" must not begin like one of Rollcall',
        ),
        (
            lambda: 1,
            {"visible": "user", "name": "number"},
            'the function for "number" must be defined with `async def`',
        ),
    ],
)
def test_an_invalid_root_field_stops_the_start_with_one_sentence(tmp_path, function, options, expected):
    settings = make_settings(f"sqlite+aiosqlite:///{tmp_path / 'rollcall.db'}")
    with pytest.raises(ConfigurationError) as error:
        create_app(settings, extensions=[lambda extend: extend.query(**options)(function)])

    assert str(error.value).startswith(f'The extension "{__name__}" cannot be used: {expected}')
    assert "\n" not in str(error.value)


def test_a_query_and_a_mutation_can_have_one_name_but_two_queries_cannot(tmp_path):
    def register(extend):
        extend.query(visible="user")(number)
        extend.mutation(visible="user")(number)

    settings = make_settings(f"sqlite+aiosqlite:///{tmp_path / 'rollcall.db'}")
    create_app(settings, extensions=[register])
    with pytest.raises(ConfigurationError, match=r'"Query.number" is registered already, by "tests.extensions'):
        create_app(settings, extensions=[register, register])
