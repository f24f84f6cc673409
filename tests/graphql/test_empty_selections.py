"""A selection that `@skip` or `@include` empties is an object without members, from a plan and in full execution."""

import pytest

from app.graphql.schema import schema
from tests.base_data import caller, uid

ADA = caller("ada")
SKIPPED, NOT_INCLUDED = "{ id @skip(if: true) }", "{ ... @include(if: false) { id } }"
BY_VARIABLE = "query($no: Boolean!) { users(limit: 2) { id @skip(if: $no) } }"
FRAGMENT = "{ users(limit: 1) { ...F } } fragment F on directus_users { id @skip(if: true) }"
NESTED = f'{{ users_by_id(id: "{uid("ed")}") {{ role {{ users {SKIPPED} parent {SKIPPED} }} avatar {SKIPPED} }} }}'
USERS_ME, USERS, ROLES = "{ users_me %s }", "{ users(limit: 2) %s }", "{ roles(limit: 1) { users_func %s } }"
GROUPS = '{ users_aggregated(filter: { status: { _eq: "active" } }, groupBy: ["status"]) %s }'

QUERIES = [
    (USERS % SKIPPED, {}, {"users": [{}, {}]}),
    (USERS % NOT_INCLUDED, {}, {"users": [{}, {}]}),
    (USERS % "{ role @skip(if: true) { name } }", {}, {"users": [{}, {}]}),
    (USERS % "{ role @skip(if: true) }", {}, {"users": [{}, {}]}),
    (USERS % "{ __typename }", {}, {"users": [{"__typename": "directus_users"}] * 2}),
    (USERS % "{ last_access_func { year @skip(if: true) } }", {}, {"users": [{"last_access_func": {}}] * 2}),
    (BY_VARIABLE, {"no": True}, {"users": [{}, {}]}),
    (FRAGMENT, {}, {"users": [{}]}),
    (USERS_ME % SKIPPED, {}, {"users_me": {}}),
    (USERS_ME % f"{{ role {SKIPPED} }}", {}, {"users_me": {"role": {}}}),
    (USERS_ME % "{ role { __typename } }", {}, {"users_me": {"role": {"__typename": "directus_roles"}}}),
    (NESTED, {}, {"users_by_id": {"role": {"users": [{}, {}], "parent": {}}, "avatar": None}}),
    (ROLES % "{ count @skip(if: true) }", {}, {"roles": [{"users_func": {}}]}),
    (GROUPS % "{ countAll @skip(if: true) }", {}, {"users_aggregated": [{}]}),
    (GROUPS % f"{{ count {SKIPPED} }}", {}, {"users_aggregated": [{"count": {}}]}),
    ("{ users_me @skip(if: true) { id } }", {}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("query", "variables", "data"), QUERIES)
async def test_an_emptied_selection_of_a_query_is_an_empty_object(readonly_db, query, variables, data):
    full = await schema.execute_full(query, variables, context_value=readonly_db.directory(ADA))
    results = [await readonly_db.execute(query, variables, ADA) for _ in range(2)]

    assert [error.message for result in (full, *results) for error in result.errors or ()] == []
    assert [result.data for result in (full, *results)] == [data] * 3


ACTIVITIES = "{ activity_aggregated { countAll } }"
UPDATE_ME = 'update_users_me(data: { first_name: "New" })'
MUTATIONS = [
    (UPDATE_ME, SKIPPED, {}),
    (UPDATE_ME, f"{{ role {SKIPPED} }}", {"role": {}}),
    (UPDATE_ME, "{ __typename }", {"__typename": "directus_users"}),
    ('create_roles_items(data: [{ name: "A" }, { name: "B" }])', SKIPPED, [{}, {}]),
    (f'update_roles_batch(data: [{{ id: "{uid("role-Staff")}", name: "New" }}])', SKIPPED, [{}]),
    ('update_settings(data: { project_name: "New" })', NOT_INCLUDED, {}),
    (f'delete_roles_item(id: "{uid("role-App")}")', SKIPPED, {}),
]


@pytest.mark.parametrize(("field", "selection", "value"), MUTATIONS)
async def test_an_emptied_selection_of_a_mutation_is_an_empty_object_and_the_write_is_kept(
    editors, field, selection, value
):
    before = await editors.execute(ACTIVITIES, caller=ADA)
    result = await editors.execute(f"mutation {{ written: {field} {selection} }}", caller=ADA)
    after = await editors.execute(ACTIVITIES, caller=ADA)

    assert [error.message for error in result.errors or ()] == []
    assert result.data == {"written": value}
    assert after.data["activity_aggregated"][0]["countAll"] > before.data["activity_aggregated"][0]["countAll"]
