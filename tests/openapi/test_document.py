"""The OpenAPI document: it describes exactly what is served, and to each caller only what they may use."""

import re
from itertools import product
from pathlib import Path

import orjson
import pytest
from openapi_spec_validator import validate

from app.graphql.schema import schema
from app.graphql.types.builder import input_type
from app.graphql.visibility.caller_schema import caller_schema
from app.http.endpoint_paths import match_prefix
from app.http.endpoints.assets import AssetsEndpoint
from app.http.endpoints.collections import CollectionEndpoint
from app.http.endpoints.export import FORMATS
from app.http.endpoints.graphql import ALLOWED_METHODS
from app.http.endpoints.server import ServerEndpoints
from app.http.endpoints.system_api import SystemAPIEndpoint
from app.http.flow_endpoint import FlowEndpoint
from app.main import create_app
from app.openapi.collection_paths import EXPORT_FORMATS, EXPORT_MEDIA_TYPES
from app.openapi.document import DocumentOptions, render_document
from app.openapi.field_schemas import schema_name
from app.policy.visibility import SchemaVisibility, admin_visibility, visibility_for
from app.query.collection import BUILT_IN
from tests.base_data import caller, static_token, uid
from tests.conftest import make_settings
from tests.http.test_graphql import bearer, served

HTTP = Path(__file__).parents[2] / "app/http/endpoints"
SPECS = "/server/specs/oas"
OPTIONS = DocumentOptions("https://users.example.com/here", "directus_session_token", password_login=True)
USERS = ["ada", "wes", "rita", "vi", "ann", None]
METHODS = ("GET", "SEARCH", "POST", "PUT", "PATCH", "DELETE")


def render(visibility, options=OPTIONS):
    return orjson.loads(render_document(visibility, options))


async def render_for(system, name):
    return render(visibility_for(await system.directory(caller(name)).access()))


def operations(document):
    """Return the operations of a document as pairs of method and path."""
    return {(method.removeprefix("x-").upper(), path) for path, item in document["paths"].items() for method in item}


# the endpoints themselves decide which paths are served, among all paths made of the words they know
ID = "some-key"
DEEP_MODULES = {"users": ("me", "account_security", "api_tokens", "passkeys"), "permissions": ("me",)}
"""The roots with paths of three more segments, and the modules with the words of those."""


def path_words(*modules):
    literals = (re.findall(r'"/?([a-z/-]+)"', (HTTP / f"{module}.py").read_text()) for module in modules)
    return {ID, *(word for matches in literals for match in matches for word in match.split("/") if word)}


def candidate_paths(roots):
    yield "/graphql/system"
    words = path_words("me", "access", "account_security", "account", "auth", "server", "system_api")
    words |= path_words("api_tokens", "passkeys")
    for root in roots:
        paths = (segments for number in range(3) for segments in product(words, repeat=number))
        yield from ("/".join(("", root, *segments)) for segments in paths)
    for root, modules in DEEP_MODULES.items():
        yield from ("/".join(("", root, *segments)) for segments in product(path_words(*modules), repeat=3))


def server_paths(app):
    return set(app.endpoints["/server"].handlers)


def is_served(endpoint, method, path):
    segments = tuple(path.split("/")[2:])
    if isinstance(endpoint, FlowEndpoint):
        return (method, path) in endpoint.routes
    if isinstance(endpoint, CollectionEndpoint):
        return endpoint._handler(method, segments) is not None
    if isinstance(endpoint, AssetsEndpoint):
        return method == "GET" and 1 <= len(segments) <= 2
    if isinstance(endpoint, ServerEndpoints):
        return method == "GET" and endpoint.handler(path) is not None
    if isinstance(endpoint, SystemAPIEndpoint):
        return endpoint.handler(method, path.split("/")[1], segments) is not None
    return endpoint is not None and method in ALLOWED_METHODS


def documented_methods(templates, path):
    """Return the methods that a document has for a path, where templates may have keys in place of segments."""
    _, root, *segments = path.split("/")
    # the literal path first, then with more and more keys
    variants = product(*((segment, None) for segment in segments))
    return next((templates[root, *variant] for variant in variants if (root, *variant) in templates), set())


def test_the_document_describes_exactly_what_is_served(tmp_path):
    app = create_app(make_settings(f"sqlite+aiosqlite:///{tmp_path / 'none.db'}", studio=False))
    templates: dict[tuple[str | None, ...], set[str]] = {}
    for method, path in operations(render(admin_visibility(BUILT_IN))):
        segments = tuple(None if segment.startswith("{") else segment for segment in path.split("/")[1:])
        templates.setdefault(segments, set()).add(method)
    roots = {path.split("/")[1] for path in (*app.endpoints, *server_paths(app)) if not path.startswith("/graphql")}
    paths, differences = {*candidate_paths(roots), *server_paths(app)}, set()
    for path in paths:
        endpoint, literal = match_prefix(app.endpoints, {"path": path}), tuple(path.split("/")[1:])
        # a segment that names a flow is no key; as a key `me` is never valid, so it needs no entry
        documented = (
            templates.get(literal, set()) if isinstance(endpoint, FlowEndpoint) else documented_methods(templates, path)
        )
        methods = {method for method in METHODS if is_served(endpoint, method, path)}
        differences |= {
            (method, path) for method in methods ^ documented if method in documented or not path.endswith("/me")
        }

    assert differences == set()
    assert {"/".join(("", *filter(None, segments))) for segments in templates if None not in segments} <= paths


