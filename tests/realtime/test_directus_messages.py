"""Directus' protocol at /websocket, which the SDK's `realtime()` speaks."""

import json
import time
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
import websockets

from app.core.caller import SYSTEM
from app.core.tokens import sign_access_token
from tests.base_data import static_token, uid
from tests.realtime.sockets import Client, serving, subscribed
from tests.realtime.test_events import write

pytestmark = pytest.mark.one_database

ADA, VI, ED = static_token("ada"), static_token("vi"), uid("ed")
USERS = {"type": "subscribe", "collection": "directus_users", "uid": "u", "query": {"fields": ["id", "title"]}}


@asynccontextmanager
async def sdk_client(server, token=None):
    async with server.connect("/websocket", subprotocols=()) as socket:
        client = Client(socket)
        if token:
            assert await ask(client, {"type": "auth", "access_token": token}) == {"type": "auth", "status": "ok"}
        yield client


async def ask(client, message):
    await client.send(message)
    return await client.receive()


@pytest.fixture
def users(restored_db):
    return restored_db.directory(SYSTEM)["users"]


async def test_a_subscription_begins_with_the_rows_and_goes_on_with_changes(server, users):
    async with sdk_client(server, VI) as client:
        query = {"fields": ["id", "title"], "filter": {"title": {"_in": ["Editor", "New"]}}, "sort": ["id"]}
        init = await ask(client, {**USERS, "query": query})
        await users.update_one(uid("sue"), {"title": "New"})
        created = await client.receive()
        await users.update_one(uid("sue"), {"title": "Editor"})
        updated = await client.receive()
        await users.update_one(uid("sue"), {"title": None})
        deleted = await client.receive()
        ended = await ask(client, {"type": "unsubscribe", "uid": "u"})
        await subscribed(server, 0)

    expected = sorted([{"id": uid("ed"), "title": "Editor"}, {"id": uid("ida"), "title": "Editor"}], key=repr)
    assert init == {"type": "subscription", "event": "init", "data": expected, "uid": "u"}
    message = {"type": "subscription", "uid": "u"}
    assert created == {**message, "event": "create", "data": [{"id": uid("sue"), "title": "New"}]}
    assert updated == {**message, "event": "update", "data": [{"id": uid("sue"), "title": "Editor"}]}
    assert deleted == {**message, "event": "delete", "data": [uid("sue")]}
    assert ended == {**message, "event": "unsubscribe"}


@pytest.mark.both_databases
async def test_the_rows_are_read_from_the_primary(shared_db):
    if shared_db.database.dialect != "postgresql":
        pytest.skip("SQLite has no replicas")
    url = (shared_db.settings.database_url,)
    async with serving(shared_db.settings, database_replica_urls=url) as server, sdk_client(server, VI) as client:
        (replica,) = server.hub.services.database.replicas
        while not replica.reads:  # a check may end the lease in between, as it is no replica
            replica.extend_lease(time.monotonic())
            await ask(client, {"type": "items", "collection": "directus_users", "action": "read"})
        before = replica.reads
        replica.extend_lease(time.monotonic())
        await ask(client, USERS)

        assert replica.reads == before


async def test_one_row_and_one_event_can_be_chosen(server, users):
    async with sdk_client(server, VI) as client:
        one = await ask(client, {**USERS, "item": ED})
        chosen = await ask(client, {**USERS, "uid": 2, "event": "delete"})
        await users.update_one(uid("ida"), {"title": "Changed"})
        await users.update_one(ED, {"title": "Changed"})
        changed = await client.receive()

    assert one["data"] == [{"id": ED, "title": "Editor"}]
    assert chosen == {"type": "subscription", "event": "init", "uid": 2}
    assert (changed["uid"], changed["data"]) == ("u", [{"id": ED, "title": "Changed"}])


