"""The schema as printed, and the part of it that each caller sees."""

from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLSchema, build_schema, get_introspection_query, is_input_object_type, is_object_type

from app.core.cache import LRUCache
from app.core.caller import Caller
from app.core.errors import GraphQLValidation
from app.graphql.schema import printed_schema, schema
from app.graphql.visibility.caller_schema import caller_schema
from app.policy.visibility import visibility_for
from app.query.collection import BUILT_IN
from tests.base_data import caller

ROOT = Path(__file__).parents[2]
INTROSPECTION = "{ __schema { queryType { fields { name } } types { name } } }"


def test_schema_graphql_is_the_served_schema():
    assert (ROOT / "schema.graphql").read_text() == printed_schema(), "run `make schema` and review the changes"


OWN_FIELDS = {
    "Query": {
        "access_explain",
        "access_who_can",
        "users_me_sessions",
        "users_me_passkeys",
        "users_me_tokens",
        "users_passkeys",
        "users_sessions",
        "users_tokens",
    },
    "Subscription": set(),
    "Mutation": {
        "auth_passkey_login",
        "auth_passkey_options",
        "users_invite_revoke",
        "users_me_passkeys_create",
        "users_me_passkeys_options",
        "users_me_passkeys_rename",
        "users_me_passkeys_revoke",
        "users_me_tfa_recovery_codes",
        "users_passkeys_revoke",
        "users_me_sessions_revoke",
        "users_sessions_revoke",
        "access_simulate",
        "create_tokens_item",
        "delete_tokens_item",
    },
}
"""Root fields that Directus doesn't have; those that return objects have types of their own."""
OWN_TYPES = {
    "users_me_session",
    "api_token",
    "passkey",
    "passkey_options",
    "passkey_use",
    "created_api_token",
    "create_tokens_input",
    "access_condition",
    "access_explanation",
    "access_holders",
    "access_holding_role",
    "access_holding_user",
    "access_origin",
    "access_permission",
    "access_policy",
    "deletion_reference",
    "access_row_counts",
    "access_field_change",
    "access_action_change",
    "access_standing",
    "access_role",
    "access_effect",
    "access_last_admin",
    "access_simulation",
    "access_change_input",
}
EXPIRY_MEMBERS = {"expires", "expires_func"}
OWN_MEMBERS = {
    "delete_one": {"references"},
    "delete_many": {"references"},
    "directus_access": EXPIRY_MEMBERS,
    "directus_access_aggregated_count": {"expires"},
    "directus_access_filter": EXPIRY_MEMBERS,
    "directus_access_quantifier_filter": EXPIRY_MEMBERS,
    "create_directus_access_input": {"expires"},
    "update_directus_access_input": {"expires"},
}
"""Nullable fields that types of Directus have in addition, which its clients do not select."""
UNSUPPORTED_MUTATIONS = {"utils_sort", "utils_revert"}
"""Mutations, other than of rows, that Rollcall doesn't support."""


def field_types(sdl: GraphQLSchema, name: str) -> dict[str, str]:
    type_ = sdl.type_map[name]
    assert is_object_type(type_) or is_input_object_type(type_)
    added = OWN_MEMBERS.get(name, set())
    return {field: str(field_.type) for field, field_ in type_.fields.items() if field not in added}


def test_every_type_equals_the_one_of_a_real_directus(recordings):
    own, recorded = (
        build_schema(printed_schema()),
        build_schema((recordings / "oracle/sdl/system.admin.graphql").read_text()),
    )
    types = [name for name, type_ in own.type_map.items() if hasattr(type_, "fields") and not name.startswith("__")]
    # directus_versions isn't supported, so a revision's `version` is a plain id
    excluded = {"directus_revisions", "directus_revisions_filter", "directus_revisions_quantifier_filter"}
    excluded |= {"Query", "Mutation", "Subscription"} | OWN_TYPES
    different = {
        name for name in types if name not in excluded and field_types(own, name) != field_types(recorded, name)
    }

    assert different == set()
    for root, added in OWN_FIELDS.items():
        assert (
            field_types(own, root).keys() & field_types(recorded, root).keys() == field_types(own, root).keys() - added
        )
        assert {field for field in field_types(own, root).items() if field[0] not in added} <= field_types(
            recorded, root
        ).items()


def account_mutations(sdl: GraphQLSchema) -> dict[str, str]:
    """Return the mutations of accounts and utilities with their signatures, in printed order."""
    assert sdl.mutation_type is not None
    row_prefixes = ("create_", "update_", "delete_", "import_", "duplicate_")
    return {
        name: f"({', '.join(f'{key}: {of.type}' for key, of in field.args.items())}): {field.type}"
        for name, field in sdl.mutation_type.fields.items()
        if not name.startswith(row_prefixes) and name not in UNSUPPORTED_MUTATIONS | OWN_FIELDS["Mutation"]
    }


