"""Known vulnerabilities through queries; each test is named after the advisory."""

import time
from typing import Any

import pytest

from app.core.caller import Caller
from app.graphql.schema import schema
from app.query.aggregate import COUNT_FUNCTIONS, NUMERIC_FUNCTIONS
from app.query.collection import USERS
from app.repositories.directory import Directory
from app.repositories.services import Services
from tests.base_data import caller, uid

ADA, SAM, VI = caller("ada"), caller("sam"), caller("vi")
MASK = "**********"
CONCEALED = sorted(field.name for field in USERS.fields.values() if field.concealed)
SECRETS = ("static-of-", "$argon2id$", "NOTASECRET", "hidden")


def text_of(result):
    return f"{result.data} {result.errors}"


@pytest.mark.parametrize("function", [*COUNT_FUNCTIONS, *NUMERIC_FUNCTIONS])
@pytest.mark.parametrize("field", CONCEALED)
async def test_cve_2026_35442_aggregates_do_not_disclose_concealed_fields(readonly_db, field, function):
    result = await readonly_db.execute(
        f'{{ users_aggregated(groupBy: ["{field}"]) {{ group {function} {{ {field} }} }} }}', caller=ADA
    )

    assert not any(secret in text_of(result) for secret in SECRETS)
    if function in COUNT_FUNCTIONS:
        assert {row["group"][field] for row in result.data["users_aggregated"]} <= {MASK, None}
    else:
        assert "Cannot query field" in result.errors[0].message


@pytest.mark.parametrize("text", ["static-of-ada", "static-of", "$argon2id$", "NOTASECRET", "hidden", "refresh", MASK])
async def test_cve_2025_64748_a_search_ignores_concealed_fields(readonly_db, text):
    listed = await readonly_db.execute(f'{{ users(search: "{text}") {{ id }} }}', caller=ADA)
    counted = await readonly_db.execute(f'{{ users_aggregated(search: "{text}") {{ countAll }} }}', caller=ADA)
    nested = await readonly_db.execute(f'{{ roles {{ users(search: "{text}") {{ id }} }} }}', caller=ADA)

    assert listed.data == {"users": []}
    assert counted.data == {"users_aggregated": [{"countAll": 0}]}
    assert all(role["users"] == [] for role in nested.data["roles"])


@pytest.mark.parametrize(
    ("user", "text"), [("vi", "example.com"), ("vi", "Edelman"), ("ed", "Edelman"), ("ed", "cs-CZ")]
)
async def test_cve_2025_30352_a_search_ignores_fields_the_caller_may_not_read(readonly_db, user, text):
    assert (await readonly_db.execute(f'{{ users(search: "{text}") {{ id }} }}', caller=ADA)).data["users"]
    assert (await readonly_db.execute(f'{{ users(search: "{text}") {{ id }} }}', caller=caller(user))).data == {
        "users": []
    }


@pytest.mark.parametrize("field", CONCEALED)
async def test_cve_2024_34708_aliases_do_not_unmask_concealed_fields(readonly_db, field):
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


QUERIES_ON_CONCEALED_FIELDS = [
    "users(filter: { %s: { _starts_with: %s } }) { id }",
    "users(filter: { %s: { _eq: %s } }) { id }",
    "users(filter: { %s: { _in: [%s] } }) { id }",
    "users(filter: { role: { users: { %s: { _contains: %s } } } }) { id }",
    "roles(filter: { users: { _some: { %s: { _eq: %s } } } }) { id }",
    "roles { users(filter: { %s: { _starts_with: %s } }) { id } }",
    "users_aggregated(filter: { %s: { _starts_with: %s } }) { countAll }",
]


@pytest.mark.parametrize("query", QUERIES_ON_CONCEALED_FIELDS)
@pytest.mark.parametrize("field", CONCEALED)
async def test_cve_2023_27481_concealed_fields_can_only_be_compared_with_null(readonly_db, field, query):
    result = await readonly_db.execute("{ " + query % (field, '"s"') + " }", caller=ADA)

    assert result.data is None or all(not rows for rows in result.data.values())
    assert result.errors


async def test_cve_2023_27481_variables_cannot_compare_concealed_fields_either(readonly_db):
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
async def test_cve_2023_27481_sorting_only_discloses_whether_a_secret_is_null(readonly_db, sort, first, last):
    unsorted = (await readonly_db.execute("{ users(limit: -1) { id } }", caller=ADA)).data["users"]
    ordered = (await readonly_db.execute(f'{{ users(limit: -1, sort: ["{sort}"]) {{ id }} }}', caller=ADA)).data[
        "users"
    ]
    ends = [{"id": uid(name)} for name in (*first, *last)]
    between = [row for row in unsorted if row not in ends]

    assert ordered == ends[: len(first)] + between + ends[len(first) :]


@pytest.mark.parametrize("filter_", ["{ title: { _in: [] } }", "{ id: { _nin: [] } }"])
async def test_cve_2024_39701_an_empty_list_is_an_invalid_filter(readonly_db, filter_):
    result = await readonly_db.execute(f"{{ users(filter: {filter_}) {{ id }} }}", caller=ADA)

    assert result.data is None
    assert result.errors[0].original_error.code == "INVALID_QUERY"


async def test_cve_2024_39701_a_rule_with_an_empty_variable_matches_no_row(restored_db):
    """Nora has neither a title nor a role."""
    rules: list[dict[str, Any]] = [{"title": {operator: ["$CURRENT_USER.title"]}} for operator in ("_in", "_nin")]
    rules += [{"role": {"_nin": "$CURRENT_ROLES"}}]
    permission = {"id": 60, "policy": uid("policy-Public"), "action": "read", "collection": "directus_users"}
    for rule in rules:
        await restored_db.load(
            {"directus_permissions": [{**permission, "fields": "id,title,role", "permissions": rule}]}
        )
        for _ in range(2):  # the full execution, then the plan
            assert (await restored_db.execute("{ users { id } }", caller=caller("nora"))).data == {"users": []}


