"""Sessions of users who belong to a directory: their renewal asks for the entry."""

from contextlib import contextmanager

import pytest
from sqlalchemy import update

from app.db.models import User
from tests.http.clients import data_of, error_of, send
from tests.ldap import misbehaving, slapd
from tests.single_sign_on.conftest import counts, row_of

ZED = f"cn=zed,{slapd.PEOPLE}"


async def refresh(server, token):
    return await send(server.client, "POST", "/auth/refresh", {"refresh_token": token})


@contextmanager
def temporary_entry(directory):
    directory.add(slapd.person("zed", "mail: zed@example.com"))
    try:
        yield
    finally:
        directory.delete(ZED)


async def test_a_session_is_renewed_while_the_entry_exists(connect, directory):
    server = await connect(directory.url)
    token = data_of(await server.sign_in("kim"))["refresh_token"]
    token = data_of(await refresh(server, token))["refresh_token"]

    assert data_of(await refresh(server, token))["access_token"]


@pytest.mark.parametrize(
    "changes",
    [
        {"userAccountControl": "514"},
        {"nsAccountLock": "TRUE"},
        {"msDS-User-Account-Control-Computed": "16"},
        {"pwdAccountLockedTime": "000001010000Z"},
        None,
    ],
    ids=str,
)
async def test_a_session_ends_with_the_entry_or_when_it_is_disabled(connect, directory, changes):
    server = await connect(directory.url)
    with temporary_entry(directory):
        token = data_of(await server.sign_in("zed"))["refresh_token"]
        users, sessions = await counts(server.system)
        if changes:
            directory.modify(ZED, **changes)
            response = await refresh(server, token)
    if not changes:
        response = await refresh(server, token)

    assert error_of(response) == (403, "INVALID_TOKEN")
    assert await counts(server.system) == [users, sessions - 1]


async def test_a_directory_that_cannot_be_asked_leaves_the_session_as_it_is(connect, directory, fake):
    server, other_node = await connect(directory.url), await connect(fake.url, client__timeout="200")
    token = data_of(await server.sign_in("kim"))["refresh_token"]
    before = await counts(server.system)
    for fake.responses in ([None], [b"HTTP"], [misbehaving.result(1), misbehaving.result(2, b"\x65", 51)]):
        assert error_of(await refresh(other_node, token)) == (503, "SERVICE_UNAVAILABLE")
    assert await counts(server.system) == before
    data_of(await refresh(server, token))


async def test_a_user_without_a_valid_dn_is_not_renewed(connect, directory):
    server = await connect(directory.url)
    token = data_of(await server.sign_in("kim"))["refresh_token"]
    user = (await row_of(server.system, slapd.KIM))["id"]
    async with server.system.database.transaction() as connection:
        await connection.execute(update(User).where(User.id == user).values(external_identifier="no DN"))

    assert error_of(await refresh(server, token)) == (403, "INVALID_TOKEN")