async def test_rows_are_created_read_updated_and_deleted(server, restored_db):
    async with sdk_client(server, ADA) as client:
        roles = {"type": "items", "collection": "directus_roles", "query": {"fields": ["name"]}}
        created = await ask(client, {**roles, "action": "create", "data": {"name": "One"}, "uid": 1})
        many = await ask(client, {**roles, "action": "create", "data": [{"name": "Two"}, {"name": "Three"}]})
        one = {"fields": ["id"], "filter": {"name": {"_eq": "One"}}}
        (found,) = (await ask(client, {**roles, "action": "read", "query": one}))["data"]
        key = {"id": found["id"]}
        updated = await ask(client, {**roles, "action": "update", **key, "data": {"name": "First"}})
        read = await ask(client, {**roles, "action": "read", **key})
        deleted = await ask(client, {**roles, "action": "delete", "ids": [key["id"]]})

    assert created == {"type": "items", "data": {"name": "One"}, "uid": 1}
    assert sorted(row["name"] for row in many["data"]) == ["Three", "Two"]
    assert updated["data"] == read["data"] == {"name": "First"}
    assert deleted["data"] == [key["id"]]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({**USERS, "collection": "directus_nonsense"}, "INVALID_COLLECTION"),
        ({**USERS, "collection": "directus_files"}, "FORBIDDEN"),
        ({**USERS, "query": {"fields": ["email"]}}, "FORBIDDEN"),
        ({**USERS, "query": []}, None),
        ({**USERS, "query": {"aggregate": {"count": "*"}}}, "INVALID_QUERY"),
        ({**USERS, "event": "nonsense"}, "INVALID_PAYLOAD"),
        ({**USERS, "uid": {"a": 1}}, "INVALID_PAYLOAD"),
        ({"type": "items", "collection": "directus_users", "action": "nonsense"}, "INVALID_PAYLOAD"),
        ({"type": "items", "collection": "directus_users", "action": "delete"}, "INVALID_PAYLOAD"),
        ({"type": "items", "collection": "directus_users", "action": "update", "data": {}, "id": ED}, "FORBIDDEN"),
        ({"type": "items", "collection": "directus_activity", "action": "delete", "id": 1}, "FORBIDDEN"),
        ({"type": "nonsense"}, "INVALID_PAYLOAD"),
    ],
)
async def test_an_invalid_message_is_answered_with_an_error(server, restored_db, message, code):
    async with sdk_client(server, VI) as client:
        answer = await ask(client, message)
        assert (answer.get("error") or {}).get("code") == code

        assert await ask(client, {"type": "ping", "uid": 7}) == {"type": "pong", "uid": 7}


async def test_what_is_not_json_is_answered_with_an_error(server):
    async with sdk_client(server, VI) as client:
        await client.socket.send("no JSON")
        answer = await client.receive()

    assert (answer["type"], answer["error"]["code"]) == ("server", "INVALID_PAYLOAD")


@pytest.mark.parametrize("first", [{"type": "auth", "access_token": "wrong"}, {"type": "ping"}, {"type": "auth"}])
async def test_without_a_valid_token_in_the_first_message_the_connection_ends(server, first):
    async with sdk_client(server) as client:
        answer = await ask(client, first)
        code = await client.close_code()

    assert answer["error"]["code"] == "AUTH_FAILED"
    assert code == 4403


async def test_a_suspended_user_is_disconnected(server, restored_db):
    async with sdk_client(server, VI) as client:
        await ask(client, USERS)
        await write(restored_db, f"UPDATE directus_users SET status = 'suspended' WHERE id = '{uid('vi')}';")
        message = await client.receive()

        assert message["error"]["code"] == "AUTH_FAILED"
        assert await client.close_code() == 4403


async def test_a_withdrawn_right_ends_the_subscription(server, restored_db):
    async with sdk_client(server, VI) as client:
        await ask(client, USERS)
        await write(restored_db, "DELETE FROM directus_permissions WHERE id = 4;")
        message = await client.receive()

    assert (message["type"], message["uid"], message["error"]["code"]) == ("subscribe", "u", "FORBIDDEN")


async def test_an_expired_token_is_renewed_and_what_changed_meanwhile_is_sent(server, users, shared_db):
    secret = shared_db.settings.secret.get_secret_value()
    short = sign_access_token(secret, uid("vi"), ttl=timedelta(seconds=2))
    async with sdk_client(server, short) as client:
        await ask(client, USERS)
        expired = await client.receive()
        await users.update_one(ED, {"title": "Meanwhile"})
        refused = await ask(client, {"type": "items", "collection": "directus_users", "action": "read"})
        await client.send({"type": "auth", "access_token": VI})
        renewed = [await client.receive() for _ in range(2)]
        await users.update_one(ED, {"title": "Afterwards"})
        after = await client.receive()

    assert expired["error"]["code"] == refused["error"]["code"] == "TOKEN_EXPIRED"
    assert {"type": "auth", "status": "ok"} in renewed
    assert [message["data"] for message in renewed if "data" in message] == [[{"id": ED, "title": "Meanwhile"}]]
    assert after["data"] == [{"id": ED, "title": "Afterwards"}]


async def test_public_and_strict_modes_timeouts_and_heartbeats(shared_db, restored_db):
    limits = {"websockets_rest_auth_timeout": 1, "websockets_heartbeat_period": 1}
    async with (
        serving(shared_db.settings, websockets_rest_auth="public", **limits) as server,
        sdk_client(server) as client,
    ):
        roles = await ask(client, {"type": "subscribe", "collection": "directus_roles", "query": {"fields": ["name"]}})
        assert {row["name"] for row in roles["data"]} == {"Staff", "Viewer"}
        assert await client.receive() == {"type": "ping"}
        assert await client.close_code() == 1008
    async with serving(shared_db.settings, websockets_rest_auth="strict", **limits) as server:
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with server.connect("/websocket", subprotocols=()):
                pass
        async with server.connect(f"/websocket?access_token={VI}", subprotocols=()) as socket:
            assert (await ask(Client(socket), {"type": "ping"}))["type"] == "pong"
    async with serving(shared_db.settings, **limits) as server, sdk_client(server) as client:
        timed_out = json.loads(await client.socket.recv())

    assert refused.value.response.status_code == 403
    assert timed_out["error"]["code"] == "AUTH_TIMEOUT"