async def test_a_rule_that_searches_texts_for_the_caller_works_the_same_from_a_plan(restored_db):
    """Sam's id occurs in his own title and in another user's."""
    users = [{"id": uid("sam"), "title": f"I am {uid('sam')}!"}, {"id": uid("vi"), "title": f"Of {uid('sam')} too"}]
    await restored_db.load({"directus_users": users})
    permission = {"id": 60, "policy": uid("policy-Themselves"), "action": "read", "collection": "directus_users"}
    for operator in ("_contains", "_ncontains", "_starts_with", "_nstarts_with", "_ends_with"):
        rule = {"_and": [{"title": {"_nnull": True}}, {"title": {operator: "$CURRENT_USER"}}]}
        await restored_db.load({"directus_permissions": [{**permission, "fields": "id,title", "permissions": rule}]})
        first, second = [(await restored_db.execute("{ users { id } }", caller=caller("sam"))).data for _ in range(2)]
        assert first["users"]
        assert second == first, operator


async def test_cve_2025_64746_a_permission_on_a_removed_field_grants_nothing(readonly_db):
    """One permission of Vi's policy lists an unknown field, and the rule of another uses one."""
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


@pytest.mark.parametrize(("hidden", "missing", "hidden_name", "missing_name"), HIDDEN_AND_MISSING)
async def test_cve_2025_64749_hidden_and_missing_names_get_the_same_response(
    readonly_db, hidden, missing, hidden_name, missing_name
):
    first, second = await readonly_db.execute(hidden, caller=VI), await readonly_db.execute(missing, caller=VI)

    assert first.errors
    assert text_of(first).replace(hidden_name, missing_name) == text_of(second)


@pytest.mark.counting
async def test_ghsa_6q22_g298_grjh_one_query_under_many_aliases_is_one_statement(readonly_db):
    await readonly_db.directory(ADA).access()
    before = readonly_db.database.reader.statements
    aliases = " ".join(f"a{n}: users(limit: 3) {{ id }}" for n in range(300))
    result = await readonly_db.execute(f"{{ {aliases} }}", caller=ADA)

    assert len(result.data) == 300
    assert readonly_db.database.reader.statements - before == 1


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
async def test_cve_2024_39895_and_cve_2026_75507_small_documents_are_cheap_to_execute(readonly_db, query):
    """Repeated fields, multiplying fragments, comments, circular fragments, conflicting aliases, deep nesting."""
    started = time.perf_counter()
    result = await readonly_db.execute(query, caller=ADA)

    assert time.perf_counter() - started < 3
    assert result.errors or len(result.data.get("a", ())) <= 100


INTROSPECTING_QUERIES = [
    "{ __schema { queryType { name } } }",
    '{ __type(name: "directus_users") { name } }',
    "{ server_specs_graphql(scope: system) }",
    "{ server_specs_oas }",
    "{ users_me { emal } }",
    "{ usrs { id } }",
    "{ users(filter: { titel: { _eq: 1 } }) { id } }",
]


@pytest.mark.parametrize("query", INTROSPECTING_QUERIES)
async def test_cve_2026_35413_disabled_introspection_discloses_no_name(readonly_db, query):
    settings = readonly_db.settings.model_copy(update={"graphql_introspection": False})
    directory = Directory(ADA, Services.from_settings(readonly_db.database, settings))
    result = await schema.execute(query, context_value=directory)

    assert result.data is None
    assert "Did you mean" not in text_of(result)


async def test_cve_2026_35413_invalid_variables_get_no_suggestion(readonly_db):
    settings = readonly_db.settings.model_copy(update={"graphql_introspection": False})
    directory = Directory(ADA, Services.from_settings(readonly_db.database, settings))
    query = "query($f: directus_users_filter) { users(filter: $f) { id } }"
    result = await schema.execute(query, {"f": {"titel": {"_eq": "x"}}}, context_value=directory)

    assert "titel" in text_of(result)
    assert "Did you mean" not in text_of(result)


async def test_cve_2026_61836_two_callers_with_one_query_never_share_a_response(readonly_db):
    query = "{ users(limit: -1) { id first_name } users_me { id } }"
    users = ["ada", "ed", "vi", "sam"]
    first = [await readonly_db.execute(query, caller=caller(name)) for name in users]
    second = [await readonly_db.execute(query, caller=caller(name)) for name in users]

    assert [r.data for r in first] == [r.data for r in second]
    assert len({text_of(r) for r in first}) == len(users)
    assert [r.data["users_me"]["id"] for r in first] == [uid(name) for name in users]


async def test_pr_28190_a_policy_with_ip_access_is_not_cached_for_other_ips(readonly_db):
    inside, outside = caller("kit", "10.1.0.7"), caller("kit", "10.2.0.7")
    for _ in range(3):
        assert len((await readonly_db.execute("{ users { id } }", caller=inside)).data["users"]) == 9
        assert (await readonly_db.execute("{ users { id } }", caller=outside)).data is None


async def test_cve_2024_54151_anonymous_callers_are_never_administrators(readonly_db):
    for anonymous in (Caller(), Caller(ip="10.1.0.7"), Caller(token="")):
        result = await readonly_db.execute("{ users { id } }", caller=anonymous)
        assert result.data is None
