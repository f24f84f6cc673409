"""Who may write what: one table, asked of both databases; what is refused leaves every table as it was."""

import pytest

from app.core.errors import RollcallError
from tests.world import caller, uid
from tests.writes.editors import checksum

FORBIDDEN, INVALID_PAYLOAD, ALLOWED = "FORBIDDEN", "INVALID_PAYLOAD", None

WRITE_CASES = [
    # who,    does what,  to whom, with,                                           and is told
    ("ada", "update", "vi", {"title": "Seer"}, ALLOWED),
    ("ada", "update", "nobody", {"title": "Seer"}, FORBIDDEN),
    ("ada", "update", "vi", {"no_such_field": 1}, FORBIDDEN),
    ("ada", "update", "vi", {"id": uid("ed")}, INVALID_PAYLOAD),
    ("ada", "update", "vi", {"id": uid("vi"), "title": "Seer"}, ALLOWED),
    ("wes", "update", "will", {"title": "Clerk"}, ALLOWED),
    ("wes", "update", "wes", {"title": "Clerk"}, ALLOWED),
    ("wes", "update", "will", {"last_name": "Clerk"}, FORBIDDEN),
    ("wes", "update", "wes", {"last_name": "Clerk"}, ALLOWED),
    ("wes", "update", "wes", {"last_name": "Clerk", "title": "Clerk"}, ALLOWED),
    ("wes", "update", "will", {"title": "Clerk", "last_name": "Clerk"}, FORBIDDEN),
    ("wes", "update", "will", {"location": "here"}, FORBIDDEN),
    ("wes", "update", "wanda", {"title": "Clerk"}, FORBIDDEN),
    ("wes", "update", "ada", {"title": "Clerk"}, FORBIDDEN),
    ("wes", "update", "nobody", {"title": "Clerk"}, FORBIDDEN),
    ("wes", "update", "will", {"title": ""}, "FAILED_VALIDATION"),
    ("wes", "update", "will", {"first_name": "Bill"}, ALLOWED),
    ("wes", "update", "will", {"status": "archived"}, FORBIDDEN),  # he would be out of reach afterwards
    ("wes", "update", "will", {"role": uid("role-Administrator")}, FORBIDDEN),
    ("wes", "update", "wes", {"token": "of my own"}, FORBIDDEN),
    ("wes", "delete", "will", None, ALLOWED),
    ("wes", "delete", "wes", None, FORBIDDEN),
    ("wes", "delete", "ada", None, FORBIDDEN),
    ("wes", "delete", "nobody", None, FORBIDDEN),
    ("wes", "create", None, {"email": "new@example.com"}, ALLOWED),
    ("wes", "create", None, {"email": "new@example.org"}, "FAILED_VALIDATION"),
    ("wes", "create", None, {"email": "new@example.com", "status": "active"}, FORBIDDEN),
    ("wes", "create", None, {"email": "new@example.com", "token": "mine"}, FORBIDDEN),
    ("wes", "create", None, {"email": "new@example.com", "role": uid("role-Writer")}, ALLOWED),
    ("wes", "create", None, {"email": "new@example.com", "role": uid("role-Administrator")}, FORBIDDEN),
    ("wes", "create", None, {"email": "new@example.com", "role": {"name": "Mine"}}, FORBIDDEN),
    (
        "wes",
        "create",
        None,
        {"email": "new@example.com", "role": {"id": uid("role-Writer"), "name": "Writer"}},
        ALLOWED,
    ),
    ("wes", "create", None, {"email": "n@example.com", "role": {"id": uid("role-Writer"), "name": "Mine"}}, FORBIDDEN),
    ("ed", "update", "ed", {"title": "Boss"}, FORBIDDEN),
    ("ed", "delete", "ed", None, FORBIDDEN),
    (None, "create", None, {"email": "new@example.com"}, FORBIDDEN),
    (None, "update", "ada", {"title": "Fool"}, FORBIDDEN),
    (None, "delete", "ada", None, FORBIDDEN),
    ("pat", "update", "vi", {"token": "a-token-that-pat-made"}, ALLOWED),
    ("pat", "update", "vi", {"provider": "github"}, FORBIDDEN),
]


