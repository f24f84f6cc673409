"""Both spellings of an international domain, in Unicode and with `xn--`, are one email address."""

import pytest
from sqlalchemy import func, select

from app.db.models import User
from app.flows.user_admin import UserAdmin
from app.testing import open_system
from tests.base_data import uid
from tests.cli.commands import run_command
from tests.flows.inviters import update_settings, update_user, user_row
from tests.http.clients import send
from tests.http.test_graphql import ADA, bearer
from tests.security.entry_points import ENTRY_POINTS, PASSWORD, call_flow, error_code, post_graphql, response_data
from tests.writes.test_concurrency import error_codes_of

UNICODE, ASCII = "Info@Dömäin.example", "info@xn--dmin-moa0i.example"
SPELLINGS = [(UNICODE, ASCII), (ASCII, UNICODE)]
FULLWIDTH = "info@ｅxample.com"  # noqa: RUF001 - that is the point

both_spellings = pytest.mark.parametrize(("stored", "other"), SPELLINGS)
entry_points = pytest.mark.parametrize("entry_point", ENTRY_POINTS)


async def create(client, entry_point, **values):
    if entry_point == "rest":
        return await send(client, "POST", "/users", values, headers=ADA)
    query = "mutation($data: create_directus_users_input!) { create_users_item(data: $data) { email } }"
    return await post_graphql(client, query, headers=ADA, variables={"data": values})


async def update(client, entry_point, name, **values):
    if entry_point == "rest":
        return await send(client, "PATCH", f"/users/{uid(name)}", values, headers=ADA)
    query = (
        "mutation($id: ID!, $data: update_directus_users_input!) { update_users_item(id: $id, data: $data) { email } }"
    )
    return await post_graphql(client, query, headers=ADA, variables={"id": uid(name), "data": values})


async def count_users(system):
    async with system.database.transaction() as connection:
        return await connection.scalar(select(func.count()).select_from(User))


@entry_points
@both_spellings
async def test_an_email_is_unique_in_both_spellings_and_stored_as_sent(client, members, entry_point, stored, other):
    created = await create(client, entry_point, email=stored)
    rejected = [
        await create(client, entry_point, email=other),
        await create(client, entry_point, email=other.upper()),
        await update(client, entry_point, "vi", email=other),
    ]

    assert response_data(created)["email"] == stored
    assert [error_code(response) for response in rejected] == ["RECORD_NOT_UNIQUE"] * 3
    assert error_code(await create(client, entry_point, email="info@domain.example")) is None


@both_spellings
async def test_users_may_change_the_spelling_of_their_own_email(client, members, stored, other):
    for entry_point in ENTRY_POINTS:
        await update_user(members, "vi", email=stored)
        response = await update(client, entry_point, "vi", email=other)

        assert response_data(response)["email"] == other


@both_spellings
async def test_of_two_concurrent_users_with_one_email_one_is_created(members, stored, other):
    async with open_system(members.settings) as second:
        first_users, second_users = [(await system.as_user("ada@example.com"))["users"] for system in (members, second)]
        for number in range(5):
            codes = await error_codes_of(
                first_users.create_one({"email": f"a{number}{stored}"}),
                second_users.create_one({"email": f"a{number}{other}"}),
            )
            assert sorted(codes, key=str) == [None, "RECORD_NOT_UNIQUE"]


@entry_points
@both_spellings
async def test_users_log_in_with_either_spelling(client, members, entry_point, stored, other):
    await update_user(members, "vi", email=stored)
    for email in (stored, other, other.upper(), stored.lower()):
        response = await call_flow(client, entry_point, "login", email=email, password=PASSWORD)

        assert response_data(response)["access_token"]


async def test_each_of_two_existing_users_with_one_email_logs_in_with_their_own_spelling(client, members):
    """A Directus on the same database compares emails as they are written."""
    await update_user(members, "vi", email=UNICODE)
    await update_user(members, "ada", email=ASCII)
    for name, email in (("vi", UNICODE), ("ada", ASCII)):
        tokens = response_data(await call_flow(client, "rest", "login", email=email, password=PASSWORD))
        me = await send(client, "GET", "/users/me?fields=id", headers=bearer(tokens["access_token"]))
        assert me.json()["data"]["id"] == uid(name)


@both_spellings
async def test_failed_logins_are_counted_for_both_spellings_together(client, members, stored, other):
    await update_settings(members, auth_login_attempts=2)
    await update_user(members, "vi", email=stored)
    for email, password in [(stored, "wrong"), (other, "wrong"), (stored, "wrong")]:
        await call_flow(client, "rest", "login", email=email, password=password)

    locked_out = await call_flow(client, "graphql", "login", email=other, password=PASSWORD)
    assert error_code(locked_out) == "INVALID_CREDENTIALS"


@entry_points
@both_spellings
async def test_invitations_and_registrations_find_the_user_with_either_spelling(
    client, members, entry_point, stored, other
):
    await call_flow(client, entry_point, "invite", email=stored, role=uid("role-Writer"), headers=ADA)
    count = await count_users(members)
    again = await call_flow(client, entry_point, "invite", email=other, role=uid("role-Writer"), headers=ADA)
    registered = await call_flow(client, entry_point, "register", email=other, password="a good password")

    assert error_code(again) is error_code(registered) is None
    assert await count_users(members) == count
    assert (await user_row(members, stored))["status"] == "invited"
    assert (await send(client, "DELETE", "/users/invite", {"email": other}, headers=ADA)).status_code == 204
    assert await count_users(members) == count - 1


@both_spellings
async def test_trusted_code_and_commands_find_the_user_with_either_spelling(members, stored, other):
    await update_user(members, "vi", email=stored)
    directory = await members.as_user("ada@example.com")
    token = await run_command(members.settings.database_url, "token", other)
    await UserAdmin(members.services).suspend(other)

    assert (await directory["users"].get_user_by_email(other))["id"] == uid("vi")
    assert (token.code, token.out.count(".")) == (0, 2), token.err
    assert (await user_row(members, stored))["status"] == "suspended"


@entry_points
async def test_a_domain_that_is_spelled_differently_from_both_is_rejected(client, members, entry_point):
    assert error_code(await create(client, entry_point, email=FULLWIDTH)) == "FAILED_VALIDATION"
