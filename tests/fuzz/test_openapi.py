"""Property: every request that the OpenAPI document allows gets a documented response, never an error or a slow one."""

import httpx
import pytest
import schemathesis
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.base_data import static_token, uid
from tests.fuzz.response_checks import REQUEST_TIMEOUT_SECONDS, UVICORN_BAD_REQUEST, ResponseChecker
from tests.http.test_graphql import bearer

SCHEMA_CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
SCHEMATHESIS_CONFIG = {"generation": {"with-security-parameters": False}}
FLOW_PATHS = r"^/(auth|utils|users/(invite|register|me/tfa))"
"""Paths with small bodies; of the invalid bodies of rows the generator finds only a fraction in a night."""
KEYS = [
    uid(name) for name in ("ada", "wes", "will", "ed", "role-Writer", "policy-Writers", "access-Writers-Writer-None")
]
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20)
)
JUNK = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))


def requests(document):
    """Generate requests, most of them valid; in others one value is replaced by junk.

    Some of their keys exist.
    """
    for path in document["paths"].values():
        if "x-search" in path:
            path["put"] = path.pop("x-search")  # the generator knows no SEARCH
    schema = schemathesis.openapi.from_dict(document, config=schemathesis.Config.from_dict(SCHEMATHESIS_CONFIG))
    valid = st.builds(_with_existing_key, schema.as_strategy(), st.none() | st.sampled_from(KEYS))
    invalid = st.builds(_with_junk, valid, JUNK, st.integers(0, 50))
    invalid_flows = schema.include(path_regex=FLOW_PATHS).as_strategy(generation_mode=GenerationMode.NEGATIVE)
    return st.sampled_from([valid] * 5 + [invalid] * 2 + [invalid_flows]).flatmap(lambda requests: requests)


def _with_existing_key(case, key):
    if case.method == "PUT":
        case.method = "SEARCH"
    if key is not None and "id" in (case.path_parameters or {}):
        case.path_parameters["id"] = key
    return case


def _with_junk(case, junk, index):
    if isinstance(case.body, dict) and case.body:
        case.body = {**case.body, sorted(case.body)[index % len(case.body)]: junk}
    elif case.method not in ("GET", "DELETE") or isinstance(case.body, list):
        case.body = junk
    elif case.query:
        name = sorted(case.query)[index % len(case.query)]
        case.query = {**case.query, name: str(junk)}
    return case


def check_requests(base_url, headers, examples):
    document = httpx.get(f"{base_url}/server/specs/oas", headers=headers).json()
    checker = ResponseChecker()

    @settings(max_examples=examples)
    @given(case=requests(document))
    def check(case):
        operation = f"{case.method} {case.operation.path}"
        response = checker.check(
            operation, lambda: case.call(base_url=base_url, headers=headers, timeout=REQUEST_TIMEOUT_SECONDS)
        )
        if response.content == UVICORN_BAD_REQUEST:
            return
        try:
            case.validate_response(response, checks=SCHEMA_CHECKS)
        except FailureGroup as failures:
            for failure in failures.exceptions:
                checker.add_failure(
                    operation, f"{failure.title}: {response.status_code} {failure.message}\n{case.as_curl_command()}"
                )

    check()
    return checker


@pytest.mark.slow
def test_some_requests_get_the_documented_response(base_url):
    checker = check_requests(base_url, bearer(static_token("ada")), 25)

    assert checker.report() == ""
    assert checker.statuses[200]


@pytest.mark.nightly
@pytest.mark.parametrize("user", ["ada", "wes"])
def test_every_request_gets_the_documented_response(base_url, auth_headers, user, capsys):
    checker = check_requests(base_url, auth_headers(user), 2_000)
    checker.print_statuses(capsys)

    assert checker.report() == ""
    assert checker.statuses[200] > 100
    assert httpx.get(f"{base_url}/users/me", headers=auth_headers(user)).json()["data"]["id"] == uid(user)
