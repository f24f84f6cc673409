"""What we do where we do otherwise than Directus: each intended deviation, shown."""

import json
import re
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from app.flows.import_export import import_rows
from app.graphql.schema import schema
from app.repositories.directory import Directory
from app.repositories.services import Services
from tests.conftest import BACKENDS, open_copy
from tests.http.test_graphql import bearer, served
from tests.world import caller, static_token, uid
from tests.writes.editors import EDITOR_ROWS, checksum

DEVIATIONS, FORMER = (json.loads((Path(__file__).parent / f"deviations{of}.json").read_text()) for of in ("", "-10"))
ADA = caller("ada")


@pytest.mark.parametrize("why", [*DEVIATIONS.values(), *FORMER.values()], ids=[*DEVIATIONS, *FORMER])
def test_every_deviation_says_why(why):
    assert re.match(r"(leak|escalation|crash|silent|hidden|safer|documented): \w", why)


async def test_auth_data_reads_as_asterisks(readonly_db):
    result = await readonly_db.execute(f'{{ users_by_id(id: "{uid("sam")}") {{ auth_data }} }}', caller=ADA)

    assert result.data == {"users_by_id": {"auth_data": "**********"}}


@pytest.mark.parametrize("key", ["", "nonsense", "00000000-0000-4000-8000-000000000000"])
async def test_an_id_that_leads_nowhere_is_forbidden_however_it_is_spelled(readonly_db, key):
    result = await readonly_db.execute(f'{{ users_by_id(id: "{key}") {{ id }} }}', caller=ADA)

    assert result.data == {"users_by_id": None}
    assert result.errors[0].original_error.code == "FORBIDDEN"


async def test_a_selection_of_nothing_but_the_type_answers_the_type(readonly_db):
    result = await readonly_db.execute("{ users_me { role { __typename } } }", caller=ADA)

    assert result.data == {"users_me": {"role": {"__typename": "directus_roles"}}}


@pytest.mark.parametrize("variables", [None, {"f": {"status": {"_foo": 1}}}, {"f": "x"}, {"f": {"status": {"_eq": 5}}}])
async def test_bad_variables_are_refused_with_the_reason_before_anything_is_asked(readonly_db, variables):
    query = "query($f: directus_users_filter!) { users(filter: $f) { id } }"
    await readonly_db.directory(ADA).access()
    asked = readonly_db.database.reader.statements
    result = await readonly_db.execute(query, variables, ADA)

    assert result.data is None
    assert "$f" in result.errors[0].message
    assert readonly_db.database.reader.statements - asked <= 1  # whether the refusal still holds


@pytest.mark.parametrize(
    ("filter_", "words"),
    [
        ('{ id: { _eq: "abc" } }', "Expected a UUID"),
        ('{ id: { _in: ["abc"] } }', "Expected a UUID"),
        ("{ id: { _neq: 1 } }", "Expected a UUID"),
        ('{ last_access: { _gt: "yesterday" } }', "Expected a date"),
        ('{ last_access: { _between: ["2024-01-01"] } }', "has to be an array of two values"),
        ('{ last_access_func: { year: { _eq: "many" } } }', "Invalid numeric value"),
        ('{ title: { _eq: "" } }', "_empty"),
        ("{ title: { _in: [] } }", "has to be an array of values"),
        ("{ title: null }", "Invalid filter object"),
        ('{ tags: { _contains: "a" } }', '"json" field type does not contain the "_contains" filter operator'),
    ],
)
async def test_what_can_not_be_asked_is_told_without_the_databases_words(readonly_db, filter_, words):
    result = await readonly_db.execute(f"{{ users(filter: {filter_}) {{ id }} }}", caller=ADA)
    error = result.errors[0].original_error

    assert error.code == "INVALID_QUERY"
    assert words in error.text
    assert "select" not in error.text.lower()


@pytest.mark.parametrize(
    ("filter_", "found"),
    [
        ("{ role: { _null: true } }", ["Nora"]),
        ('{ role: { name: { _eq: "Self" } } }', ["Sam"]),
        ('{ role: { users: { _none: { status: { _neq: "draft" } } } } }', []),
        ('{ role: { users: { _none: { status: { _eq: "invited" } } }, name: { _eq: "Viewer" } } }', ["Vi"]),
        ('{ _or: { first_name: { _eq: "Kit" } } }', ["Kit"]),
        ("{ last_access_func: { second: { _eq: 45 } } }", ["Ada"]),
        ("{ auth_data_func: { count: { _eq: 1 } } }", []),
        ("{ theme_light_overrides_func: { count: { _eq: 2 } } }", ["Ann"]),
    ],
)
async def test_what_can_be_asked_finds_what_it_says(readonly_db, filter_, found):
    result = await readonly_db.execute(f"{{ users(filter: {filter_}) {{ first_name }} }}", caller=ADA)

    assert [row["first_name"] for row in result.data["users"]] == found


