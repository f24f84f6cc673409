"""Mutations seen before go another way than new ones: they are told the same, and leave no secret behind."""

import orjson
import pytest

from app.core.cache import LRUCache
from app.graphql.plans.cache import PlanCache
from app.graphql.schema import schema
from tests.world import caller, uid

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


def filled(value, word):
    if isinstance(value, dict):
        return {name: filled(inner, word) for name, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, word) for inner in value]
    return value.format(word) if isinstance(value, str) else value


@pytest.mark.planning
@pytest.mark.parametrize(("mutation", "variables", "who"), MUTATIONS)
async def test_a_mutation_is_told_the_same_either_way(editors, mutation, variables, who):
    directory = editors.directory(caller(who))
    await directory.access()
    ordinary = await schema.execute_full(mutation, filled(variables, "one"), context_value=directory)
    assert ordinary.errors is None
    for word in ("two", "three"):
        await directory.access()
        wire = await schema.execute_planned(directory, mutation, filled(variables, word), None, changing=True)
        again = await schema.execute_full(mutation, filled(variables, word + "x"), context_value=directory)
        assert wire is not None
        assert wire.decode().replace(word, "one").replace(" ", "") == _spelled(ordinary.data)
        assert _spelled(again.data).replace(word + "x", "one") == _spelled(ordinary.data)


def _spelled(data):
    return orjson.dumps({"data": data}).decode().replace(" ", "")


REFUSED = [
    (CREATE, {"d": {"email": "bad"}}, "ada", "FAILED_VALIDATION"),
    (CREATE, {"d": {"email": "ed@example.com"}}, "ada", "RECORD_NOT_UNIQUE"),
    (CREATE, {"d": {"email": "ED@example.com"}}, "ada", "RECORD_NOT_UNIQUE"),
    (UPDATE, {"i": uid("ada"), "d": {"title": "x"}}, "wes", "FORBIDDEN"),
    (UPDATE, {"i": uid("nobody"), "d": {"title": "x"}}, "ada", "FORBIDDEN"),
    (UPDATE, {"i": uid("ada"), "d": {"status": "suspended"}}, "ada", "UNPROCESSABLE_CONTENT"),
]


@pytest.mark.parametrize(("mutation", "variables", "who", "code"), REFUSED)
async def test_a_refusal_has_the_same_words_however_often_it_is_met(editors, mutation, variables, who, code):
    told = [await editors.execute(mutation, variables, caller(who)) for _ in range(3)]

    assert [one.errors[0].original_error.code for one in told] == [code] * 3
    assert len({str(one.errors[0]) for one in told}) == 1


@pytest.mark.planning
async def test_a_password_in_a_text_is_remembered_nowhere(editors):
    plans = PlanCache(schema.graphql)
    secret = "a secret that stands literally in a text"
    directory = editors.directory(ADA)
    await directory.access()
    mutation = 'mutation {{ create_users_item(data: {{ email: "{}@example.com", password: "{}" }}) {{ email }} }}'
    for name in ("one", "two"):
        assert await plans.answer(directory, mutation.format(name, secret), None, None, changing=True)
    other = 'mutation($e: String) {{ create_users_item(data: {{ email: $e, password: "{}" }}) {{ email }} }}'
    await plans.answer(directory, other.format(secret), {"e": "three@example.com"}, None, changing=True)

    kept = [
        thing
        for cache in vars(plans).values()
        if isinstance(cache, LRUCache)
        for thing in (cache._young | cache._old).items()
    ]
    assert kept
    assert secret not in repr(kept)


async def test_a_mutation_is_not_answered_where_nothing_may_change(editors):
    directory = editors.directory(ADA)
    await directory.access()
    for _ in range(2):
        assert await schema.execute_planned(directory, ME, {"d": {"title": "Sly"}}, None) is None


async def test_several_root_fields_are_done_in_their_order_and_each_by_itself(editors):
    mutation = """mutation {
        a: create_users_item(data: { email: "one@example.com" }) { email }
        b: create_users_item(data: { email: "ONE@example.com" }) { email }
        c: create_users_item(data: { email: "two@example.com" }) { email } }"""
    told = await editors.execute(mutation, caller=ADA)

    assert told.data == {"a": {"email": "one@example.com"}, "b": None, "c": {"email": "two@example.com"}}
    assert [error.path for error in told.errors] == [["b"]]
