"""The OpenAPI document: what is served and nothing else, and of that to each caller its own part."""

import re
from itertools import product
from pathlib import Path

import orjson
import pytest
from openapi_spec_validator import validate

from app.graphql.schema import schema
from app.graphql.types.builder import input_type
from app.graphql.visibility.caller_schema import caller_schema
from app.http.endpoints.assets import AssetsEndpoint
from app.http.endpoints.collections import CollectionEndpoint
from app.http.endpoints.export import FORMATS
from app.http.endpoints.graphql import ALLOWED_METHODS
from app.http.endpoints.server import ServerEndpoints
from app.http.flow_endpoint import FlowEndpoint
from app.http.middleware import match_prefix
from app.main import create_app
from app.openapi.collection_paths import EXPORTS, FILE_MEDIA
from app.openapi.document import DocumentOptions, render_document
from app.openapi.field_schemas import name_of
from app.policy.visibility import ADMIN_VISIBILITY, SchemaVisibility, visibility_for
from app.query.collection import COLLECTIONS
from tests.conftest import make_settings
from tests.http.test_graphql import bearer, served
from tests.world import caller, static_token, uid

HTTP = Path(__file__).parents[2] / "app/http/endpoints"
SPECS = "/server/specs/oas"
SETUP = DocumentOptions("https://users.example.com/here", "directus_session_token", by_password=True)
PEOPLE = ["ada", "wes", "rita", "vi", "ann", None]
METHODS = ("GET", "SEARCH", "POST", "PUT", "PATCH", "DELETE")


def document(shown, setup=SETUP):
    return orjson.loads(render_document(shown, setup))


async def document_of(system, name):
    return document(visibility_for(await system.directory(caller(name)).access()))


def operations(told):
    """The paths of a document with the methods of each."""
    return {(method.removeprefix("x-").upper(), path) for path, item in told["paths"].items() for method in item}


# Which paths are served is asked of the doors themselves, for every word that one of them knows, wherever it may stand.
KEY = "some-key"
DEEP = {"users": ("me", "account_security"), "permissions": ("me",)}
"""Where paths have three steps more, and who knows the words of those."""


def words(*modules):
    found = (re.findall(r'"/?([a-z/-]+)"', (HTTP / f"{module}.py").read_text()) for module in modules)
    return {KEY, *(word for texts in found for text in texts for word in text.split("/") if word)}


def candidates(roots):
    yield "/graphql/system"
    known = words("me", "account_security", "account", "auth", "server")
    for root in roots:
        shallow = (steps for number in range(3) for steps in product(known, repeat=number))
        yield from ("/".join(("", root, *steps)) for steps in shallow)
    for root, modules in DEEP.items():
        yield from ("/".join(("", root, *steps)) for steps in product(words(*modules), repeat=3))


def server_paths(app):
    return set(app.endpoints["/server"].handlers)


def is_served(door, method, path):
    steps = tuple(path.split("/")[2:])
    if isinstance(door, FlowEndpoint):
        return (method, path) in door.routes
    if isinstance(door, CollectionEndpoint):
        return door._handler(method, steps) is not None
    if isinstance(door, AssetsEndpoint):
        return method == "GET" and 1 <= len(steps) <= 2
    if isinstance(door, ServerEndpoints):
        return method == "GET" and door.handler(path) is not None
    return door is not None and method in ALLOWED_METHODS


def told_at(templates, path):
    """The methods that a document has for a path, as it stands there or with keys in the place of some steps."""
    _, root, *steps = path.split("/")
    keyed = product(*((step, None) for step in steps))  # as it stands first, then with ever more keys
    return next((templates[root, *one] for one in keyed if (root, *one) in templates), set())


def test_what_is_served_is_told_and_what_is_told_is_served(tmp_path):
    app = create_app(make_settings(f"sqlite+aiosqlite:///{tmp_path / 'none.db'}"))
    templates: dict[tuple[str | None, ...], set[str]] = {}
    for method, path in operations(document(ADMIN_VISIBILITY)):
        steps = tuple(None if step.startswith("{") else step for step in path.split("/")[1:])
        templates.setdefault(steps, set()).add(method)
    roots = {path.split("/")[1] for path in (*app.endpoints, *server_paths(app)) if not path.startswith("/graphql")}
    asked, differ = {*candidates(roots), *server_paths(app)}, set()
    for path in asked:
        door, plain = match_prefix(app.endpoints, {"path": path}), tuple(path.split("/")[1:])
        # A step that leads to a flow is no key; and as a key `me` leads nowhere, so that it needn't be told of.
        told = templates.get(plain, set()) if isinstance(door, FlowEndpoint) else told_at(templates, path)
        methods = {method for method in METHODS if is_served(door, method, path)}
        differ |= {(method, path) for method in methods ^ told if method in told or not path.endswith("/me")}

    assert differ == set()
    assert {"/".join(("", *filter(None, steps))) for steps in templates if None not in steps} <= asked


def test_rows_are_exported_as_the_document_says():
    assert tuple(FORMATS) == EXPORTS
    assert {"application/json", *FILE_MEDIA} == {made([]).media for made in FORMATS.values()}


@pytest.mark.parametrize("shown", [ADMIN_VISIBILITY, SchemaVisibility(frozenset(), authenticated=False)])
def test_a_document_is_valid_for_those_who_see_everything_and_for_those_who_see_nothing(shown):
    validate(document(shown))


