"""Whatever the OpenAPI document lets somebody ask is answered as it says: never by a fault, never late."""

import httpx
import pytest
import schemathesis
from hypothesis import given, settings
from hypothesis import strategies as some
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.fuzz.response_checks import PATIENCE, TOO_LONG, Faults
from tests.http.test_graphql import bearer
from tests.world import static_token, uid

AS_SAID = [status_code_conformance, content_type_conformance, response_schema_conformance]
GENERATING = {"generation": {"with-security-parameters": False}}
FORMS = r"^/(auth|utils|users/(invite|register|me/tfa))"
"""Paths whose bodies are forms: there is much more to be wrong about rows than the generator finds in a night."""
KEYS = [
    uid(name) for name in ("ada", "wes", "will", "ed", "role-Writer", "policy-Writers", "access-Writers-Writer-None")
]
PLAIN = (
    some.none()
    | some.booleans()
    | some.integers()
    | some.floats(allow_nan=False, allow_infinity=False)
    | some.text(max_size=20)
)
JUNK = some.recursive(
    PLAIN, lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(), inner, max_size=3)
)


def requests(document):
    """Requests as the document wants them, mostly; others have something else in the place of one of their values.

    Some of their keys lead somewhere.
    """
    for path in document["paths"].values():
        if "x-search" in path:
            path["put"] = path.pop("x-search")  # a method that the generator knows
    schema = schemathesis.openapi.from_dict(document, config=schemathesis.Config.from_dict(GENERATING))
    right = some.builds(_leading_to, schema.as_strategy(), some.none() | some.sampled_from(KEYS))
    spoilt = some.builds(_spoilt, right, JUNK, some.integers(0, 50))
    forms = schema.include(path_regex=FORMS).as_strategy(generation_mode=GenerationMode.NEGATIVE)
    return some.sampled_from([right] * 5 + [spoilt] * 2 + [forms]).flatmap(lambda chosen: chosen)


def _leading_to(case, key):
    if case.method == "PUT":
        case.method = "SEARCH"
    if key is not None and "id" in (case.path_parameters or {}):
        case.path_parameters["id"] = key
    return case


def _spoilt(case, junk, at):
    if isinstance(case.body, dict) and case.body:
        case.body = {**case.body, sorted(case.body)[at % len(case.body)]: junk}
    elif case.method not in ("GET", "DELETE") or isinstance(case.body, list):
        case.body = junk
    elif case.query:
        name = sorted(case.query)[at % len(case.query)]
        case.query = {**case.query, name: str(junk)}
    return case


def ask_all(address, headers, examples):
    document = httpx.get(f"{address}/server/specs/oas", headers=headers).json()
    faults = Faults()

    @settings(max_examples=examples)
    @given(case=requests(document))
    def ask(case):
        asked = f"{case.method} {case.operation.path}"
        response = faults.look(asked, lambda: case.call(base_url=address, headers=headers, timeout=PATIENCE))
        if response.content == TOO_LONG:
            return
        try:
            case.validate_response(response, checks=AS_SAID)
        except FailureGroup as failures:
            for failure in failures.exceptions:
                faults.add(
                    asked, f"{failure.title}: {response.status_code} {failure.message}\n{case.as_curl_command()}"
                )

    ask()
    return faults


def test_some_paths_are_answered_as_the_document_says(address):
    faults = ask_all(address, bearer(static_token("ada")), 25)

    assert faults.told() == ""
    assert faults.statuses[200]


@pytest.mark.nightly
@pytest.mark.parametrize("who", ["ada", "wes"])
def test_every_path_of_the_document_is_answered_as_it_says(address, signed, who, capsys):
    faults = ask_all(address, signed(who), 2_000)
    faults.say(capsys)

    assert faults.told() == ""
    assert faults.statuses[200] > 100
    assert httpx.get(f"{address}/users/me", headers=signed(who)).json()["data"]["id"] == uid(who)