ACTORS = ["editor", "limited", "own", "multi", "rules", "roleadmin", "app", "norole", "public"]


@pytest.mark.parametrize("actor", ACTORS)
async def test_each_caller_sees_the_same_schema_as_in_a_real_directus(recorded_db, recordings, actor):
    recorded = build_schema((recordings / f"oracle/sdl/system.{actor}.graphql").read_text())
    caller_ = Caller(ip="127.0.0.1") if actor == "public" else Caller(token=f"token-{actor}-aaaaaaaaaaaaaaaaaaaa")
    access = await recorded_db.directory(caller_).access()
    own = caller_schema(schema.graphql, visibility_for(access)).introspection_schema
    assert own.query_type is not None

    for collection in BUILT_IN.values():
        if collection.short_name in ("users", "roles", "policies", "access"):
            for pattern in ("{}", "{}_filter", "create_{}_input", "update_{}_input"):
                name = pattern.format(collection.name)
                assert (name in own.type_map) == (name in recorded.type_map), name
                if name in own.type_map:
                    assert field_types(own, name) == field_types(recorded, name), name
    query_fields = own.query_type.fields.keys() - OWN_FIELDS["Query"]
    assert query_fields <= recorded.type_map["Query"].fields.keys()  # type: ignore[attr-defined]
    assert list(account_mutations(own).items()) == list(account_mutations(recorded).items())


def test_account_mutations_are_printed_as_recorded_and_in_that_order(recordings):
    recorded = build_schema((recordings / "oracle/sdl/system.admin.graphql").read_text())

    assert list(account_mutations(build_schema(printed_schema())).items()) == list(account_mutations(recorded).items())
    assert "users_invite" in account_mutations(recorded)


FOR_EVERYONE = {
    "access_explain",
    "auth_passkey_login",
    "auth_passkey_options",
    "users_me_passkeys",
    "users_me_passkeys_create",
    "users_me_passkeys_options",
    "users_me_passkeys_rename",
    "users_me_passkeys_revoke",
    "users_me_sessions",
    "users_me_sessions_revoke",
    "users_me_tfa_recovery_codes",
    "users_me_tokens",
}


@pytest.mark.parametrize(
    ("user", "visible"),
    [
        ("ada", OWN_FIELDS["Query"] | OWN_FIELDS["Mutation"] | {"users_invite"}),
        ("ed", FOR_EVERYONE | {"create_tokens_item", "delete_tokens_item"}),
        (None, FOR_EVERYONE),
    ],
)
async def test_restricted_fields_are_visible_only_to_permitted_callers(readonly_db, user, visible):
    own = caller_schema(
        schema.graphql, visibility_for(await readonly_db.directory(caller(user)).access())
    ).introspection_schema
    assert own.query_type is not None
    assert own.mutation_type is not None
    restricted = OWN_FIELDS["Query"] | OWN_FIELDS["Mutation"] | {"users_invite"}

    assert (own.query_type.fields.keys() | own.mutation_type.fields.keys()) & restricted == visible


@pytest.fixture
async def recorded_db(recordings, tmp_path):
    import json

    from app.flows.bootstrap import bootstrap
    from app.flows.import_export import import_rows
    from app.testing import open_system
    from tests.conftest import make_settings

    settings = make_settings(f"sqlite:///{tmp_path / 'fixture.db'}")
    async with open_system(settings) as system:
        await bootstrap(system.database, settings)
        await import_rows(system.database, json.loads((recordings / "oracle/fixture.json").read_text()))
        yield system


async def test_introspection_returns_only_what_the_caller_sees(readonly_db):
    vi = (await readonly_db.execute(INTROSPECTION, caller=caller("vi"))).data["__schema"]
    kit = (await readonly_db.execute(INTROSPECTION, caller=caller("kit"))).data["__schema"]

    assert {"name": "users"} in vi["queryType"]["fields"]
    assert {"name": "directus_users_filter"} in vi["types"]
    assert not any("roles" in type_["name"] for type_ in vi["types"])
    assert {"name": "_empty"} in kit["queryType"]["fields"]
    assert not any("directus_" in type_["name"] for type_ in kit["types"])


