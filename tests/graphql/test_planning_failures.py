"""A request that cannot be planned is executed in full: that is counted, and logged without its values."""

from typing import Any

import pytest

from app.graphql.schema import schema
from app.repositories.plans import plan
from tests.base_data import caller
from tests.logs import captured_logs

pytestmark = pytest.mark.planning
FILTERED = "query($f: directus_users_filter) { users(filter: $f) { id } }"


async def answer_from_plan(system, query, variables):
    return await schema.plans.execute(system.directory(caller("ada")), query, variables, None)


async def test_a_filter_too_deep_to_plan_is_counted_and_logged(readonly_db):
    await readonly_db.directory(caller("ada")).access()
    filter_: dict[str, Any] = {"id": {"_null": False}}
    for _ in range(3_000):
        filter_ = {"_and": [filter_]}
    before = plan.planning_failures["graphql"]

    with captured_logs(plan) as logs:
        assert await answer_from_plan(readonly_db, FILTERED, {"f": filter_}) is None

    (event,) = logs
    assert plan.planning_failures["graphql"] == event["count"] == before + 1
    assert (event["event"], event["log_level"], event["error"]) == ("planning_failed", "debug", "RecursionError")


async def test_a_value_that_does_not_fit_a_known_plan_is_logged_without_the_value(readonly_db):
    await readonly_db.directory(caller("ada")).access()
    query = "query($f: directus_users_filter) { users(filter: $f) { id title } }"
    plannable = await answer_from_plan(readonly_db, query, {"f": {"last_access": {"_gt": "2020-01-01T00:00:00Z"}}})

    with captured_logs(plan) as logs:
        refused = await answer_from_plan(readonly_db, query, {"f": {"last_access": {"_gt": "2020-13-45T00:00:00Z"}}})

    assert (plannable is None, refused) == (False, None)
    assert [(event["event"], event["error"]) for event in logs] == [("planning_failed", "ValueError")]
    assert "2020-13-45" not in str(logs)
