"""What the builder for rules offers is what the parser of filters reads, as far as the caller may know of it."""

import pytest

from app.query.collection import BUILT_IN, USERS
from app.query.filter import VARIABLE_NAMES, parse_filter
from app.query.operators import OPERATORS
from app.studio.policy_editor.operator_labels import operator_labels
from app.studio.policy_editor.vocabulary import vocabulary
from tests.studio.test_policies import rita

__all__ = ["rita"]

VALUES = {"one": "1", "many": ["1"], "pair": ["1", "2"], "flag": True}


def built_in():
    return vocabulary(BUILT_IN, lambda text: text, {"first_name": "First name"})


def test_every_operator_has_words():
    assert operator_labels(lambda text: text).keys() == OPERATORS.keys()


def test_every_offered_field_can_be_part_of_a_rule():
    for name, fields in built_in()["collections"].items():
        for field in fields:
            parse_filter(BUILT_IN[name], {field["name"]: {"_nnull": True}}, stored=True)


def test_fields_have_labels_and_functions_come_last():
    fields = built_in()["collections"]["directus_users"]

    labels = {field["name"]: field["label"] for field in fields}
    assert (labels["first_name"], labels["last_access"]) == ("First name", "Last access")
    is_function = [field.get("isFunction", False) for field in fields]
    assert is_function == sorted(is_function)


@pytest.mark.parametrize("operator", built_in()["operators"], ids=lambda operator: operator["name"])
def test_every_offered_operator_is_one_of_integers_or_texts(operator):
    kinds = {"integer": "count(policies)", "string": "title", "json": "auth_data"}
    path = next(field for kind, field in kinds.items() if kind in operator["kinds"])

    for_payload = operator["payloadOnly"]
    path = "title" if for_payload else path
    parse_filter(USERS, {path: {operator["name"]: VALUES[operator["arity"]]}}, stored=True, for_payload=for_payload)


def test_every_offered_variable_can_be_compared_with():
    variables = built_in()["variables"]
    fields = {"uuid": "id", "timestamp": "last_access", "string": "title", "boolean": "email_notifications"}

    assert {name.partition(".")[0].partition("(")[0] for names in variables.values() for name in names} == {
        f"${name}" for name in VARIABLE_NAMES
    }
    for kind, field in fields.items():
        for variable in variables[kind]:
            parse_filter(USERS, {field: {"_eq": variable}}, stored=True)


async def test_a_caller_is_offered_only_fields_that_it_knows(ada, rita, vi):
    known = (await ada.get("/policies/vocabulary")).response.json()["collections"]
    own = (await rita.get("/policies/vocabulary")).response.json()["collections"]

    assert "email" in {field["name"] for field in own["directus_users"]}
    assert {field["name"] for field in own["directus_files"]} == {"id"}
    assert "filename_disk" in {field["name"] for field in known["directus_files"]}
    assert (await vi.get("/policies/vocabulary")).status == 403
