"""Mutations executed from a plan return the same as in full execution, and their plans contain no secret."""

import orjson
import pytest

from app.core.cache import LRUCache
from app.graphql.plans.cache import PlanCache
from app.graphql.schema import schema
from tests.base_data import caller, uid

ADA, WES, RITA = caller("ada"), caller("wes"), caller("rita")
CREATE = "mutation($d: create_directus_users_input!) { create_users_item(data: $d) { email title role { name } } }"
UPDATE = "mutation($i: ID!, $d: update_directus_users_input!) { update_users_item(id: $i, data: $d) { id title } }"
ME = "mutation($d: update_directus_users_input) { update_users_me(data: $d) { title } }"
SETTINGS = "mutation($n: String) { update_settings(data: { project_name: $n }) { project_name } }"

MUTATIONS = [
    (CREATE, {"d": {"email": "{}@example.com"}}, "ada"),
    (CREATE, {"d": {"email": "{}@example.com"}}, "wes"),
    (CREATE, {"d": {"email": "{}@example.com", "role": uid("role-Staff")}}, "ada"),
    (CREATE, {"d": {"email": "{}@example.com", "role": {"id": uid("role-Staff")}}}, "ada"),
    (CREATE, {"d": {"email": "{}@example.com", "tags": ["{}", "b"], "email_notifications": False}}, "ada"),
    (CREATE, {"d": {"email": "{}@example.com", "role": {"name": "{}"}}}, "ada"),
    (UPDATE, {"i": uid("will"), "d": {"title": "{}"}}, "wes"),
    (UPDATE, {"i": uid("will"), "d": {"title": None, "location": "{}"}}, "ada"),
    (ME, {"d": {"title": "{}"}}, "wes"),
    (ME, {"d": {"title": "{}"}}, "ada"),
    (SETTINGS, {"n": "{}"}, "ada"),
]


def fill_in(value, text):
    if isinstance(value, dict):
        return {name: fill_in(inner, text) for name, inner in value.items()}
    if isinstance(value, list):
        return [fill_in(inner, text) for inner in value]
    return value.format(text) if isinstance(value, str) else value


@pytest.mark.planning
@pytest.mark.parametrize(("mutation", "variables", "user"), MUTATIONS)
async def test_a_planned_mutation_returns_the_same_as_a_full_execution(editors, mutation, variables, user):
    directory = editors.directory(caller(user))
    await directory.access()
    full = await schema.execute_full(mutation, fill_in(variables, "one"), context_value=directory)
    assert full.errors is None
    for text in ("two", "three"):
        await directory.access()
        planned = await schema.execute_planned(
            directory, mutation, fill_in(variables, text), None, allow_mutations=True
        )
        second = await schema.execute_full(mutation, fill_in(variables, text + "x"), context_value=directory)
        assert planned is not None
        assert planned.decode().replace(text, "one").replace(" ", "") == _compact_json(full.data)
        assert _compact_json(second.data).replace(text + "x", "one") == _compact_json(full.data)


def _compact_json(data):
    return orjson.dumps({"data": data}).decode().replace(" ", "")


FAILING_MUTATIONS = [
    (CREATE, {"d": {"email": "bad"}}, "ada", "FAILED_VALIDATION"),
    (CREATE, {"d": {"email": "ed@example.com"}}, "ada", "RECORD_NOT_UNIQUE"),
    (CREATE, {"d": {"email": "ED@example.com"}}, "ada", "RECORD_NOT_UNIQUE"),
    (UPDATE, {"i": uid("ada"), "d": {"title": "x"}}, "wes", "FORBIDDEN"),
    (UPDATE, {"i": uid("nobody"), "d": {"title": "x"}}, "ada", "FORBIDDEN"),
    (UPDATE, {"i": uid("ada"), "d": {"status": "suspended"}}, "ada", "UNPROCESSABLE_CONTENT"),
]


@pytest.mark.parametrize(("mutation", "variables", "user", "code"), FAILING_MUTATIONS)
async def test_a_failing_mutation_returns_the_same_error_every_time(editors, mutation, variables, user, code):
    results = [await editors.execute(mutation, variables, caller(user)) for _ in range(3)]

    assert [result.errors[0].original_error.code for result in results] == [code] * 3
    assert len({str(result.errors[0]) for result in results}) == 1


@pytest.mark.planning
async def test_plans_contain_no_password_literal(editors):
    plans = PlanCache(schema.graphql)
    secret = "a secret written as a literal"
    directory = editors.directory(ADA)
    await directory.access()
    mutation = 'mutation {{ create_users_item(data: {{ email: "{}@example.com", password: "{}" }}) {{ email }} }}'
    for name in ("one", "two"):
        assert await plans.execute(directory, mutation.format(name, secret), None, None, allow_mutations=True)
    mutation_with_variable = (
        'mutation($e: String) {{ create_users_item(data: {{ email: $e, password: "{}" }}) {{ email }} }}'
    )
    await plans.execute(
        directory, mutation_with_variable.format(secret), {"e": "three@example.com"}, None, allow_mutations=True
    )

    entries = [
        entry
        for cache in vars(plans).values()
        if isinstance(cache, LRUCache)
        for entry in (cache._young | cache._old).items()
    ]
    assert entries
    assert secret not in repr(entries)


async def test_a_mutation_is_not_planned_for_a_request_that_must_not_write(editors):
    directory = editors.directory(ADA)
    await directory.access()
    for _ in range(2):
        assert await schema.execute_planned(directory, ME, {"d": {"title": "Sly"}}, None) is None


async def test_root_fields_of_a_mutation_run_in_order_and_fail_independently(editors):
    mutation = """mutation {
        a: create_users_item(data: { email: "one@example.com" }) { email }
        b: create_users_item(data: { email: "ONE@example.com" }) { email }
        c: create_users_item(data: { email: "two@example.com" }) { email } }"""
    result = await editors.execute(mutation, caller=ADA)

    assert result.data == {"a": {"email": "one@example.com"}, "b": None, "c": {"email": "two@example.com"}}
    assert [error.path for error in result.errors] == [["b"]]
