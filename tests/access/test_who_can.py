"""The users that `access_who_can` finds are those whom an explanation allows."""

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from app.core.caller import SYSTEM
from app.core.errors import Forbidden, InvalidPayload
from app.flows.access.who_can import AccessHolders, HoldersQuestion
from tests.access.test_explanation_property import FIELDS, draw_system, explain, write_permission
from tests.base_data import OFFICE_IP, caller, uid
from tests.policy.strategies import USERS


async def find(system, action="read", collection="users", asker=SYSTEM, **question):
    return await AccessHolders(system.directory(asker)).find(HoldersQuestion(collection, action, **question))


def names(holders):
    return [user.first_name for user in holders.users]


async def test_those_who_may_read_a_field(readonly_db):
    holders = await find(readonly_db, field="email")

    assert names(holders) == ["Ada", "Ann", "Ed", "Kit", "Sam"]
    assert [user.first_name for user in holders.users if not user.everywhere] == ["Kit"]
    assert (holders.total, holders.public) == (5, False)
    assert [(role.name, role.every_user) for role in holders.roles] == [
        ("Administrator", True),
        ("App", True),
        ("Editor", True),
        ("Office", False),
        ("Self", True),
    ]


async def test_those_who_may_read_an_item(readonly_db):
    anywhere = await find(readonly_db, field="email", item=uid("sam"))
    elsewhere = await find(readonly_db, field="email", item=uid("sam"), ip="192.0.2.1")
    office = await find(readonly_db, field="email", item=uid("sue"), ip=OFFICE_IP)

    assert names(anywhere) == ["Ada", "Ed", "Kit", "Sam"]
    assert names(elsewhere) == ["Ada", "Ed", "Sam"]
    assert [(user.first_name, user.everywhere) for user in office.users] == [("Ada", True), ("Kit", True)]
    assert [(role.name, role.every_user) for role in elsewhere.roles] == [
        ("Administrator", True),
        ("Editor", True),
        ("Self", False),
    ]


async def test_the_public_may_read_some_roles(readonly_db):
    staff = await find(readonly_db, collection="roles", item=uid("role-Staff"))
    editor = await find(readonly_db, collection="roles", item=uid("role-Editor"))

    assert (staff.public, editor.public) == (True, False)
    assert ("Nora" in names(staff), "Nora" in names(editor)) == (True, False)


async def test_nobody_may_do_anything_with_what_does_not_exist(readonly_db):
    holders = await find(readonly_db, item=uid("nobody"))

    assert (holders.total, holders.users, holders.roles, holders.public) == (0, (), (), False)


async def test_pages_follow_each_other(readonly_db):
    pages = [await find(readonly_db, field="email", limit=3, page=page) for page in (1, 2, 3)]
    skipped = await find(readonly_db, field="email", limit=3, offset=1)

    assert [names(page) for page in pages] == [["Ada", "Ann", "Ed"], ["Kit", "Sam"], []]
    assert names(skipped) == ["Ann", "Ed", "Kit"]
    assert {page.total for page in pages} == {5}


@pytest.mark.parametrize("asker", ["ed", None])
async def test_only_admins_may_ask(readonly_db, asker):
    with pytest.raises(Forbidden):
        await find(readonly_db, asker=caller(asker))


@pytest.mark.parametrize(
    "question",
    [
        {"collection": "unknown"},
        {"action": "share"},
        {"field": "unknown"},
        {"limit": 0},
        {"limit": 100_000},
        {"page": 0},
        {"offset": -1},
        {"offset": 1, "page": 1},
    ],
)
async def test_invalid_questions_are_rejected(readonly_db, question):
    with pytest.raises(InvalidPayload):
        await find(readonly_db, **question)


@settings(max_examples=settings().max_examples // 2)
@given(data=st.data())
async def test_the_users_found_are_those_whom_an_explanation_allows(scratch_db, data):
    action = data.draw(st.sampled_from(["read", "read", "update", "delete", "create"]))
    permissions = [data.draw(write_permission(number, action)) for number in (50, 51)]
    tables, _, ip = await draw_system(scratch_db, data, *permissions)
    question = {
        "field": data.draw(st.sampled_from([None, *FIELDS])) if action != "delete" else None,
        "item": data.draw(st.sampled_from([None, *USERS])),
    }

    found = await find(scratch_db, action, ip=ip, **question)

    allowed = set()
    for user in tables["users"]:
        if (await explain(scratch_db, user, ip, action, **question)).allowed:
            allowed.add(user["id"])
    assert {user.id for user in found.users} == allowed
    assert found.total == len(allowed)
    event(f"{action}: {len(allowed)} users, item {question['item'] is not None}")
