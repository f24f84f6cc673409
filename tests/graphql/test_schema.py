"""The schema: printed as recorded, and for each caller only its own part of it."""

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
from app.query.collection import COLLECTIONS
from tests.world import caller

ROOT = Path(__file__).parents[2]
INTROSPECTION = "{ __schema { queryType { fields { name } } types { name } } }"


def test_schema_graphql_is_the_schema_that_is_served():
    assert (ROOT / "schema.graphql").read_text() == printed_schema(), "run `make schema`, and look at what changed"


BEYOND = {
    "Query": {"users_me_sessions", "users_sessions"},
    "Mutation": {
        "users_invite_revoke",
        "users_me_tfa_recovery_codes",
        "users_me_sessions_revoke",
        "users_sessions_revoke",
    },
}
"""Root fields that a real Directus doesn't have; those that tell something have a type of their own."""
BEYOND_TYPES = {"users_me_session"}
LEFT_OUT = {"utils_sort", "utils_revert"}
"""Mutations of nobody's rows that aren't served."""


def members(sdl: GraphQLSchema, name: str) -> dict[str, str]:
    type_ = sdl.type_map[name]
    assert is_object_type(type_) or is_input_object_type(type_)
    return {field: str(of.type) for field, of in type_.fields.items()}


def test_every_type_is_printed_as_a_real_directus_prints_it(recordings):
    ours, theirs = (
        build_schema(printed_schema()),
        build_schema((recordings / "oracle/sdl/system.admin.graphql").read_text()),
    )
    types = [name for name, of in ours.type_map.items() if hasattr(of, "fields") and not name.startswith("__")]
    # directus_versions isn't served, so that a revision's version is its key.
    left_out = {"directus_revisions", "directus_revisions_filter", "directus_revisions_quantifier_filter"}
    left_out |= {"Query", "Mutation"} | BEYOND_TYPES
    different = {name for name in types if name not in left_out and members(ours, name) != members(theirs, name)}

    assert different == set()
    for root, more in BEYOND.items():
        assert members(ours, root).keys() & members(theirs, root).keys() == members(ours, root).keys() - more
        assert {item for item in members(ours, root).items() if item[0] not in more} <= members(theirs, root).items()


def account_mutations(sdl: GraphQLSchema) -> dict[str, str]:
    """The mutations of accounts and tools, with their arguments, in the order in which they are printed."""
    assert sdl.mutation_type is not None
    of_rows = ("create_", "update_", "delete_", "import_", "duplicate_")
    return {
        name: f"({', '.join(f'{key}: {of.type}' for key, of in field.args.items())}): {field.type}"
        for name, field in sdl.mutation_type.fields.items()
        if not name.startswith(of_rows) and name not in LEFT_OUT | BEYOND["Mutation"]
    }


ACTORS = ["editor", "limited", "own", "multi", "rules", "roleadmin", "app", "norole", "public"]


@pytest.mark.parametrize("actor", ACTORS)
async def test_each_caller_sees_what_a_real_directus_shows_it(fixture_world, recordings, actor):
    theirs = build_schema((recordings / f"oracle/sdl/system.{actor}.graphql").read_text())
    who = Caller(ip="127.0.0.1") if actor == "public" else Caller(token=f"token-{actor}-aaaaaaaaaaaaaaaaaaaa")
    access = await fixture_world.directory(who).access()
    ours = caller_schema(schema.graphql, visibility_for(access)).introspection_schema
    assert ours.query_type is not None

    for collection in COLLECTIONS.values():
        if collection.short_name in ("users", "roles", "policies", "access"):
            for shape in ("{}", "{}_filter", "create_{}_input", "update_{}_input"):
                name = shape.format(collection.name)
                assert (name in ours.type_map) == (name in theirs.type_map), name
                if name in ours.type_map:
                    assert members(ours, name) == members(theirs, name), name
    shown = ours.query_type.fields.keys() - BEYOND["Query"]
    assert shown <= theirs.type_map["Query"].fields.keys()  # type: ignore[attr-defined]
    assert list(account_mutations(ours).items()) == list(account_mutations(theirs).items())


def test_the_mutations_of_accounts_are_printed_as_recorded_and_in_that_order(recordings):
    theirs = build_schema((recordings / "oracle/sdl/system.admin.graphql").read_text())

    assert list(account_mutations(build_schema(printed_schema())).items()) == list(account_mutations(theirs).items())
    assert "users_invite" in account_mutations(theirs)