async def test_introspection_can_be_closed(readonly_db):
    settings = readonly_db.settings.model_copy(update={"graphql_introspection": False})
    closed = Directory(ADA, Services.from_settings(readonly_db.database, settings))
    result = await schema.execute("{ __schema { queryType { name } } }", context_value=closed)

    assert result.data is None
    assert result.errors
    assert "introspection is not allowed" in result.errors[0].message


@pytest.mark.parametrize("name", [None, "C"])
async def test_an_operation_that_can_not_be_told_is_refused(readonly_db, name):
    query = "query A { server_ping } query B { server_ping }"
    result = await schema.execute(query, context_value=readonly_db.directory(ADA), operation_name=name)

    assert result.data is None
    assert result.errors
    assert "no single operation" in result.errors[0].message


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ('filter: { last_name: { _contains: "%" } }', []),
        ('filter: { last_name: { _starts_with: "E_" } }', []),
        ('search: "%"', []),
        ('search: "_"', []),
        ('filter: { last_name: { _icontains: "čAP" } }', ["Sam"]),
        ('filter: { last_name: { _ends_with: "man" } }', ["Ed"]),
    ],
)
async def test_text_is_looked_for_letter_by_letter(readonly_db, arguments, found):
    """Directus hands `%` and `_` on to LIKE, where they match anything."""
    result = await readonly_db.execute(f"{{ users({arguments}) {{ first_name }} }}", caller=ADA)

    assert [row["first_name"] for row in result.data["users"]] == found


NOBODY = "00000000-0000-4000-8000-000000000000"
GRAPHQL = "/graphql/system"
WORDS = re.compile(r"insert|select |sqlite|asyncpg|constraint|cannot read|undefined|DataError", re.IGNORECASE)


@pytest_asyncio.fixture(params=BACKENDS, scope="module")
async def office(request, templates, tmp_path_factory):
    """A copy of the desk's people of this file's own, whose rows it may change."""
    async with AsyncExitStack() as stack:
        system = await open_copy(stack, request.param, templates, tmp_path_factory.mktemp("office"))
        await import_rows(system.database, EDITOR_ROWS, replace=False)
        yield system


@pytest_asyncio.fixture(scope="module")
async def ask(office):
    """Asks at a door as somebody: the status, and what is answered."""
    async with served(office.settings) as client:

        async def asked(path: str, body: Any = None, *, who: str = "ada", method: str = "POST") -> tuple[int, Any]:
            sent = {} if body is None else {"json": body}
            answer = await client.request(method, path, headers=bearer(static_token(who)), **sent)
            return answer.status_code, answer.json() if answer.content else None

        yield asked


def mutation(name, given=None, told="id", **variables):
    """The body that asks for a mutation, with the one type of input that Directus has for it."""
    kind, _, rest = name.partition("_")
    many = rest.endswith(("_items", "_batch"))
    singular = re.sub("_(items?|batch|me)$", "", rest)
    of = f"{kind}_directus_{singular}_input"
    declared = {"d": f"[{of}!]" if many and "i" not in variables else f"{of}!"}
    if "i" in variables:
        declared["i"] = "[ID]!" if many else "ID!"
    types = ", ".join(f"${letter}: {spelled}" for letter, spelled in declared.items())
    key = "" if "i" not in variables else "ids: $i, " if many else "id: $i, "
    query = f"mutation({types}) {{ {name}({key}data: $d) {{ {told} }} }}"
    return {"query": query, "variables": {"d": given, **variables}}


POLICY = {"id": uid("policy-Staff"), "name": "Staff", "enforce_tfa": False, "admin_access": False, "app_access": False}

VARIABLES = [
    # who asks,  for what,                                                              and what the answer names
    ("ada", mutation("create_users_item", {"email": 42}), "42"),
    ("ada", mutation("create_users_item", {"email": "n@example.com", "no_such_field": 1}), "no_such_field"),
    ("ada", mutation("create_users_item", None), "$d"),
    ("ada", mutation("create_roles_item", {"icon": "star"}), "name"),
    ("ada", mutation("create_policies_item", {"name": "P"}), "enforce_tfa"),
    ("ada", mutation("create_policies_item", {**POLICY, "id": None, "name": None}), "name"),
    ("ada", mutation("create_permissions_item", {"policy": POLICY, "action": "read"}), "collection"),
    ("ada", mutation("create_permissions_item", {"policy": POLICY, "collection": "directus_users"}), "action"),
    ("wes", mutation("create_users_item", {"email": "n@example.com", "location": "here"}), "location"),
    ("wes", mutation("update_users_item", {"title": "x", "location": "here"}, i=uid("will")), "location"),
    ("wes", mutation("create_users_item", {"email": "n@example.com", "token": "mine"}), "token"),
]


