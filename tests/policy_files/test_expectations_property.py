"""Tests of policies agree with explanations, which agree with the resolver, and with what queries return."""

from dataclasses import replace as with_values

from hypothesis import event, given, settings
from hypothesis import strategies as st

from app.core.caller import Caller
from app.core.errors import Forbidden, InvalidCredentials
from app.policy.expectations import ActionExpectation, PolicyTest, RowsExpectation, TestSubject
from app.repositories.expectations.evaluation import PolicyTestRunner
from tests.access.test_explanation_property import add_admin, explain, write_permission
from tests.policy.strategies import IPS, USERS, directories, replace

EMAIL = "subject@example.com"
PLACE = "tests.yaml, line 1"


async def failures(system, test):
    async def run(writer):
        return await PolicyTestRunner(writer, system.services).failures([test])

    return await system.database.run_write(run, exclusive=False)


async def visible_rows(system, user, ip):
    try:
        return await system.directory(Caller(user=user["id"], ip=ip))["users"].count()
    except (Forbidden, InvalidCredentials):
        return 0


@settings(max_examples=settings().max_examples // 4)  # each example replaces all rows
@given(data=st.data())
async def test_an_expectation_holds_exactly_if_the_explanation_says_so(scratch_db, data):
    tables, user = data.draw(directories())
    user = user or tables["users"][0]
    add_admin(tables)
    action = data.draw(st.sampled_from(["read", "update", "delete"]))
    tables["permissions"].append(data.draw(write_permission(50, action)))
    for row in tables["users"]:
        row["email"] = EMAIL if row["id"] == user["id"] else None
    await replace(scratch_db, tables)
    key, ip = data.draw(st.sampled_from(USERS)), data.draw(IPS)
    field = None if action == "delete" else data.draw(st.sampled_from([None, "first_name", "title"]))

    allowed = (await explain(scratch_db, user, ip, action, item=key, field=field)).allowed
    may = ActionExpectation(allowed, action, "users", PLACE, field, key)
    sees = RowsExpectation("users", PLACE, count=await visible_rows(scratch_db, user, ip))
    test = PolicyTest(None, TestSubject("user", EMAIL, ip), PLACE, (may,), (sees,))

    assert await failures(scratch_db, test) == []
    opposite = with_values(test, actions=(with_values(may, allowed=not allowed),))
    assert len(await failures(scratch_db, opposite)) == 1
    event(f"{action}: {allowed}")
