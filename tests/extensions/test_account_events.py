"""Events of the account flows: logins, registrations and invitations."""

import asyncio

import pytest
import pytest_asyncio

from app.core.errors import Forbidden
from tests.base_data import uid
from tests.extensions.recorder import Recorder
from tests.http.clients import FORBIDDEN, PASSWORD, data_of, error_of, login
from tests.http.conftest import inviters, inviters_db, members
from tests.http.test_graphql import PATH, served

__all__ = ["inviters", "inviters_db", "members"]


@pytest_asyncio.fixture(scope="session")
async def shared_recorder():
    return Recorder()


@pytest_asyncio.fixture(scope="session")
async def account_client(inviters_db, shared_recorder):
    async with served(inviters_db.settings, extensions=[shared_recorder.register]) as client:
        yield client


@pytest.fixture
def client(account_client, members, shared_recorder):
    shared_recorder.__init__()
    return account_client


@pytest.fixture
def recorder(shared_recorder):
    return shared_recorder


async def settle():
    await asyncio.sleep(0.05)


async def test_a_login_has_events_without_the_password(client, recorder):
    data_of(await login(client))
    await settle()

    for event in (*recorder.before, *recorder.after):
        assert (event.name, event.keys, event.payload) == ("auth.login", (uid("vi"),), {"email": "vi@example.com"})
        assert event.accountability.user is None
        assert event.accountability.ip == "127.0.0.1"
    assert (len(recorder.before), len(recorder.after)) == (1, 1)


async def test_a_failed_login_has_no_event(client, recorder):
    await login(client, password="wrong")
    await settle()

    assert (recorder.before, recorder.after) == ([], [])


@pytest.mark.parametrize("api", ["rest", "graphql"])
async def test_a_hook_rejects_a_login(client, recorder, api):
    async def reject(event, directory):
        raise Forbidden("Not from here")

    recorder.actions["auth.login"] = reject
    if api == "rest":
        assert error_of(await login(client)) == FORBIDDEN
    else:
        query = f'mutation {{ auth_login(email: "vi@example.com", password: "{PASSWORD}") {{ access_token }} }}'
        response = (await client.post(PATH, json={"query": query})).json()
        assert response["errors"][0]["message"] == "Not from here."
    await settle()
    assert recorder.after == []


async def test_a_registration_and_an_invitation_create_users(client, recorder):
    body = {"email": "reg@example.com", "password": "long enough for a password"}
    assert (await client.post("/users/register", json=body)).status_code == 204
    await settle()

    (event,) = recorder.after
    assert (event.name, event.payload["email"], event.payload["password"]) == ("users.create", body["email"], "*" * 10)
    assert event.payload["status"] == "unverified"
    assert event.accountability.system


async def test_an_invitation_creates_a_user(client, recorder):
    token = data_of(await login(client, email="ada@example.com"))["access_token"]
    recorder.after.clear()
    invitation = {"email": "inv@example.com", "role": uid("role-Viewer")}
    response = await client.post("/users/invite", json=invitation, headers={"authorization": f"Bearer {token}"})
    assert response.status_code in (200, 204), response.text
    await settle()

    (event,) = [event for event in recorder.after if event.name == "users.create"]
    assert event.payload == {**invitation, "status": "invited"}
    assert (event.accountability.user, event.accountability.system) == (uid("ada"), False)