@pytest.mark.parametrize(("who", "body", "words"), VARIABLES)
async def test_a_bad_variable_of_a_mutation_is_a_400_that_says_why_and_nothing_is_written(
    office, ask, who, body, words
):
    """Directus answers 500, or 200 with an unexpected error, or says nothing of what was wrong."""
    before = await checksum(office)
    status, told = await ask(GRAPHQL, body, who=who)
    error = told["errors"][0]

    assert (status, error["extensions"]["code"]) == (400, "GRAPHQL_VALIDATION")
    assert words in json.dumps(error)
    assert await checksum(office) == before


@pytest.mark.parametrize("role", ["role-Administrator", "role-Staff"])
async def test_a_role_that_the_caller_may_not_give_is_given_at_no_door(office, ask, role):
    before = await checksum(office)
    given = {"email": "n@example.com", "role": {"id": uid(role), "name": role.partition("-")[2]}}
    graphql = await ask(GRAPHQL, mutation("create_users_item", given), who="wes")
    rest = await ask("/users", {**given, "role": uid(role)}, who="wes")

    assert graphql[1]["errors"][0]["extensions"]["code"] in ("GRAPHQL_VALIDATION", "FORBIDDEN")
    assert (rest[0], rest[1]["errors"][0]["extensions"]["code"]) == (403, "FORBIDDEN")
    assert await checksum(office) == before


EMPTY = [
    "mutation($d: [create_directus_users_input!]) { create_users_items(data: $d) { id } }",
    "mutation($d: [update_directus_users_input!]) { update_users_batch(data: $d) { id } }",
    "mutation { create_users_items { id } }",
    "mutation { update_users_me { id } }",
]


@pytest.mark.parametrize("query", EMPTY)
async def test_a_mutation_without_data_is_told_that_it_needs_some(office, ask, query):
    before = await checksum(office)
    _, told = await ask(GRAPHQL, {"query": query, "variables": {"d": None} if "$d" in query else {}})

    assert told["errors"][0]["extensions"]["code"] == "INVALID_PAYLOAD"
    assert not WORDS.search(json.dumps(told))
    assert await checksum(office) == before


CRASHES = [
    ("/users", {"email": "n@example.com", "last_access": "nope"}, "INVALID_PAYLOAD", "last_access"),
    ("/users", {"email": "n@example.com", "email_notifications": "maybe"}, "INVALID_PAYLOAD", "email_notifications"),
    ("/users", {"email": "n@example.com", "tags": "a, b"}, "INVALID_PAYLOAD", "tags"),
    ("/users", {"email": "n@example.com", "role": "nope"}, "INVALID_FOREIGN_KEY", "role"),
    ("/users", {"email": "n@example.com", "nope": 1}, "FORBIDDEN", "nope"),
    ("/roles", {"id": uid("own"), "name": "Own", "parent": uid("own")}, "INVALID_PAYLOAD", "parent of itself"),
]


@pytest.mark.parametrize(("path", "body", "code", "words"), CRASHES)
async def test_what_is_no_value_of_a_field_is_told_without_the_databases_words(office, ask, path, body, code, words):
    before = await checksum(office)
    status, told = await ask(path, body)

    assert status in (400, 403)
    assert told["errors"][0]["extensions"]["code"] == code
    assert words in json.dumps(told)
    assert not WORDS.search(json.dumps(told))
    assert await checksum(office) == before


MISSING = [
    ("/users", NOBODY, {"first_name": "F"}),
    ("/users", "nonsense", {"first_name": "F"}),
    ("/roles", NOBODY, {"name": "x"}),
    ("/policies", NOBODY, {"name": "x"}),
    ("/access", NOBODY, {"sort": 1}),
    ("/permissions", 99999, {"action": "read"}),
]


@pytest.mark.parametrize(("path", "key", "values"), MISSING)
async def test_a_row_that_is_not_there_is_forbidden_to_read_and_to_change(office, ask, path, key, values):
    """Directus answers a change of it with 204, and a permission that isn't there with an invented one."""
    before = await checksum(office)
    for method, body in (("GET", None), ("PATCH", values)):
        status, told = await ask(f"{path}/{key}", body, method=method)
        assert (status, told["errors"][0]["extensions"]["code"]) == (403, "FORBIDDEN"), method
    assert await checksum(office) == before