async def test_a_document_is_valid_for_those_who_see_a_part_of_it(editors):
    validate(await document_of(editors, "wes"))


@pytest.mark.parametrize("name", PEOPLE)
async def test_a_document_shows_the_collections_and_fields_that_the_schema_shows(editors, name):
    shown = visibility_for(await editors.directory(caller(name)).access())
    told, seen = (
        document(shown)["components"]["schemas"],
        caller_schema(schema.graphql, shown).introspection_schema.type_map,
    )

    for collection in COLLECTIONS.values():
        for shape, type_ in (("", collection.name), ("filter", f"{collection.name}_filter")):
            theirs = {name for name in members(seen, type_) if not name.endswith(("_func", "_and", "_or"))}
            ours = {name for name in properties(told, name_of(collection, shape)) if name in collection.fields}
            assert ours == theirs, (collection.name, shape)
        for action in ("create", "update"):
            theirs = members(seen, input_type(action, collection))
            ours = {name for name in properties(told, name_of(collection, action)) if name in collection.fields}
            assert ours - {"id"} == theirs - {"id"}, (collection.name, action)


def members(types, name):
    return set(types[name].fields) if name in types else set()


def properties(schemas, name):
    return set(schemas.get(name, {}).get("properties", ()))


MAY = [
    #  who    method    path              told
    ("ada", "POST", "/roles", True),
    ("wes", "GET", "/roles", True),
    ("wes", "POST", "/roles", False),
    ("wes", "POST", "/users", True),
    ("wes", "DELETE", "/users/{id}", True),
    ("wes", "GET", "/policies", False),
    ("pat", "PATCH", "/users/{id}", True),
    ("pat", "DELETE", "/users/{id}", False),
    ("vi", "POST", "/users/invite", False),
    ("wes", "POST", "/users/invite", True),
    ("wes", "GET", "/users/{id}/sessions", False),
    ("ada", "GET", "/users/{id}/sessions", True),
    ("sam", "GET", "/users/me", True),
    (None, "GET", "/users/me", False),
    (None, "GET", "/roles", True),
    (None, "POST", "/auth/login", True),
    ("wes", "POST", "/utils/cache/clear", False),
]


@pytest.mark.parametrize(("name", "method", "path", "told"), MAY)
async def test_a_document_has_the_paths_that_its_reader_has_a_right_to(editors, name, method, path, told):
    assert ((method, path) in operations(await document_of(editors, name))) is told


HIDDEN = [("sam", "directus_roles"), ("sam", "Roles"), ("vi", "tfa_secret"), ("wes", "Policies"), (None, "tfa_secret")]


@pytest.mark.parametrize(("name", "hidden"), HIDDEN)
async def test_what_somebody_may_not_see_is_nowhere_in_their_document(editors, name, hidden):
    told = await document_of(editors, name)
    everybodys = orjson.dumps(await document_of(editors, "ada")).decode()
    tags = [tag for tag in told["tags"] if "x-collection" in tag]

    assert hidden in everybodys
    assert hidden not in orjson.dumps([told["components"]["schemas"], tags]).decode()


async def test_both_doors_tell_the_same_document(editors):
    async with served(editors.settings) as client:
        answer = await client.get(SPECS, headers=bearer(static_token("wes")))
    inside = await editors.execute("{ server_specs_oas }", caller=caller("wes"))

    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert inside.data["server_specs_oas"] == answer.json()


async def test_a_document_says_where_it_is_served_as_the_settings_have_it_whatever_a_request_says(readonly_db):
    async with served(readonly_db.settings) as client:
        unsaid = (await client.get(SPECS, headers={"Host": "evil.example"})).text
    async with served(readonly_db.settings.model_copy(update={"public_url": "https://users.example.com"})) as client:
        said = (await client.get(SPECS, headers={"Host": "evil.example"})).json()

    assert "servers" not in orjson.loads(unsaid)
    assert "evil.example" not in unsaid
    assert said["servers"] == [{"url": "https://users.example.com"}]


async def test_closed_introspection_closes_the_document_too(readonly_db):
    async with served(readonly_db.settings.model_copy(update={"graphql_introspection": False})) as client:
        answer = await client.get(SPECS, headers=bearer(static_token("ada")))
        asked = await client.post("/graphql/system", json={"query": "{ server_specs_oas }"})

    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (404, "ROUTE_NOT_FOUND")
    assert "Cannot query field" in asked.text


def test_where_no_passwords_are_taken_nobody_is_told_to_send_one():
    assert ("POST", "/auth/login") not in operations(document(ADMIN_VISIBILITY, SETUP._replace(by_password=False)))


async def test_a_row_is_as_its_schema_says(editors):
    told = await document_of(editors, "ada")
    user = told["components"]["schemas"]["Users"]["properties"]
    row = await editors.directory(caller("ada"))["users"].read_one(uid("ada"))

    assert set(row) == set(user)
    assert user["id"] == {"type": "string", "format": "uuid"}
    assert user["role"] == {
        "oneOf": [{"type": "string", "format": "uuid", "nullable": True}, {"$ref": "#/components/schemas/Roles"}]
    }
    assert user["password"]["description"] == "Reads as ********** where it is set."