@pytest.mark.parametrize(
    ("who", "shown"),
    [
        ("ada", BEYOND["Query"] | BEYOND["Mutation"] | {"users_invite"}),
        ("ed", {"users_me_sessions", "users_me_sessions_revoke", "users_me_tfa_recovery_codes"}),
        (None, {"users_me_sessions", "users_me_sessions_revoke", "users_me_tfa_recovery_codes"}),
    ],
)
async def test_what_only_some_may_do_only_they_see(readonly_db, who, shown):
    ours = caller_schema(
        schema.graphql, visibility_for(await readonly_db.directory(caller(who)).access())
    ).introspection_schema
    assert ours.query_type is not None
    assert ours.mutation_type is not None
    of_some = BEYOND["Query"] | BEYOND["Mutation"] | {"users_invite"}

    assert (ours.query_type.fields.keys() | ours.mutation_type.fields.keys()) & of_some == shown


@pytest.fixture
async def fixture_world(recordings, tmp_path):
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


async def test_introspection_shows_a_caller_its_own_part(readonly_db):
    vi = (await readonly_db.execute(INTROSPECTION, caller=caller("vi"))).data["__schema"]
    nobody = (await readonly_db.execute(INTROSPECTION, caller=caller("kit"))).data["__schema"]

    assert {"name": "users"} in vi["queryType"]["fields"]
    assert {"name": "directus_users_filter"} in vi["types"]
    assert not any("roles" in type_["name"] for type_ in vi["types"])
    assert {"name": "_empty"} in nobody["queryType"]["fields"]
    assert not any("directus_" in type_["name"] for type_ in nobody["types"])


async def test_an_introspection_is_made_once_for_all_who_see_the_same(readonly_db):
    first = await readonly_db.execute(INTROSPECTION, caller=caller("ed"))
    again = await readonly_db.execute(INTROSPECTION, caller=caller("ed"))
    other = await readonly_db.execute(INTROSPECTION, caller=caller("vi"))
    mixed = await readonly_db.execute("{ __schema { queryType { name } } users_me { id } }", caller=caller("ed"))

    assert first.data == again.data
    assert first.data != other.data
    assert mixed.data["users_me"] is not None


async def test_introspections_without_end_take_so_much_memory_and_no_more(readonly_db, monkeypatch):
    kept = LRUCache[Any, Any](40)
    monkeypatch.setattr("app.graphql.schema.introspections", kept)
    for number in range(6):
        again = get_introspection_query().replace("IntrospectionQuery", f"Query{number}")
        assert (await readonly_db.execute(again, caller=caller("vi"))).errors is None

    assert 1 <= len(kept) < 4

    monkeypatch.setattr("app.graphql.schema.LONGEST_INTROSPECTION", 1_000)
    before = len(kept)
    assert (await readonly_db.execute(f"query Long {INTROSPECTION}", caller=caller("vi"))).errors is None
    assert len(kept) == before


SPYING = [
    "{ users { emial } }",
    "{ users { tokn } }",
    "{ polcies { id } }",
    "{ users(filter: { emal: { _eq: 1 } }) { id } }",
    "{ ... on directus_policies { id } }",
    "query($f: directus_policies_filter) { users { id } }",
]


@pytest.mark.parametrize("query", SPYING)
async def test_a_suggestion_never_names_what_the_caller_may_not_see(readonly_db, query):
    result = await readonly_db.execute(query, caller=caller("vi"))
    words = " ".join(error.message for error in result.errors)

    assert result.data is None
    for hidden in ("'email'", "'tfa_secret'", "'policies'", "policies_by_id"):
        assert hidden not in words


@pytest.mark.parametrize("field", ["email", "no_such_field"])
async def test_what_may_not_be_seen_answers_as_what_does_not_exist(readonly_db, field):
    asked = await readonly_db.execute(f"{{ users {{ {field} }} }}", caller=caller("vi"))
    filtered = await readonly_db.execute(
        "query($f: directus_users_filter) { users(filter: $f) { id } }", {"f": {field: {"_eq": "x"}}}, caller("vi")
    )

    assert asked.errors[0].message == f"Cannot query field '{field}' on type 'directus_users'."
    assert f"'directus_users_filter' not to include unknown field '{field}', found" in filtered.errors[0].message


