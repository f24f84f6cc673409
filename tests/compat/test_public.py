"""The recorded responses to the public after it was granted a permission, which is inserted here as a row."""

import importlib.util
import json

import orjson
import pytest

from app.core.caller import Caller
from app.core.errors import RollcallError
from app.flows.bootstrap import bootstrap
from app.flows.import_export import import_rows
from app.http.endpoints.graphql import encode_result
from app.testing import open_system
from tests.conftest import RECORDINGS, make_settings

RECORDED_CASES = RECORDINGS / "oracle/cases.jsonl"
CASES = [
    case
    for case in map(json.loads, RECORDED_CASES.read_text().splitlines() if RECORDED_CASES.exists() else [])
    if case.get("group") == "gql.public" and case.get("path") == "/graphql/system"
]
PERMISSION = {
    "id": 900,
    "policy": "abf8a154-5b1c-4a46-ac9c-7300570f4f17",
    "collection": "directus_users",
    "action": "read",
    "fields": "id,first_name",
    "permissions": {"status": {"_eq": "active"}},
}


@pytest.fixture
async def system_with_permission(recordings, empty_database_url):
    settings = make_settings(empty_database_url)
    async with open_system(settings) as system:
        await bootstrap(system.database, settings)
        await import_rows(system.database, orjson.loads((recordings / "oracle/fixture.json").read_bytes()))
        await system.load({"directus_permissions": [PERMISSION]})
        yield system


async def test_the_public_and_users_without_a_role_read_what_the_public_policy_allows(
    system_with_permission, recordings
):
    spec = importlib.util.spec_from_file_location("replay", recordings / "oracle/replay.py")
    assert spec is not None
    assert spec.loader is not None
    replay = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(replay)

    verdicts = {case["name"]: replay.judge(case, *await execute(system_with_permission, case)) for case in CASES}

    assert len(verdicts) == 8
    assert {name for name, (verdict, _) in verdicts.items() if verdict == "differs"} == set()


async def execute(system, case):
    token = case["headers"].get("authorization", "").removeprefix("Bearer ") or None
    result = await system.execute(
        case["body"]["query"], case["body"].get("variables"), Caller(token=token, ip="127.0.0.1")
    )
    try:
        return 200, orjson.loads(encode_result(result))
    except RollcallError as error:
        return error.status, {"errors": [error.as_dict()]}
