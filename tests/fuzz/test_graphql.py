"""Property: every operation that the GraphQL schema allows gets a response, never an internal error or a slow one."""

from collections import Counter

import httpx
import pytest
import schemathesis
from graphql import get_introspection_query
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis.graphql import nodes

from tests.base_data import uid
from tests.fuzz.response_checks import REQUEST_TIMEOUT_SECONDS, ResponseChecker

SCHEMATHESIS_CONFIG = {"generation": {"graphql-allow-null": False}}  # most arguments reject null
TEXTS = st.text(max_size=20).map(nodes.String)
NUMBERS = st.integers().map(nodes.Int)
SCALARS = {
    "Hash": TEXTS,
    "Date": st.datetimes().map(str).map(nodes.String) | TEXTS,
    "JSON": TEXTS | NUMBERS | st.booleans().map(nodes.Boolean),
    "GraphQLBigInt": NUMBERS | TEXTS,
    "GraphQLStringOrFloat": NUMBERS | TEXTS | st.floats(allow_nan=False, allow_infinity=False).map(nodes.Float),
    "Void": TEXTS,
    "permissions_me_type": TEXTS,
}
for name, strategy in SCALARS.items():
    schemathesis.graphql.scalar(name, strategy)


def check_operations(base_url, headers, examples):
    path = f"{base_url}/graphql/system"
    introspection = httpx.post(path, json={"query": get_introspection_query()}, headers=headers).json()
    schema = schemathesis.graphql.from_dict(introspection, config=schemathesis.Config.from_dict(SCHEMATHESIS_CONFIG))
    schema.config.update(base_url=path)
    checker, has_data = ResponseChecker(), Counter[bool]()

    @settings(max_examples=examples)
    @given(case=schema.as_strategy())
    def check(case):
        response = checker.check(
            case.operation.label, lambda: case.call(headers=headers, timeout=REQUEST_TIMEOUT_SECONDS)
        )
        has_data[bool(response.json().get("data"))] += 1

    check()
    assert has_data[True] > examples / 10
    return checker


@pytest.mark.nightly
@pytest.mark.parametrize("user", ["ada", "wes"])
def test_every_operation_of_the_schema_gets_a_valid_response(base_url, auth_headers, user, capsys):
    checker = check_operations(base_url, auth_headers(user), 2_000)
    checker.print_statuses(capsys)

    assert checker.report() == ""
    assert checker.statuses[200] > 100
    assert httpx.get(f"{base_url}/users/me", headers=auth_headers(user)).json()["data"]["id"] == uid(user)
