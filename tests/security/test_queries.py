"""Published holes that a question could go through; each test bears the number of the advisory it answers."""

import time
from typing import Any

import pytest

from app.core.caller import Caller
from app.graphql.schema import schema
from app.query.aggregate import COUNT_FUNCTIONS, NUMERIC_FUNCTIONS
from app.query.collection import USERS
from app.repositories.directory import Directory
from app.repositories.services import Services
from tests.world import caller, uid

ADA, SAM, VI = caller("ada"), caller("sam"), caller("vi")
MASK = "**********"
CONCEALED = sorted(field.name for field in USERS.fields.values() if field.concealed)
SECRETS = ("static-of-", "$argon2id$", "NOTASECRET", "hidden")


def text_of(result):
    return f"{result.data} {result.errors}"


@pytest.mark.parametrize("function", [*COUNT_FUNCTIONS, *NUMERIC_FUNCTIONS])
@pytest.mark.parametrize("field", CONCEALED)
async def test_cve_2026_35442_no_aggregate_of_a_concealed_field_tells_what_is_in_it(readonly_db, field, function):
    result = await readonly_db.execute(
        f'{{ users_aggregated(groupBy: ["{field}"]) {{ group {function} {{ {field} }} }} }}', caller=ADA
    )

    assert not any(secret in text_of(result) for secret in SECRETS)
    if function in COUNT_FUNCTIONS:
        assert {row["group"][field] for row in result.data["users_aggregated"]} <= {MASK, None}
    else:
        assert "Cannot query field" in result.errors[0].message


@pytest.mark.parametrize("text", ["static-of-ada", "static-of", "$argon2id$", "NOTASECRET", "hidden", "refresh", MASK])
async def test_cve_2025_64748_a_search_does_not_reach_into_concealed_fields(readonly_db, text):
    found = await readonly_db.execute(f'{{ users(search: "{text}") {{ id }} }}', caller=ADA)
    counted = await readonly_db.execute(f'{{ users_aggregated(search: "{text}") {{ countAll }} }}', caller=ADA)
    nested = await readonly_db.execute(f'{{ roles {{ users(search: "{text}") {{ id }} }} }}', caller=ADA)

    assert found.data == {"users": []}
    assert counted.data == {"users_aggregated": [{"countAll": 0}]}
    assert all(role["users"] == [] for role in nested.data["roles"])


@pytest.mark.parametrize(
    ("who", "text"), [("vi", "example.com"), ("vi", "Edelman"), ("ed", "Edelman"), ("ed", "cs-CZ")]
)
async def test_cve_2025_30352_a_search_does_not_scan_fields_the_caller_may_not_read(readonly_db, who, text):
    assert (await readonly_db.execute(f'{{ users(search: "{text}") {{ id }} }}', caller=ADA)).data["users"]
    assert (await readonly_db.execute(f'{{ users(search: "{text}") {{ id }} }}', caller=caller(who))).data == {
        "users": []
    }


@pytest.mark.parametrize("field", CONCEALED)
async def test_cve_2024_34708_no_alias_lifts_the_mask(readonly_db, field):
    query = f"""
      fragment F on directus_users {{ fragment: {field} }}
      {{
        users(limit: -1) {{ {field} id_: {field} ...F }}
        roles {{ users {{ plain: {field} role {{ users {{ x: {field} }} }} }} }}
        revisions: users_by_id(id: "{uid("ada")}") {{ password: {field} }}
      }}
    """
    result = await readonly_db.execute(query, caller=ADA)

    assert result.errors is None
    assert MASK in text_of(result)
    assert not any(secret in text_of(result) for secret in SECRETS)


UNUSABLE = [
    "users(filter: { %s: { _starts_with: %s } }) { id }",
    "users(filter: { %s: { _eq: %s } }) { id }",
    "users(filter: { %s: { _in: [%s] } }) { id }",
    "users(filter: { role: { users: { %s: { _contains: %s } } } }) { id }",
    "roles(filter: { users: { _some: { %s: { _eq: %s } } } }) { id }",
    "roles { users(filter: { %s: { _starts_with: %s } }) { id } }",
    "users_aggregated(filter: { %s: { _starts_with: %s } }) { countAll }",
]


@pytest.mark.parametrize("question", UNUSABLE)
@pytest.mark.parametrize("field", CONCEALED)
async def test_cve_2023_27481_concealed_fields_can_only_be_asked_whether_they_are_there(readonly_db, field, question):
    result = await readonly_db.execute("{ " + question % (field, '"s"') + " }", caller=ADA)

    assert result.data is None or all(not found for found in result.data.values())
    assert result.errors