DOCUMENTS = [
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


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize("who", ["ada", "ed", "vi", "sam", "ann", "nora", None])
async def test_the_set_check_and_the_filtered_schema_agree(readonly_db, who, document):
    """Nothing is let in that the caller's own schema would refuse, and nothing refused that it would let in."""
    from app.graphql.documents.operation import compile_operation, parse_document

    access = await readonly_db.directory(caller(who)).access()
    own = caller_schema(schema.graphql, visibility_for(access))
    parsed = parse_document(document, 5000)
    full = compile_operation(schema.graphql, parsed, None)

    admitted = not full.errors and own.allows(full.coordinates)
    assert admitted == (not compile_operation(own.schema, parsed, None).errors)


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
async def test_a_relation_can_be_asked_for_and_filtered_by_its_key(readonly_db, query, variables):
    import json

    from tests.world import uid

    key = uid("role-Editor")
    given = json.loads(json.dumps(variables).replace("%s", key))
    result = await readonly_db.execute(query.replace("%s", key), given, caller("ed"))

    assert {row["first_name"] for row in result.data["users"]} == {"Ed", "Ida"}
    assert {row["role"] for row in result.data["users"]} == {key}


async def test_the_inner_spelling_of_a_key_can_not_be_written_by_a_client(readonly_db):
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
BOMBS = {
    "fragments that double at every level": "{ roles { ...F39 } } " + NESTED,
    "a fragment that spreads itself": "{ users { ...A } } fragment A on directus_users { role { users { ...A } } }",
    "fragments that spread each other": (
        "{ users { ...A } } fragment A on directus_users { ...B } fragment B on directus_users { ...A }"
    ),
    "thousands of aliases": "{" + " ".join(f"a{n}: users_me {{ id }}" for n in range(1200)) + "}",
    "too many tokens": "{" + " ".join(f"a{n}: server_ping" for n in range(2000)) + "}",
    "comments without end": "{ server_ping }" + "\n#x" * 6000,
    "a selection as deep as the parser goes": "{ users " + "{ role { users " * 300 + "{ id }" + "} }" * 300 + "}",
    "many lists with other limits": "{ roles {"
    + " ".join(f"u{n}: users(limit: {n + 1}) {{ id }}" for n in range(400))
    + "} }",
    "introspection that turns in circles": "{ __schema { types "
    + "{ fields { type " * 12
    + "{ name }"
    + "} }" * 12
    + "} }",
}


@pytest.mark.parametrize("bomb", BOMBS)
async def test_a_document_made_to_be_heavy_is_answered_within_bounded_time(readonly_db, bomb):
    import asyncio

    asked = readonly_db.database.reader.statements
    result = await asyncio.wait_for(readonly_db.execute(BOMBS[bomb], caller=caller("ada")), 15)

    assert result.data is None or bomb in ("thousands of aliases", "many lists with other limits"), bomb
    assert readonly_db.database.reader.statements - asked <= 3


@pytest.mark.parametrize(("aliases", "answered"), [(40, True), (70, False)])
async def test_one_list_joins_so_many_relations_and_no_more(readonly_db, aliases, answered):
    asked = " ".join(f'r{n}: role(filter: {{ name: {{ _neq: "{n}" }} }}) {{ name }}' for n in range(aliases))
    result = await readonly_db.execute(f"{{ users(limit: 2) {{ {asked} }} }}", caller=caller("ada"))

    assert (result.errors is None) is answered
    assert answered or result.errors[0].original_error.code == "INVALID_QUERY"


@pytest.mark.counting
async def test_the_same_question_under_a_thousand_aliases_is_one_statement(readonly_db):
    await readonly_db.directory(caller("ada")).access()
    asked = readonly_db.database.reader.statements
    result = await readonly_db.execute(
        "{" + " ".join(f"a{n}: users_me {{ id }}" for n in range(800)) + "}", caller=caller("ada")
    )

    assert len(result.data) == 800
    assert readonly_db.database.reader.statements - asked == 1


async def test_a_limit_says_its_value(readonly_db):
    result = await readonly_db.execute(
        "{" + " ".join(f"a{n}: server_ping" for n in range(2000)) + "}", caller=caller("ada")
    )

    assert isinstance(result.errors[0].original_error, GraphQLValidation)
    assert "5000" in str(result.errors[0].original_error.details)