@pytest.mark.parametrize(
    "body",
    [
        mutation("update_users_items", {"title": "bulk"}, i=[uid("vi"), NOBODY]),
        {
            "query": "mutation($d: [update_directus_users_input!]) { update_users_batch(data: $d) { id } }",
            "variables": {"d": [{"id": uid("vi"), "title": "bulk"}, {"id": NOBODY, "title": "bulk"}]},
        },
    ],
)
async def test_of_many_rows_none_is_changed_where_one_is_not_there(office, ask, body):
    before = await checksum(office)
    _, told = await ask(GRAPHQL, body)

    assert told["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert await checksum(office) == before


async def test_a_permission_that_is_not_there_is_forbidden_in_graphql_too(ask):
    _, told = await ask(GRAPHQL, {"query": "{ permissions_by_id(id: 99999) { id } }"})

    assert told["data"] == {"permissions_by_id": None}
    assert told["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_a_rows_key_can_not_be_changed_and_that_is_told(office, ask):
    before = await checksum(office)
    _, told = await ask(GRAPHQL, mutation("update_users_item", {"id": uid("other")}, i=uid("vi")))

    assert told["errors"][0]["extensions"]["code"] == "INVALID_PAYLOAD"
    assert await checksum(office) == before


async def test_any_number_of_users_may_be_made_with_null_as_their_address(ask):
    for name in ("One", "Two"):
        body = mutation("create_users_item", {"email": None, "first_name": name}, "email first_name")
        _, told = await ask(GRAPHQL, body)
        assert told == {"data": {"create_users_item": {"email": None, "first_name": name}}}


async def test_asterisks_make_no_password_and_no_token(office, ask):
    stars = {"email": "stars@example.com", "password": "**********", "token": "**********"}
    _, told = await ask(GRAPHQL, mutation("create_users_item", stars, "password token"))

    assert told == {"data": {"create_users_item": {"password": None, "token": None}}}
    status, _ = await ask("/users/me?fields=id", method="GET", who="vi")
    await ask(GRAPHQL, mutation("update_users_item", {"token": "**********"}, i=uid("vi")))
    after, _ = await ask("/users/me?fields=id", method="GET", who="vi")
    assert (status, after) == (200, 200)


async def test_auth_data_that_was_just_written_reads_as_asterisks(ask):
    body = mutation("update_users_item", {"auth_data": {"x": "hidden"}}, "auth_data", i=uid("sam"))
    graphql = await ask(GRAPHQL, body)
    rest = await ask(f"/users/{uid('sam')}?fields=auth_data", {"auth_data": {"x": "hidden"}}, method="PATCH")

    assert graphql == (200, {"data": {"update_users_item": {"auth_data": "**********"}}})
    assert rest == (200, {"data": {"auth_data": "**********"}})


async def test_what_one_may_do_is_told_of_the_collections_that_are_served(ask):
    for who in ("ada", "ann"):
        status, told = await ask("/permissions/me", method="GET", who=who)
        assert status == 200
        assert "directus_users" in told["data"]
        assert not {"directus_flows", "directus_panels", "directus_dashboards"} & told["data"].keys()


READS = [
    # who asks,  for what,                                                        status, and what is told
    ("ada", "/users?aggregate[bogus]=id", 400, "INVALID_QUERY"),
    ("ada", "/users?aggregate[sum]=email", 400, "INVALID_QUERY"),
    ("ada", "/users?aggregate[count]=id&groupBy=status&sort=-count&limit=2", 400, "INVALID_QUERY"),
    ("ada", "/roles?deep={bad&limit=1", 400, "INVALID_QUERY"),
    ("ada", '/roles?fields=users.id&deep={"users":{"_limit":-5}}&limit=1', 400, "INVALID_QUERY"),
    ("vi", "/users?fields=role.name&limit=1", 403, "FORBIDDEN"),
    ("sam", "/users?fields=role.name&limit=1", 403, "FORBIDDEN"),
]


@pytest.mark.parametrize(("who", "path", "status", "code"), READS)
async def test_a_list_that_can_not_be_asked_for_is_told_so_and_not_as_half_an_answer(ask, who, path, status, code):
    answered, told = await ask(path, method="GET", who=who)

    assert (answered, told["errors"][0]["extensions"]["code"]) == (status, code)
    assert not WORDS.search(json.dumps(told).replace("select ", ""))


async def test_the_least_of_passwords_reads_as_asterisks(ask):
    """Directus tells that there is none of passwords."""
    status, told = await ask("/users?aggregate[min]=password,token", method="GET")

    assert status == 200
    assert told == {"data": [{"min": {"password": "**********", "token": "**********"}}]}