async def test_cve_2023_27481_a_variable_reaches_concealed_fields_no_further(readonly_db):
    query = "query($f: directus_users_filter) { users(filter: $f) { id } }"
    for field in ("password", "token", "tfa_secret"):
        result = await readonly_db.execute(query, {"f": {field: {"_starts_with": "s"}}}, ADA)
        assert result.data is None
        assert result.errors


@pytest.mark.parametrize(
    ("sort", "first", "last"),
    [
        ("token", [], []),
        ("-token", [], []),
        ("password", ["vi"], []),
        ("role.users.password", ["vi"], []),
        ("role.users.token", [], ["nora"]),
    ],
)
async def test_cve_2023_27481_an_order_tells_no_more_of_a_secret_than_that_it_is_there(readonly_db, sort, first, last):
    plain = (await readonly_db.execute("{ users(limit: -1) { id } }", caller=ADA)).data["users"]
    ordered = (await readonly_db.execute(f'{{ users(limit: -1, sort: ["{sort}"]) {{ id }} }}', caller=ADA)).data[
        "users"
    ]
    ends = [{"id": uid(name)} for name in (*first, *last)]
    between = [row for row in plain if row not in ends]

    assert ordered == ends[: len(first)] + between + ends[len(first) :]


@pytest.mark.parametrize("filter_", ["{ title: { _in: [] } }", "{ id: { _nin: [] } }", '{ title: { _in: "" } }'])
async def test_cve_2024_39701_an_empty_list_matches_nobody_and_says_so(readonly_db, filter_):
    result = await readonly_db.execute(f"{{ users(filter: {filter_}) {{ id }} }}", caller=ADA)

    assert result.data is None
    assert result.errors[0].original_error.code == "INVALID_QUERY"


async def test_cve_2024_39701_a_rule_on_an_empty_variable_denies(writable_db):
    """Sam has no title; Nora no role."""
    rules: list[dict[str, Any]] = [{"title": {operator: ["$CURRENT_USER.title"]}} for operator in ("_in", "_nin")]
    rules += [{"role": {"_nin": "$CURRENT_ROLES"}}]
    granted = {"id": 60, "policy": uid("policy-Public"), "action": "read", "collection": "directus_users"}
    for rule in rules:
        await writable_db.load({"directus_permissions": [{**granted, "fields": "id,title,role", "permissions": rule}]})
        for _ in range(2):  # in the ordinary way, and from a plan
            assert (await writable_db.execute("{ users { id } }", caller=caller("nora"))).data == {"users": []}


async def test_a_rule_that_looks_for_the_caller_in_a_text_is_the_same_from_a_plan(writable_db):
    """Sam's own title names him; somebody else's does too."""
    titled = [{"id": uid("sam"), "title": f"I am {uid('sam')}!"}, {"id": uid("vi"), "title": f"Of {uid('sam')} too"}]
    await writable_db.load({"directus_users": titled})
    granted = {"id": 60, "policy": uid("policy-Themselves"), "action": "read", "collection": "directus_users"}
    for operator in ("_contains", "_ncontains", "_starts_with", "_nstarts_with", "_ends_with"):
        rule = {"_and": [{"title": {"_nnull": True}}, {"title": {operator: "$CURRENT_USER"}}]}
        await writable_db.load({"directus_permissions": [{**granted, "fields": "id,title", "permissions": rule}]})
        first, again = [(await writable_db.execute("{ users { id } }", caller=caller("sam"))).data for _ in range(2)]
        assert first["users"]
        assert again == first, operator


async def test_cve_2025_64746_a_permission_on_a_field_that_is_gone_grants_nothing(readonly_db):
    """Vi's policy has one permission that names an unknown field, and one whose rule does."""
    assert (await readonly_db.execute("{ roles { id } }", caller=VI)).data is None
    rows = (await readonly_db.execute("{ users { id title } }", caller=VI)).data["users"]
    assert all(row["title"] for row in rows)


HIDDEN_AND_MISSING = [
    ("{ policies { id } }", "{ polecies { id } }", "policies", "polecies"),
    ("{ users { email } }", "{ users { emeil } }", "email", "emeil"),
    ('{ users(sort: ["email"]) { id } }', '{ users(sort: ["emeil"]) { id } }', "email", "emeil"),
    ('{ users_aggregated(groupBy: ["email"]) { group } }', '{ users_aggregated(groupBy: ["emeil"]) { group } }',
     "email", "emeil"),
    ('{ users_aggregated(groupBy: ["title"], sort: ["count.email"]) { group } }',
     '{ users_aggregated(groupBy: ["title"], sort: ["count.emeil"]) { group } }', "email", "emeil"),
    ("{ users_aggregated { count { email } } }", "{ users_aggregated { count { emeil } } }", "email", "emeil"),
    ("{ users(filter: { email: { _null: true } }) { id } }", "{ users(filter: { emeil: { _null: true } }) { id } }",
     "email", "emeil"),
    (f'{{ users_by_id(id: "{uid("kit")}") {{ id }} }}', f'{{ users_by_id(id: "{uid("not")}") {{ id }} }}',
     uid("kit"), uid("not")),
]  # fmt: skip