async def act(system, who, action, whom, values):
    users = system.directory(caller(who))["users"]
    if action == "create":
        return await users.create_one(values)
    if action == "update":
        return await users.update_one(uid(whom), values)
    return await users.delete_one(uid(whom))


@pytest.mark.parametrize(("who", "action", "whom", "values", "verdict"), WRITE_CASES)
async def test_everybody_writes_what_the_policies_say_and_nothing_else(editors, who, action, whom, values, verdict):
    before = await checksum(editors)
    try:
        await act(editors, who, action, whom, values)
        told = None
    except RollcallError as error:
        told = error.code

    assert told == verdict
    assert (await checksum(editors) == before) is (verdict is not ALLOWED)


async def test_presets_fill_in_what_is_not_said_and_give_way_to_what_is(editors):
    users = editors.directory(caller("wes"))["users"]
    key = await users.create_one({"email": "new@example.com", "title": "Own"})
    row = await users.read_one(key)

    assert row["role"] == uid("role-Writer")
    assert row["title"] == "Own"
    assert row["description"] == uid("wes")


async def test_presets_of_a_change_fill_in_too(editors):
    await editors.directory(caller("wes"))["users"].update_one(uid("will"), {"title": "Clerk"})

    assert (await editors.directory(caller("ada"))["users"].read_one(uid("will")))["description"] == "touched"


async def test_of_many_rows_all_are_changed_or_none(editors):
    users, before = editors.directory(caller("wes"))["users"], await checksum(editors)
    for keys in ([uid("will"), uid("ada")], [uid("will"), uid("nobody")]):
        with pytest.raises(RollcallError) as refusal:
            await users.update_many(keys, {"title": "Clerk"})
        assert refusal.value.code == FORBIDDEN
        with pytest.raises(RollcallError):
            await users.delete_many(keys)
    with pytest.raises(RollcallError):
        await users.update_batch([{"id": uid("will"), "title": "A"}, {"id": uid("ada"), "title": "B"}])
    with pytest.raises(RollcallError):
        await users.create_many([{"email": "one@example.com"}, {"email": "two@example.org"}])

    assert await checksum(editors) == before


async def test_what_was_written_is_told_as_its_writer_may_see_it(editors):
    mutation = """mutation($d: create_directus_users_input!) {
        create_users_item(data: $d) { email title role { name } } }"""
    told = await editors.execute(mutation, {"d": {"email": "new@example.com"}}, caller("wes"))
    assert told.data == {
        "create_users_item": {"email": "new@example.com", "title": "New here", "role": {"name": "Writer"}}
    }

    mutation = 'mutation($i: ID!) { update_users_item(id: $i, data: { token: "x" }) { id token } }'
    hidden = await editors.execute(mutation, {"i": uid("vi")}, caller("pat"))
    assert hidden.data == {"update_users_item": {"id": uid("vi"), "token": "**********"}}


async def test_a_right_that_is_gone_lets_nothing_be_written_any_more(editors):
    wes, ada = editors.directory(caller("wes"))["users"], editors.directory(caller("ada"))
    await wes.update_one(uid("will"), {"title": "One"})
    await ada["permissions"].delete_many([102])
    before = await checksum(editors)
    with pytest.raises(RollcallError) as refusal:
        await wes.update_one(uid("will"), {"title": "Two"})

    assert refusal.value.code == FORBIDDEN
    assert await checksum(editors) == before


async def test_a_right_that_is_new_counts_at_once(editors):
    wes, ada = editors.directory(caller("wes"))["users"], editors.directory(caller("ada"))
    with pytest.raises(RollcallError):
        await wes.update_one(uid("will"), {"location": "here"})
    await ada["permissions"].update_one(102, {"fields": ["location"]})

    assert await wes.update_one(uid("will"), {"location": "here"}) == uid("will")


async def test_two_policies_do_not_add_up_to_a_field_on_a_row_that_neither_gives_it_on(editors):
    """CVE-2025-27089: the union of all fields on any row."""
    wes = editors.directory(caller("wes"))["users"]
    with pytest.raises(RollcallError) as refusal:
        await wes.update_one(uid("will"), {"email": "will@example.org"})

    assert refusal.value.code == FORBIDDEN
    assert await wes.update_one(uid("wes"), {"email": "wes@example.org"}) == uid("wes")
