"""The intended deviations from Directus, one test for each."""

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
from tests.base_data import caller, static_token, uid
from tests.conftest import BACKENDS, open_copy
from tests.http.test_graphql import bearer, served
from tests.writes.editors import EDITOR_ROWS, checksum

DEVIATIONS, DEVIATIONS_10 = (
    json.loads((Path(__file__).parent / f"deviations{suffix}.json").read_text()) for suffix in ("", "-10")
)
ADA = caller("ada")


@pytest.mark.parametrize("reason", [*DEVIATIONS.values(), *DEVIATIONS_10.values()], ids=[*DEVIATIONS, *DEVIATIONS_10])
def test_every_deviation_has_a_reason_of_a_known_kind(reason):
    assert re.match(r"(leak|escalation|crash|silent|hidden|safer|documented): \w", reason)


async def test_auth_data_is_masked(readonly_db):
    result = await readonly_db.execute(f'{{ users_by_id(id: "{uid("sam")}") {{ auth_data }} }}', caller=ADA)

    assert result.data == {"users_by_id": {"auth_data": "**********"}}


@pytest.mark.parametrize("key", ["", "nonsense", "00000000-0000-4000-8000-000000000000"])
async def test_an_unknown_id_is_forbidden_whatever_its_form(readonly_db, key):
    result = await readonly_db.execute(f'{{ users_by_id(id: "{key}") {{ id }} }}', caller=ADA)

    assert result.data == {"users_by_id": None}
    assert result.errors[0].original_error.code == "FORBIDDEN"


async def test_a_selection_of_only_the_typename_returns_it(readonly_db):
    result = await readonly_db.execute("{ users_me { role { __typename } } }", caller=ADA)

    assert result.data == {"users_me": {"role": {"__typename": "directus_roles"}}}


@pytest.mark.parametrize("variables", [None, {"f": {"status": {"_foo": 1}}}, {"f": "x"}, {"f": {"status": {"_eq": 5}}}])
async def test_invalid_variables_are_rejected_with_a_reason_before_any_query(readonly_db, variables):
    query = "query($f: directus_users_filter!) { users(filter: $f) { id } }"
    await readonly_db.directory(ADA).access()
    before = readonly_db.database.reader.statements
    result = await readonly_db.execute(query, variables, ADA)

    assert result.data is None
    assert "$f" in result.errors[0].message
    assert readonly_db.database.reader.statements - before <= 1  # the check that the caller's access is current


@pytest.mark.parametrize(
    ("filter_", "message"),
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
async def test_invalid_filters_are_rejected_without_messages_of_the_database(readonly_db, filter_, message):
    result = await readonly_db.execute(f"{{ users(filter: {filter_}) {{ id }} }}", caller=ADA)
    error = result.errors[0].original_error

    assert error.code == "INVALID_QUERY"
    assert message in error.text
    assert "select" not in error.text.lower()


@pytest.mark.parametrize(
    ("filter_", "names"),
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
async def test_valid_filters_match_the_expected_rows(readonly_db, filter_, names):
    result = await readonly_db.execute(f"{{ users(filter: {filter_}) {{ first_name }} }}", caller=ADA)

    assert [row["first_name"] for row in result.data["users"]] == names


async def test_introspection_can_be_disabled(readonly_db):
    settings = readonly_db.settings.model_copy(update={"graphql_introspection": False})
    directory = Directory(ADA, Services.from_settings(readonly_db.database, settings))
    result = await schema.execute("{ __schema { queryType { name } } }", context_value=directory)

    assert result.data is None
    assert result.errors
    assert "introspection is not allowed" in result.errors[0].message


@pytest.mark.parametrize(
    ("name", "message"), [(None, "Must provide operation name"), ("C", 'Unknown operation named "C"')]
)
async def test_an_ambiguous_operation_is_rejected(readonly_db, name, message):
    query = "query A { server_ping } query B { server_ping }"
    result = await schema.execute(query, context_value=readonly_db.directory(ADA), operation_name=name)

    assert result.data is None
    assert result.errors
    assert message in result.errors[0].message


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ('filter: { last_name: { _contains: "%" } }', []),
        ('filter: { last_name: { _starts_with: "E_" } }', []),
        ('search: "%"', []),
        ('search: "_"', []),
        ('filter: { last_name: { _icontains: "čAP" } }', ["Sam"]),
        ('filter: { last_name: { _ends_with: "man" } }', ["Ed"]),
    ],
)
async def test_text_filters_and_searches_have_no_wildcards(readonly_db, arguments, names):
    """Directus passes `%` and `_` to LIKE, where they match anything."""
    result = await readonly_db.execute(f"{{ users({arguments}) {{ first_name }} }}", caller=ADA)

    assert [row["first_name"] for row in result.data["users"]] == names


UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
GRAPHQL = "/graphql/system"
INTERNALS_PATTERN = re.compile(
    r"insert|select |sqlite|asyncpg|constraint|cannot read|undefined|DataError", re.IGNORECASE
)


@pytest_asyncio.fixture(params=BACKENDS, scope="module")
async def database(request, templates, tmp_path_factory):
    """A copy of the database with `EDITOR_ROWS`, for this module's tests to change."""
    async with AsyncExitStack() as stack:
        system = await open_copy(stack, request.param, templates, tmp_path_factory.mktemp("deviations"))
        await import_rows(system.database, EDITOR_ROWS, replace=False)
        yield system


@pytest_asyncio.fixture(scope="module")
async def ask(database):
    """Return a function that sends a request as a user and returns the status and the body."""
    async with served(database.settings) as client:

        async def send(path: str, body: Any = None, *, user: str = "ada", method: str = "POST") -> tuple[int, Any]:
            options = {} if body is None else {"json": body}
            response = await client.request(method, path, headers=bearer(static_token(user)), **options)
            return response.status_code, response.json() if response.content else None

        yield send


def mutation(name, values=None, selection="id", **variables):
    """Return the body of a request with a mutation, with the input type that Directus has for it."""
    action, _, rest = name.partition("_")
    many = rest.endswith(("_items", "_batch"))
    singular = re.sub("_(items?|batch|me)$", "", rest)
    input_type = f"{action}_directus_{singular}_input"
    declarations = {"d": f"[{input_type}!]" if many and "i" not in variables else f"{input_type}!"}
    if "i" in variables:
        declarations["i"] = "[ID]!" if many else "ID!"
    signature = ", ".join(f"${variable}: {type_}" for variable, type_ in declarations.items())
    id_argument = "" if "i" not in variables else "ids: $i, " if many else "id: $i, "
    query = f"mutation({signature}) {{ {name}({id_argument}data: $d) {{ {selection} }} }}"
    return {"query": query, "variables": {"d": values, **variables}}


POLICY = {"id": uid("policy-Staff"), "name": "Staff", "enforce_tfa": False, "admin_access": False, "app_access": False}