@pytest.mark.parametrize(("hidden", "missing", "name", "other"), HIDDEN_AND_MISSING)
async def test_cve_2025_64749_what_is_hidden_answers_to_the_letter_as_what_is_missing(
    readonly_db, hidden, missing, name, other
):
    first, second = await readonly_db.execute(hidden, caller=VI), await readonly_db.execute(missing, caller=VI)

    assert first.errors
    assert text_of(first).replace(name, other) == text_of(second)


@pytest.mark.counting
async def test_ghsa_6q22_g298_grjh_the_same_question_under_many_aliases_is_one_statement(readonly_db):
    await readonly_db.directory(ADA).access()
    asked = readonly_db.database.reader.statements
    aliases = " ".join(f"a{n}: users(limit: 3) {{ id }}" for n in range(300))
    result = await readonly_db.execute(f"{{ {aliases} }}", caller=ADA)

    assert len(result.data) == 300
    assert readonly_db.database.reader.statements - asked == 1


@pytest.mark.parametrize(
    "query",
    [
        "{" + "id " * 6_000 + "}",
        "fragment A on Query { " + "...B " * 30 + "} fragment B on Query { " + "...C " * 30 + "}"
        "fragment C on Query { " + " ".join(f"a{n}: server_ping" for n in range(30)) + " } { ...A }",
        "# comment\n" * 6_000 + "{ server_ping }",
        "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
        "{ " + "a: users { id } " * 900 + "}",
        "{ users { " + "role { users { " * 300 + "id " + "} } " * 300 + "} }",
    ],
)
async def test_cve_2024_39895_and_cve_2026_75507_what_is_cheap_to_ask_is_not_dear_to_answer(readonly_db, query):
    """Repeated fields, fragments that multiply, comments, fragments in a circle, conflicts, depth."""
    started = time.perf_counter()
    result = await readonly_db.execute(query, caller=ADA)

    assert time.perf_counter() - started < 3
    assert result.errors or len(result.data["a"]) <= 100


CLOSED = [
    "{ __schema { queryType { name } } }",
    '{ __type(name: "directus_users") { name } }',
    "{ server_specs_graphql(scope: system) }",
    "{ server_specs_oas }",
    "{ users_me { emal } }",
    "{ usrs { id } }",
    "{ users(filter: { titel: { _eq: 1 } }) { id } }",
]


@pytest.mark.parametrize("query", CLOSED)
async def test_cve_2026_35413_closed_introspection_is_closed_at_every_door(readonly_db, query):
    settings = readonly_db.settings.model_copy(update={"graphql_introspection": False})
    closed = Directory(ADA, Services.from_settings(readonly_db.database, settings))
    result = await schema.execute(query, context_value=closed)

    assert result.data is None
    assert "Did you mean" not in text_of(result)


async def test_cve_2026_35413_a_variables_mistake_gets_no_suggestion_either(readonly_db):
    settings = readonly_db.settings.model_copy(update={"graphql_introspection": False})
    closed = Directory(ADA, Services.from_settings(readonly_db.database, settings))
    query = "query($f: directus_users_filter) { users(filter: $f) { id } }"
    result = await schema.execute(query, {"f": {"titel": {"_eq": "x"}}}, context_value=closed)

    assert "titel" in text_of(result)
    assert "Did you mean" not in text_of(result)


async def test_cve_2026_61836_two_callers_with_one_question_never_share_an_answer(readonly_db):
    query = "{ users(limit: -1) { id first_name } users_me { id } }"
    people = ["ada", "ed", "vi", "sam"]
    first = [await readonly_db.execute(query, caller=caller(name)) for name in people]
    again = [await readonly_db.execute(query, caller=caller(name)) for name in people]

    assert [r.data for r in first] == [r.data for r in again]
    assert len({text_of(r) for r in first}) == len(people)
    assert [r.data["users_me"]["id"] for r in first] == [uid(name) for name in people]


async def test_pr_28190_a_policy_bound_to_an_address_is_never_remembered_for_another(readonly_db):
    inside, outside = caller("kit", "10.1.0.7"), caller("kit", "10.2.0.7")
    for _ in range(3):
        assert len((await readonly_db.execute("{ users { id } }", caller=inside)).data["users"]) == 9
        assert (await readonly_db.execute("{ users { id } }", caller=outside)).data is None


async def test_cve_2024_54151_nobody_is_never_an_admin(readonly_db):
    for nobody in (Caller(), Caller(ip="10.1.0.7"), Caller(token="")):
        result = await readonly_db.execute("{ users { id } }", caller=nobody)
        assert result.data is None
