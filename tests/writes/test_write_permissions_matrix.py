"""The matrix of write permissions; a rejected write leaves every table unchanged."""

import pytest

from app.core.errors import RollcallError
from tests.base_data import caller, uid
from tests.writes.editors import checksum

FORBIDDEN, INVALID_PAYLOAD, ALLOWED = "FORBIDDEN", "INVALID_PAYLOAD", None

WRITE_CASES = [
    # user, action, target, values, expected error code
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
    ("wes", "update", "will", {"status": "archived"}, FORBIDDEN),  # outside Wes' permissions afterwards
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
    ("pat", "update", "nora", {"token": "a-token-that-pat-made"}, ALLOWED),
    ("pat", "update", "vi", {"token": "a-token-that-pat-made"}, FORBIDDEN),  # Vi may read more than Pat
    ("pat", "update", "vi", {"provider": "github"}, FORBIDDEN),
]


async def write(system, user, action, target, values):
    users = system.directory(caller(user))["users"]
    if action == "create":
        return await users.create_one(values)
    if action == "update":
        return await users.update_one(uid(target), values)
    return await users.delete_one(uid(target))


@pytest.mark.parametrize(("user", "action", "target", "values", "expected"), WRITE_CASES)
async def test_users_write_exactly_what_their_policies_allow(editors, user, action, target, values, expected):
    before = await checksum(editors)
    try:
        await write(editors, user, action, target, values)
        code = None
    except RollcallError as error:
        code = error.code

    assert code == expected
    assert (await checksum(editors) == before) is (expected is not ALLOWED)


async def test_presets_of_a_create_fill_in_missing_fields_only(editors):
    users = editors.directory(caller("wes"))["users"]
    key = await users.create_one({"email": "new@example.com", "title": "Own"})
    row = await users.read_one(key)

    assert row["role"] == uid("role-Writer")
    assert row["title"] == "Own"
    assert row["description"] == uid("wes")


async def test_presets_of_an_update_fill_in_missing_fields(editors):
    await editors.directory(caller("wes"))["users"].update_one(uid("will"), {"title": "Clerk"})

    assert (await editors.directory(caller("ada"))["users"].read_one(uid("will")))["description"] == "touched"


async def test_a_write_of_several_rows_is_all_or_nothing(editors):
    users, before = editors.directory(caller("wes"))["users"], await checksum(editors)
    for keys in ([uid("will"), uid("ada")], [uid("will"), uid("nobody")]):
        with pytest.raises(RollcallError) as error:
            await users.update_many(keys, {"title": "Clerk"})
        assert error.value.code == FORBIDDEN
        with pytest.raises(RollcallError):
            await users.delete_many(keys)
    with pytest.raises(RollcallError):
        await users.update_batch([{"id": uid("will"), "title": "A"}, {"id": uid("ada"), "title": "B"}])
    with pytest.raises(RollcallError):
        await users.create_many([{"email": "one@example.com"}, {"email": "two@example.org"}])

    assert await checksum(editors) == before


async def test_a_mutation_returns_only_what_its_caller_may_read(editors):
    mutation = """mutation($d: create_directus_users_input!) {
        create_users_item(data: $d) { email title role { name } } }"""
    result = await editors.execute(mutation, {"d": {"email": "new@example.com"}}, caller("wes"))
    assert result.data == {
        "create_users_item": {"email": "new@example.com", "title": "New here", "role": {"name": "Writer"}}
    }

    mutation = 'mutation($i: ID!) { update_users_item(id: $i, data: { token: "x" }) { id token } }'
    masked = await editors.execute(mutation, {"i": uid("nora")}, caller("pat"))
    assert masked.data == {"update_users_item": {"id": uid("nora"), "token": "**********"}}


async def test_a_deleted_permission_allows_no_further_write(editors):
    wes, ada = editors.directory(caller("wes"))["users"], editors.directory(caller("ada"))
    await wes.update_one(uid("will"), {"title": "One"})
    await ada["permissions"].delete_many([102])
    before = await checksum(editors)
    with pytest.raises(RollcallError) as error:
        await wes.update_one(uid("will"), {"title": "Two"})

    assert error.value.code == FORBIDDEN
    assert await checksum(editors) == before


async def test_a_new_permission_applies_immediately(editors):
    wes, ada = editors.directory(caller("wes"))["users"], editors.directory(caller("ada"))
    with pytest.raises(RollcallError):
        await wes.update_one(uid("will"), {"location": "here"})
    await ada["permissions"].update_one(102, {"fields": ["location"]})

    assert await wes.update_one(uid("will"), {"location": "here"}) == uid("will")


async def test_fields_of_two_policies_are_not_combined_across_different_rows(editors):
    """CVE-2025-27089: the union of all fields applied to every row."""
    wes = editors.directory(caller("wes"))["users"]
    with pytest.raises(RollcallError) as error:
        await wes.update_one(uid("will"), {"email": "will@example.org"})

    assert error.value.code == FORBIDDEN
    assert await wes.update_one(uid("wes"), {"email": "wes@example.org"}) == uid("wes")