async def test_cached_introspections_are_shared_only_by_callers_with_the_same_schema(readonly_db):
    first = await readonly_db.execute(INTROSPECTION, caller=caller("ed"))
    second = await readonly_db.execute(INTROSPECTION, caller=caller("ed"))
    other = await readonly_db.execute(INTROSPECTION, caller=caller("vi"))
    mixed = await readonly_db.execute("{ __schema { queryType { name } } users_me { id } }", caller=caller("ed"))

    assert first.data == second.data
    assert first.data != other.data
    assert mixed.data["users_me"] is not None


async def test_the_cache_of_introspections_is_bounded(readonly_db, monkeypatch):
    cache = LRUCache[Any, Any](40)
    monkeypatch.setattr("app.graphql.schema.introspection_cache", cache)
    for number in range(6):
        query = get_introspection_query().replace("IntrospectionQuery", f"Query{number}")
        assert (await readonly_db.execute(query, caller=caller("vi"))).errors is None

    assert 1 <= len(cache) < 4

    monkeypatch.setattr("app.graphql.schema.MAX_INTROSPECTION_BYTES", 1_000)
    before = len(cache)
    assert (await readonly_db.execute(f"query Long {INTROSPECTION}", caller=caller("vi"))).errors is None
    assert len(cache) == before


MISSPELLED_QUERIES = [
    "{ users { emial } }",
    "{ users { tokn } }",
    "{ polcies { id } }",
    "{ users(filter: { emal: { _eq: 1 } }) { id } }",
    "{ ... on directus_policies { id } }",
    "query($f: directus_policies_filter) { users { id } }",
]


@pytest.mark.parametrize("query", MISSPELLED_QUERIES)
async def test_suggestions_never_name_what_the_caller_may_not_see(readonly_db, query):
    result = await readonly_db.execute(query, caller=caller("vi"))
    messages = " ".join(error.message for error in result.errors)

    assert result.data is None
    for hidden in ("'email'", "'tfa_secret'", "'policies'", "policies_by_id"):
        assert hidden not in messages


@pytest.mark.both_databases
@pytest.mark.parametrize("field", ["email", "no_such_field"])
async def test_hidden_and_unknown_fields_get_the_same_error(readonly_db, field):
    selected = await readonly_db.execute(f"{{ users {{ {field} }} }}", caller=caller("vi"))
    filtered = await readonly_db.execute(
        "query($f: directus_users_filter) { users(filter: $f) { id } }", {"f": {field: {"_eq": "x"}}}, caller("vi")
    )

    assert selected.errors[0].message == f"Cannot query field '{field}' on type 'directus_users'."
    assert f"'directus_users_filter' not to include unknown field '{field}', found" in filtered.errors[0].message


VISIBILITY_DOCUMENTS = [
    "{ users { id first_name title } }",
    "{ users { id email } }",
    "{ users { role } }",
    "{ users { role { name } } }",
    "{ users(filter: { role: { _null: true } }) { id } }",
    "{ users(filter: { role: { name: { _eq: 1 } } }) { id } }",
    "{ roles { id users { id } parent } }",
    "{ roles { parent { id } children { id } } }",
    "{ roles_me { id } users_me { id } }",
    "{ access { id } }",
    "{ _empty server_ping }",
    "query($f: directus_roles_filter) { roles(filter: $f) { id } }",
    "{ ...A } fragment A on Query { server_ping ... on Query { users_me { id } } }",
    "mutation { ...A } fragment A on Mutation { utils_random_string }",
    'mutation { users_invite(email: "a@example.com", role: "x") }',
    'mutation { users_sessions_revoke(user: "x") }',
]


@pytest.mark.parametrize("document", VISIBILITY_DOCUMENTS)
@pytest.mark.parametrize("user", ["ada", "ed", "vi", "sam", "ann", "nora", None])
async def test_the_coordinate_check_agrees_with_validation_against_the_callers_schema(readonly_db, user, document):
    """Both accept and both reject the same documents."""
    from app.graphql.documents.operation import compile_operation, parse_document

    access = await readonly_db.directory(caller(user)).access()
    visible = caller_schema(schema.graphql, visibility_for(access))
    parsed = parse_document(document, 5000)
    full = compile_operation(schema.graphql, parsed, None)

    is_allowed = not full.errors and visible.allows(full.coordinates)
    assert is_allowed == (not compile_operation(visible.schema, parsed, None).errors)


RELATIONS = [
    ('{ users(filter: { role: { _eq: "%s" } }, sort: ["id"]) { first_name role } }', None),
    (
        'query($o: id_filter_operators) { users(filter: { role: $o }, sort: ["id"]) { first_name role } }',
        {"o": {"_eq": "%s"}},
    ),
    (
        'query($f: directus_users_filter) { users(filter: $f, sort: ["id"]) { first_name role } }',
        {"f": {"_and": [{"role": {"_eq": "%s"}}]}},
    ),
    ('{ users(filter: { role: { id: { _eq: "%s" } } }, sort: ["id"]) { first_name role } }', None),
]


