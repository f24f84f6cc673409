"""Whatever the GraphQL schema lets somebody ask is answered: never by a fault, never late."""

from collections import Counter

import httpx
import pytest
import schemathesis
from graphql import get_introspection_query
from hypothesis import given, settings
from hypothesis import strategies as some
from schemathesis.graphql import nodes

from tests.fuzz.response_checks import PATIENCE, Faults
from tests.world import uid

GENERATING = {"generation": {"graphql-allow-null": False}}  # most of what takes a null is refused for it
TEXTS = some.text(max_size=20).map(nodes.String)
NUMBERS = some.integers().map(nodes.Int)
SCALARS = {
    "Hash": TEXTS,
    "Date": some.datetimes().map(str).map(nodes.String) | TEXTS,
    "JSON": TEXTS | NUMBERS | some.booleans().map(nodes.Boolean),
    "GraphQLBigInt": NUMBERS | TEXTS,
    "GraphQLStringOrFloat": NUMBERS | TEXTS | some.floats(allow_nan=False, allow_infinity=False).map(nodes.Float),
    "Void": TEXTS,
    "permissions_me_type": TEXTS,
}
for name, strategy in SCALARS.items():
    schemathesis.graphql.scalar(name, strategy)


def ask_all(address, headers, examples):
    path = f"{address}/graphql/system"
    told = httpx.post(path, json={"query": get_introspection_query()}, headers=headers).json()
    schema = schemathesis.graphql.from_dict(told, config=schemathesis.Config.from_dict(GENERATING))
    schema.config.update(base_url=path)
    faults, answered = Faults(), Counter[bool]()

    @settings(max_examples=examples)
    @given(case=schema.as_strategy())
    def ask(case):
        response = faults.look(case.operation.label, lambda: case.call(headers=headers, timeout=PATIENCE))
        answered[bool(response.json().get("data"))] += 1

    ask()
    assert answered[True] > examples / 10
    return faults


@pytest.mark.nightly
@pytest.mark.parametrize("who", ["ada", "wes"])
def test_every_field_of_the_schema_is_answered(address, signed, who, capsys):
    faults = ask_all(address, signed(who), 2_000)
    faults.say(capsys)

    assert faults.told() == ""
    assert faults.statuses[200] > 100
    assert httpx.get(f"{address}/users/me", headers=signed(who)).json()["data"]["id"] == uid(who)