INVALID_VARIABLES = [
    # user, request, text in the error
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


@pytest.mark.parametrize(("user", "body", "message"), INVALID_VARIABLES)
async def test_an_invalid_variable_of_a_mutation_is_a_400_with_a_reason(database, ask, user, body, message):
    """Directus answers 500, or 200 with an unexpected error, or without a reason."""
    before = await checksum(database)
    status, response = await ask(GRAPHQL, body, user=user)
    error = response["errors"][0]

    assert (status, error["extensions"]["code"]) == (400, "GRAPHQL_VALIDATION")
    assert message in json.dumps(error)
    assert await checksum(database) == before


@pytest.mark.parametrize("role", ["role-Administrator", "role-Staff"])
async def test_a_role_the_caller_may_not_assign_is_rejected_over_graphql_and_rest(database, ask, role):
    before = await checksum(database)
    values = {"email": "n@example.com", "role": {"id": uid(role), "name": role.partition("-")[2]}}
    graphql = await ask(GRAPHQL, mutation("create_users_item", values), user="wes")
    rest = await ask("/users", {**values, "role": uid(role)}, user="wes")

    assert graphql[1]["errors"][0]["extensions"]["code"] in ("GRAPHQL_VALIDATION", "FORBIDDEN")
    assert (rest[0], rest[1]["errors"][0]["extensions"]["code"]) == (403, "FORBIDDEN")
    assert await checksum(database) == before


MUTATIONS_WITHOUT_DATA = [
    "mutation($d: [create_directus_users_input!]) { create_users_items(data: $d) { id } }",
    "mutation($d: [update_directus_users_input!]) { update_users_batch(data: $d) { id } }",
    "mutation { create_users_items { id } }",
    "mutation { update_users_me { id } }",
]


@pytest.mark.parametrize("query", MUTATIONS_WITHOUT_DATA)
async def test_a_mutation_without_data_is_an_invalid_payload(database, ask, query):
    before = await checksum(database)
    _, response = await ask(GRAPHQL, {"query": query, "variables": {"d": None} if "$d" in query else {}})

    assert response["errors"][0]["extensions"]["code"] == "INVALID_PAYLOAD"
    assert not INTERNALS_PATTERN.search(json.dumps(response))
    assert await checksum(database) == before


INVALID_VALUES = [
    ("/users", {"email": "n@example.com", "last_access": "nope"}, "INVALID_PAYLOAD", "last_access"),
    ("/users", {"email": "n@example.com", "email_notifications": "maybe"}, "INVALID_PAYLOAD", "email_notifications"),
    ("/users", {"email": "n@example.com", "tags": "a, b"}, "INVALID_PAYLOAD", "tags"),
    ("/users", {"email": "n@example.com", "role": "nope"}, "INVALID_FOREIGN_KEY", "role"),
    ("/users", {"email": "n@example.com", "nope": 1}, "FORBIDDEN", "nope"),
    ("/roles", {"id": uid("own"), "name": "Own", "parent": uid("own")}, "INVALID_PAYLOAD", "parent of itself"),
]


@pytest.mark.parametrize(("path", "body", "code", "message"), INVALID_VALUES)
async def test_invalid_values_are_rejected_without_messages_of_the_database(database, ask, path, body, code, message):
    before = await checksum(database)
    status, response = await ask(path, body)

    assert status in (400, 403)
    assert response["errors"][0]["extensions"]["code"] == code
    assert message in json.dumps(response)
    assert not INTERNALS_PATTERN.search(json.dumps(response))
    assert await checksum(database) == before


MISSING_ROWS = [
    ("/users", UNKNOWN_ID, {"first_name": "F"}),
    ("/users", "nonsense", {"first_name": "F"}),
    ("/roles", UNKNOWN_ID, {"name": "x"}),
    ("/policies", UNKNOWN_ID, {"name": "x"}),
    ("/access", UNKNOWN_ID, {"sort": 1}),
    ("/permissions", 99999, {"action": "read"}),
]


@pytest.mark.parametrize(("path", "key", "values"), MISSING_ROWS)
async def test_reading_or_updating_a_missing_row_is_forbidden(database, ask, path, key, values):
    """Directus answers an update of it with 204, and a missing permission with an invented one."""
    before = await checksum(database)
    for method, body in (("GET", None), ("PATCH", values)):
        status, response = await ask(f"{path}/{key}", body, method=method)
        assert (status, response["errors"][0]["extensions"]["code"]) == (403, "FORBIDDEN"), method
    assert await checksum(database) == before


@pytest.mark.parametrize(
    "body",
    [
        mutation("update_users_items", {"title": "bulk"}, i=[uid("vi"), UNKNOWN_ID]),
        {
            "query": "mutation($d: [update_directus_users_input!]) { update_users_batch(data: $d) { id } }",
            "variables": {"d": [{"id": uid("vi"), "title": "bulk"}, {"id": UNKNOWN_ID, "title": "bulk"}]},
        },
    ],
)
async def test_no_row_is_updated_if_one_of_them_is_missing(database, ask, body):
    before = await checksum(database)
    _, response = await ask(GRAPHQL, body)

    assert response["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert await checksum(database) == before


async def test_a_missing_permission_is_forbidden_over_graphql_too(ask):
    _, response = await ask(GRAPHQL, {"query": "{ permissions_by_id(id: 99999) { id } }"})

    assert response["data"] == {"permissions_by_id": None}
    assert response["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_changing_the_id_of_a_row_is_an_invalid_payload(database, ask):
    before = await checksum(database)
    _, response = await ask(GRAPHQL, mutation("update_users_item", {"id": uid("other")}, i=uid("vi")))

    assert response["errors"][0]["extensions"]["code"] == "INVALID_PAYLOAD"
    assert await checksum(database) == before


async def test_several_users_may_have_null_as_email(ask):
    for name in ("One", "Two"):
        body = mutation("create_users_item", {"email": None, "first_name": name}, "email first_name")
        _, response = await ask(GRAPHQL, body)
        assert response == {"data": {"create_users_item": {"email": None, "first_name": name}}}


async def test_the_mask_is_not_stored_as_a_password_or_token(database, ask):
    values = {"email": "stars@example.com", "password": "**********", "token": "**********"}
    _, response = await ask(GRAPHQL, mutation("create_users_item", values, "password token"))

    assert response == {"data": {"create_users_item": {"password": None, "token": None}}}
    status, _ = await ask("/users/me?fields=id", method="GET", user="vi")
    await ask(GRAPHQL, mutation("update_users_item", {"token": "**********"}, i=uid("vi")))
    after, _ = await ask("/users/me?fields=id", method="GET", user="vi")
    assert (status, after) == (200, 200)


async def test_auth_data_in_the_response_of_a_write_is_masked(ask):
    body = mutation("update_users_item", {"auth_data": {"x": "hidden"}}, "auth_data", i=uid("sam"))
    graphql = await ask(GRAPHQL, body)
    rest = await ask(f"/users/{uid('sam')}?fields=auth_data", {"auth_data": {"x": "hidden"}}, method="PATCH")

    assert graphql == (200, {"data": {"update_users_item": {"auth_data": "**********"}}})
    assert rest == (200, {"data": {"auth_data": "**********"}})


async def test_the_callers_permissions_list_only_supported_collections(ask):
    for user in ("ada", "ann"):
        status, response = await ask("/permissions/me", method="GET", user=user)
        assert status == 200
        assert "directus_users" in response["data"]
        assert not {"directus_flows", "directus_panels", "directus_dashboards"} & response["data"].keys()


INVALID_READS = [
    # user, path, status, error code
    ("ada", "/users?aggregate[bogus]=id", 400, "INVALID_QUERY"),
    ("ada", "/users?aggregate[sum]=email", 400, "INVALID_QUERY"),
    ("ada", "/users?aggregate[count]=id&groupBy=status&sort=-countDistinct&limit=2", 400, "INVALID_QUERY"),
    ("ada", "/roles?deep={bad&limit=1", 400, "INVALID_QUERY"),
    ("ada", '/roles?fields=users.id&deep={"users":{"_limit":-5}}&limit=1', 400, "INVALID_QUERY"),
    ("vi", "/users?fields=role.name&limit=1", 403, "FORBIDDEN"),
    ("sam", "/users?fields=role.name&limit=1", 403, "FORBIDDEN"),
]


@pytest.mark.parametrize(("user", "path", "status", "code"), INVALID_READS)
async def test_an_invalid_read_is_an_error_instead_of_a_partial_response(ask, user, path, status, code):
    response_status, response = await ask(path, method="GET", user=user)

    assert (response_status, response["errors"][0]["extensions"]["code"]) == (status, code)
    assert not INTERNALS_PATTERN.search(json.dumps(response).replace("select ", ""))


async def test_groups_are_sorted_by_a_number_of_rows_that_they_do_not_return(ask):
    path = "/users?aggregate[count]=id&groupBy=status&sort="
    (_, descending), (_, ascending) = [await ask(path + key, method="GET") for key in ("-count", "count")]
    counts = [int(group["count"]["id"]) for group in descending["data"]]

    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]
    assert [int(group["count"]["id"]) for group in ascending["data"]] == counts[::-1]


async def test_the_minimum_of_concealed_fields_is_masked(ask):
    """Directus answers null for passwords."""
    status, response = await ask("/users?aggregate[min]=password,token", method="GET")

    assert status == 200
    assert response == {"data": [{"min": {"password": "**********", "token": "**********"}}]}