@pytest.mark.parametrize(("query", "variables"), RELATIONS)
async def test_a_relation_can_be_selected_and_filtered_by_its_id(readonly_db, query, variables):
    import json

    from tests.base_data import uid

    key = uid("role-Editor")
    filled_variables = json.loads(json.dumps(variables).replace("%s", key))
    result = await readonly_db.execute(query.replace("%s", key), filled_variables, caller("ed"))

    assert {row["first_name"] for row in result.data["users"]} == {"Ed", "Ida"}
    assert {row["role"] for row in result.data["users"]} == {key}


async def test_clients_cannot_use_the_internal_notation_of_a_key(readonly_db):
    literal = await readonly_db.execute(
        "{ users(filter: { role: { _key: { _null: true } } }) { id } }", caller=caller("ada")
    )
    variable = await readonly_db.execute(
        "query($f: directus_users_filter) { users(filter: $f) { id } }",
        {"f": {"role": {"_key": {"_null": True}}}},
        caller("ada"),
    )
    alias = await readonly_db.execute("{ users { __key: id } }", caller=caller("ada"))

    assert literal.data is variable.data is alias.data is None


NESTED = "fragment F0 on directus_roles { id }" + "".join(
    f" fragment F{n} on directus_roles {{ a: parent {{ ...F{n - 1} }} b: parent {{ ...F{n - 1} }} }}"
    for n in range(1, 40)
)
EXPENSIVE_DOCUMENTS = {
    "fragments that double at every level": "{ roles { ...F39 } } " + NESTED,
    "a fragment that spreads itself": "{ users { ...A } } fragment A on directus_users { role { users { ...A } } }",
    "fragments that spread each other": (
        "{ users { ...A } } fragment A on directus_users { ...B } fragment B on directus_users { ...A }"
    ),
    "thousands of aliases": "{" + " ".join(f"a{n}: users_me {{ id }}" for n in range(1200)) + "}",
    "too many tokens": "{" + " ".join(f"a{n}: server_ping" for n in range(2000)) + "}",
    "thousands of comments": "{ server_ping }" + "\n#x" * 6000,
    "a selection as deep as the parser accepts": "{ users " + "{ role { users " * 300 + "{ id }" + "} }" * 300 + "}",
    "many lists with different limits": "{ roles {"
    + " ".join(f"u{n}: users(limit: {n + 1}) {{ id }}" for n in range(400))
    + "} }",
    "recursive introspection": "{ __schema { types " + "{ fields { type " * 12 + "{ name }" + "} }" * 12 + "} }",
}


@pytest.mark.parametrize("document", EXPENSIVE_DOCUMENTS)
async def test_expensive_documents_are_rejected_or_executed_in_bounded_time(readonly_db, document):
    import asyncio

    before = readonly_db.database.reader.statements
    result = await asyncio.wait_for(readonly_db.execute(EXPENSIVE_DOCUMENTS[document], caller=caller("ada")), 15)

    assert result.data is None or document in ("thousands of aliases", "many lists with different limits"), document
    assert readonly_db.database.reader.statements - before <= 3


@pytest.mark.parametrize(("aliases", "is_allowed"), [(40, True), (70, False)])
async def test_the_number_of_joined_relations_of_a_list_is_limited(readonly_db, aliases, is_allowed):
    relations = " ".join(f'r{n}: role(filter: {{ name: {{ _neq: "{n}" }} }}) {{ name }}' for n in range(aliases))
    result = await readonly_db.execute(f"{{ users(limit: 2) {{ {relations} }} }}", caller=caller("ada"))

    assert (result.errors is None) is is_allowed
    assert is_allowed or result.errors[0].original_error.code == "INVALID_QUERY"


@pytest.mark.counting
async def test_one_query_under_many_aliases_is_one_statement(readonly_db):
    await readonly_db.directory(caller("ada")).access()
    before = readonly_db.database.reader.statements
    result = await readonly_db.execute(
        "{" + " ".join(f"a{n}: users_me {{ id }}" for n in range(400)) + "}", caller=caller("ada")
    )

    assert len(result.data) == 400
    assert readonly_db.database.reader.statements - before == 1


async def test_the_error_of_a_limit_contains_its_value(readonly_db):
    result = await readonly_db.execute(
        "{" + " ".join(f"a{n}: server_ping" for n in range(2000)) + "}", caller=caller("ada")
    )

    assert isinstance(result.errors[0].original_error, GraphQLValidation)
    assert "5000" in str(result.errors[0].original_error.details)