def test_the_documented_export_formats_are_those_served():
    assert tuple(FORMATS) == EXPORT_FORMATS
    assert {"application/json", *EXPORT_MEDIA_TYPES} == {create([]).media for create in FORMATS.values()}


@pytest.mark.parametrize(
    "visibility", [admin_visibility(BUILT_IN), SchemaVisibility(BUILT_IN, frozenset(), authenticated=False)]
)
def test_the_document_is_valid_with_everything_and_nothing_visible(visibility):
    validate(render(visibility))


async def test_the_document_is_valid_with_a_part_visible(editors):
    validate(await render_for(editors, "wes"))


@pytest.mark.parametrize("name", USERS)
async def test_the_document_contains_the_same_collections_and_fields_as_the_schema(editors, name):
    visibility = visibility_for(await editors.directory(caller(name)).access())
    schemas, types = (
        render(visibility)["components"]["schemas"],
        caller_schema(schema.graphql, visibility).introspection_schema.type_map,
    )

    for collection in BUILT_IN.values():
        for suffix, type_ in (("", collection.name), ("filter", f"{collection.name}_filter")):
            expected = {name for name in type_fields(types, type_) if not name.endswith(("_func", "_and", "_or"))}
            documented = {
                name
                for name in schema_properties(schemas, schema_name(collection, suffix))
                if name in collection.fields
            }
            assert documented == expected, (collection.name, suffix)
        for action in ("create", "update"):
            expected = type_fields(types, input_type(action, collection))
            documented = {
                name
                for name in schema_properties(schemas, schema_name(collection, action))
                if name in collection.fields
            }
            assert documented - {"id"} == expected - {"id"}, (collection.name, action)


def type_fields(types, name):
    return set(types[name].fields) if name in types else set()


def schema_properties(schemas, name):
    return set(schemas.get(name, {}).get("properties", ()))


PATH_CASES = [
    # user, method, path, is documented
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


@pytest.mark.parametrize(("name", "method", "path", "is_documented"), PATH_CASES)
async def test_the_document_contains_the_paths_that_its_reader_may_use(editors, name, method, path, is_documented):
    assert ((method, path) in operations(await render_for(editors, name))) is is_documented


HIDDEN_WORDS = [
    ("sam", "directus_roles"),
    ("sam", "Roles"),
    ("vi", "tfa_secret"),
    ("wes", "Policies"),
    (None, "tfa_secret"),
]


@pytest.mark.parametrize(("name", "hidden_name"), HIDDEN_WORDS)
async def test_hidden_names_do_not_occur_in_the_document(editors, name, hidden_name):
    document = await render_for(editors, name)
    admin_document = orjson.dumps(await render_for(editors, "ada")).decode()
    tags = [tag for tag in document["tags"] if "x-collection" in tag]

    assert hidden_name in admin_document
    assert hidden_name not in orjson.dumps([document["components"]["schemas"], tags]).decode()


async def test_rest_and_graphql_return_the_same_document(editors):
    async with served(editors.settings) as client:
        response = await client.get(SPECS, headers=bearer(static_token("wes")))
    result = await editors.execute("{ server_specs_oas }", caller=caller("wes"))

    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert result.data["server_specs_oas"] == response.json()


async def test_the_server_url_comes_from_the_settings_not_the_request(readonly_db):
    async with served(readonly_db.settings) as client:
        without_url = (await client.get(SPECS, headers={"Host": "evil.example"})).text
    async with served(readonly_db.settings.model_copy(update={"public_url": "https://users.example.com"})) as client:
        with_url = (await client.get(SPECS, headers={"Host": "evil.example"})).json()

    assert "servers" not in orjson.loads(without_url)
    assert "evil.example" not in without_url
    assert with_url["servers"] == [{"url": "https://users.example.com"}]


async def test_disabled_introspection_disables_the_document_too(readonly_db):
    async with served(readonly_db.settings.model_copy(update={"graphql_introspection": False})) as client:
        response = await client.get(SPECS, headers=bearer(static_token("ada")))
        graphql = await client.post("/graphql/system", json={"query": "{ server_specs_oas }"})

    assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (404, "ROUTE_NOT_FOUND")
    assert "Cannot query field" in graphql.text


def test_the_login_is_not_documented_if_passwords_are_disabled():
    assert ("POST", "/auth/login") not in operations(
        render(admin_visibility(BUILT_IN), OPTIONS._replace(password_login=False))
    )


async def test_a_row_has_exactly_the_documented_fields(editors):
    document = await render_for(editors, "ada")
    user = document["components"]["schemas"]["Users"]["properties"]
    row = await editors.directory(caller("ada"))["users"].read_one(uid("ada"))

    assert set(row) == set(user)
    assert user["id"] == {"type": "string", "format": "uuid"}
    assert user["role"] == {
        "oneOf": [{"type": "string", "format": "uuid", "nullable": True}, {"$ref": "#/components/schemas/Roles"}]
    }
    assert user["password"]["description"] == "Returned as ********** if it is set."
